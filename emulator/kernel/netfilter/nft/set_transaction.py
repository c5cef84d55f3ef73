"""Changes to sets, their elements and named counters: one part of a transaction, each with a note how to undo it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from emulator.kernel.netfilter.nft.element import DEFAULT, Element
from emulator.kernel.netfilter.nft.error import BUSY, EXISTS, NO_ENTRY, NO_SPACE, TOO_MANY_LINKS
from emulator.kernel.netfilter.nft.set import Declaration, NftSet
from emulator.kernel.netfilter.nft.statement.verdict import Outcome
from emulator.kernel.netfilter.nft.storage import Intervals, Overlap
from emulator.kernel.netfilter.nft.table import NamedCount, NftChain, NftTable

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.engine import Nft

_Key = TypeVar("_Key")
_Any = TypeVar("_Any")
_Thing = TypeVar("_Thing", NftChain, NftSet, NamedCount)


class Refused(Exception):  # noqa: N818 - whoever knows the place in the script makes an error of it
    """The kernel says no. `direct`: nft found it before it asked the kernel, and says no more than the reason."""

    def __init__(self, reason: str, *, direct: bool = False) -> None:
        self.direct = direct
        super().__init__(reason if direct else f"Could not process rule: {reason}")


class SetChanges:
    """The changes; `_undo` has what takes them back, the last first."""

    def __init__(self, nft: Nft) -> None:
        self._nft = nft
        self._netfilter = nft.netfilter
        self._undo: list[Callable[[], None]] = []
        self._new_sets: set[NftSet] = set()

    @staticmethod
    def check_loop(table: NftTable, origins: set[str], start: str) -> None:
        """Refuse a way from a chain back to where it is jumped to from."""
        if start not in origins and not table.chains[start].rules:
            return
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name in origins:
                raise Refused(TOO_MANY_LINKS)
            if name in seen:
                continue
            seen.add(name)
            for rule in table.chains[name].rules:
                for statement in rule.statements:
                    waiting += statement.chains()
                    for set_name in statement.set_names():
                        if table.sets[set_name].declaration.data == "verdict":
                            waiting += targets(table.sets[set_name])

    def add_set(self, table: NftTable, name: str, declaration: Declaration, *, create: bool) -> NftSet:
        """Add a set; one that is declared alike may be there, and takes times and size of the new declaration.

        A size stays where the new one tells none (nf_tables_api.c, nft_set_is_same and nf_tables_commit).
        """
        found = table.sets.get(name)
        if found is not None:
            before = found.declaration
            after = replace(declaration, size=declaration.size or before.size, comment=before.comment)
            alike = replace(after, timeout=before.timeout, gc_interval=before.gc_interval, size=before.size)
            if create or alike != before:
                raise Refused(EXISTS)
            if after != before:
                found.declaration = after
                self._undo.append(partial(setattr, found, "declaration", before))
            return found
        made = NftSet(self._netfilter.netns.kernel, name, declaration)
        made.handle = table.take_handle()
        table.sets[name] = made
        self._new_sets.add(made)
        self._undo.append(partial(forget, table.sets, name))
        return made

    def delete_set(self, table: NftTable, found: NftSet) -> None:
        """Delete a set that no rule looks into."""
        if found.uses:
            raise Refused(BUSY)
        self.flush_set(table, found)
        remove(table.sets, found.name, self._undo)

    def flush_set(self, table: NftTable, found: NftSet) -> None:
        """Delete the elements of a set."""
        before, default = found.storage, found.default
        self._counttargets(table, found, -1)
        found.storage = type(before)()
        found.default = None

        def undo() -> None:
            found.storage, found.default = before, default
            self._counttargets(table, found, 1)

        self._undo.append(undo)

    @staticmethod
    def _counttargets(table: NftTable, found: NftSet, change: int) -> None:
        if found.declaration.data == "verdict":
            for name in targets(found):
                table.chains[name].uses += change

    def add_element(self, table: NftTable, found: NftSet, element: Element, *, create: bool) -> None:
        """Add an element; one with the same data may be there."""
        present = found.default if element.key is DEFAULT else found.exact(element.key)
        if present is not None:
            if create or present.data != element.data:
                raise Refused(EXISTS)
            return
        if found.declaration.size and found.full():
            raise Refused(NO_SPACE)
        target = element.data.chain if isinstance(element.data, Outcome) else ""
        if target:
            self.check_loop(table, {name for name, uses in found.users.items() if uses}, target)
            table.chains[target].uses += 1
        found.start(element)
        undo = self._store(found, element)

        def remove() -> None:
            undo()
            if target:
                table.chains[target].uses -= 1

        self._undo.append(remove)

    @staticmethod
    def _store(found: NftSet, element: Element) -> Callable[[], None]:
        if element.key is DEFAULT:
            found.default = element
            return lambda: setattr(found, "default", None)
        storage = found.storage
        if found.declaration.auto_merge and isinstance(storage, Intervals):
            gone = storage.merge(element)
            merged = element.key

            def unmerge() -> None:
                storage.remove(merged)
                for each in gone:
                    storage.add(each)

            return unmerge
        try:
            storage.add(element)
        except Overlap:
            raise Refused("interval overlaps with an existing one", direct=True) from None
        return lambda: storage.remove(element.key)

    def delete_element(self, table: NftTable, found: NftSet, element: Element, *, missing_ok: bool) -> None:
        """Delete an element by its key."""
        present = found.default if element.key is DEFAULT else found.exact(element.key)
        if present is None:
            if missing_ok:
                return
            if isinstance(found.storage, Intervals):
                raise Refused("element does not exist", direct=True)
            raise Refused(NO_ENTRY)
        target = present.data.chain if isinstance(present.data, Outcome) else ""
        if target:
            table.chains[target].uses -= 1
        if present.key is DEFAULT:
            found.default = None
        else:
            found.storage.remove(present.key)

        def undo() -> None:
            if present.key is DEFAULT:
                found.default = present
            else:
                found.storage.add(present)
            if target:
                table.chains[target].uses += 1

        self._undo.append(undo)

    # Counters

    def add_counter(self, table: NftTable, made: NamedCount, *, create: bool) -> None:
        """Add a named counter, if it is not there."""
        if made.name in table.counters:
            if create:
                raise Refused(EXISTS)
            return
        made.handle = table.take_handle()
        table.counters[made.name] = made
        self._undo.append(partial(forget, table.counters, made.name))

    def delete_counter(self, table: NftTable, found: NamedCount) -> None:
        """Delete a counter that no rule counts with."""
        if found.uses:
            raise Refused(BUSY)
        remove(table.counters, found.name, self._undo)


def forget(things: MutableMapping[_Key, _Any], key: _Key) -> None:
    """Undo that something was added."""
    del things[key]


def targets(found: NftSet) -> Iterable[str]:
    """Return the chains that a verdict map's elements go to."""
    return [each.data.chain for each in found if isinstance(each.data, Outcome) and each.data.chain]


def remove(things: dict[str, _Thing], name: str, undo: list[Callable[[], None]]) -> None:
    """Take something out of an ordered dict; undoing puts it back where it was, by its handle."""
    thing = things.pop(name)

    def put_back() -> None:
        things[name] = thing
        later = [key for key, other in things.items() if other.handle > thing.handle]
        for key in later:
            things[key] = things.pop(key)

    undo.append(put_back)
