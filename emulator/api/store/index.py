"""Indexes over stored objects: which of a kind have a value, without a look at all of them.

An index is built when it is first asked for, and kept up to date by every later write (as client-go's indexers are).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from msgspec import Struct

from emulator.api.messages import Object
from emulator.api.store.history import Reference


class Index(Struct, frozen=True, eq=False):
    """Finds objects of `kind` by what `values` reads from each; an object may have any number of values."""

    kind: str
    values: Callable[[Object], Iterable[Hashable]]


class IndexEntries:
    """What one index holds."""

    __slots__ = ("_entries", "_index")

    def __init__(self, index: Index) -> None:
        self._index = index
        self._entries: dict[Hashable, dict[Reference, None]] = {}

    def references(self, value: Hashable) -> Sequence[Reference]:
        """Return the objects that have `value`."""
        return [*self._entries.get(value, ())]

    def count(self, value: Hashable) -> int:
        """Return how many objects have `value`."""
        return len(self._entries.get(value, ()))

    def change(self, reference: Reference, old: Object | None, new: Object | None) -> None:
        """Take up that the object under `reference` was `old` and is `new`; None for none."""
        before = dict.fromkeys(self._index.values(old)) if old is not None else {}
        after = dict.fromkeys(self._index.values(new)) if new is not None else {}
        for value in before.keys() - after.keys():
            entry = self._entries[value]
            del entry[reference]
            if not entry:
                del self._entries[value]
        for value in after:
            if value not in before:
                self._entries.setdefault(value, {})[reference] = None
