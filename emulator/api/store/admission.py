"""What stands between a write and the store: an admission function, and what it sees of the stored objects."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol

from emulator.api.objects.meta import Object
from emulator.api.store.index import Index


class StoreReader(Protocol):
    """What admission sees of the store."""

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return one object or None."""

    def list(self, kind: str, namespace: str | None = None) -> Iterable[Object]:
        """Return the objects of a kind, of one namespace or of all."""

    def kinds(self) -> Iterable[str]:
        """Return the keys of the kinds of which there are objects."""

    def find(self, index: Index, value: Hashable) -> Sequence[Object]:
        """Return the objects that have `value` in `index`."""

    def count(self, index: Index, value: Hashable) -> int:
        """Return how many objects have `value` in `index`."""


Admit = Callable[[StoreReader, Object, Object | None], Object]
"""Fills in or refuses (with a PodwireError) what is about to be stored: (store, new, old or None) -> what to store."""
