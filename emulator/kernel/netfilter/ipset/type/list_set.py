"""list:set: sets, asked one after another (ip_set_list_set.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipset.base import EXTENSIONS, IpSet, Member, count
from emulator.kernel.netfilter.ipset.create import CreateOptions
from emulator.kernel.netfilter.ipset.element import Element, set_name
from emulator.kernel.netfilter.ipset.error import EXISTS, NOT_ADDED, ElementError, IpsetError
from emulator.kernel.netfilter.ipset.extension import Entry, Given, comment_size
from emulator.kernel.netfilter.ipset.type.gc import Collector

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.query import Addition, Query
    from emulator.kernel.netfilter.ipset.sets import Sets, Slot
    from emulator.kernel.skb import Skb

_LEAST_SIZE = 4
_STRUCTURE = 80
_ELEMENT = 48
_UNKNOWN = "Set to be added/deleted/tested as element does not exist."
_LOOP = "Sets with list:set type cannot be added to the set."
_NO_REFERENCE = "The set to which you referred with 'before' or 'after' does not exist."
_REFERENCE_NOT_ADDED = "The set to which you referred with 'before' or 'after' is not added to the set."


class ListSet(IpSet):
    """It holds slots, not sets: when one is swapped, the list has the other."""

    name = "list:set"
    aliases = ("setlist",)
    revision = 3
    element_help = "NAME"
    families = ()
    features = frozenset({"name", "last"})
    parts = (set_name,)
    create_options = EXTENSIONS | {"size"}

    def __init__(self, options: CreateOptions, sets: Sets) -> None:
        super().__init__(options, sets)
        self._sets = sets
        self._size = max(options.size, _LEAST_SIZE)
        self._members: list[tuple[Slot, Entry]] = []
        timeout = self.extensions.timeout
        self._collector = None if timeout is None else Collector(timeout, self.now)

    def _collect(self, *, due: bool = True) -> None:
        """Drop members whose time is over; with `due` only if the kernel would have by now."""
        if self._collector is None or (due and not self._collector.due(self.now, 1)):
            return
        now = self.now
        for slot, entry in self._members:
            if entry.deadline < now:
                slot.references -= 1
        self._members = [member for member in self._members if member[1].deadline >= now]

    def _slots(self, element: Element) -> tuple[Slot, Slot | None]:
        """Return the slot that an element names, and that of `before` or `after`."""
        slot = self._sets.find(element.name)
        if slot is None:
            raise IpsetError(_UNKNOWN)
        if isinstance(slot.set, ListSet):
            raise IpsetError(_LOOP)
        reference = self._sets.find(element.reference) if element.reference else None
        if element.reference and reference is None:
            raise IpsetError(_NO_REFERENCE)
        return slot, reference

    def _living(self) -> list[Slot]:
        now = self.now
        return [slot for slot, entry in self._members if entry.deadline >= now]

    # For the command

    def add(self, element: Element, given: Given, *, exist: bool) -> None:
        self.extensions.check(given)
        slot, reference = self._slots(element)
        self._collect(due=False)
        order = self._living()
        if reference is not None and reference not in order:
            raise IpsetError(_REFERENCE_NOT_ADDED)
        if slot in order:
            if not exist:
                raise ElementError(EXISTS)
            self.extensions.fill(self._members[order.index(slot)][1], given, self.now)
            return
        entry = Entry()
        self.extensions.fill(entry, given, self.now)
        position = len(order)
        if reference is not None:
            position = order.index(reference) + (0 if element.before else 1)
        self._members.insert(position, (slot, entry))
        slot.references += 1

    def delete(self, element: Element, *, exist: bool) -> None:
        slot, reference = self._slots(element)
        self._collect(due=False)
        order = self._living()
        if slot not in order:
            if reference is not None:
                raise IpsetError(_REFERENCE_NOT_ADDED)
            if not exist:
                raise ElementError(NOT_ADDED)
            return
        if reference is not None and not _beside(order, slot, reference, before=element.before):
            raise IpsetError(_REFERENCE_NOT_ADDED)
        del self._members[order.index(slot)]
        slot.references -= 1

    def test(self, element: Element, *, nomatch: bool) -> bool:
        slot, reference = self._slots(element)
        order = self._living()
        return slot in order and (reference is None or _beside(order, slot, reference, before=element.before))

    def flush(self) -> None:
        for slot, _ in self._members:
            slot.references -= 1
        self._members.clear()

    def header(self) -> list[tuple[str, str]]:
        return [("size", str(self._size)), *self.extensions.header()]

    def memory(self) -> int:
        self._collect()
        comments = sum(comment_size(entry) for _, entry in self._members)
        return _STRUCTURE + self.extensions.size(_ELEMENT, 8) * len(self._members) + comments

    def count(self) -> int:
        self._collect()
        return len(self._members)

    def members(self) -> Iterator[Member]:
        now = self.now
        for slot, entry in self._members:
            if entry.deadline >= now:
                yield Member(slot.name, self.extensions.fields(entry, now))

    def resembles(self, other: IpSet) -> bool:
        return isinstance(other, ListSet) and self.header() == other.header()

    # For packets

    def find(self, skb: Skb, query: Query) -> Entry | None:
        now = self.now
        inner = query.for_members()
        for slot, entry in self._members:
            if entry.deadline < now:
                continue
            found = slot.set.match(skb, inner)
            if found is None:
                continue
            if not self.extensions.counters or count(entry, skb, query):
                return entry if self.extensions.skbinfo else found
        return None

    def match(self, skb: Skb, query: Query) -> Entry | None:
        """A member decides on exceptions; the list has none of its own."""
        return self.find(skb, query) if self.applies(query.sources) else None

    def add_packet(self, skb: Skb, addition: Addition) -> bool:
        return self.applies(addition.sources) and any(slot.set.add_packet(skb, addition) for slot in self._living())

    def delete_packet(self, skb: Skb, sources: tuple[bool, ...]) -> bool:
        return self.applies(sources) and any(slot.set.delete_packet(skb, sources) for slot in self._living())


def _beside(order: list[Slot], slot: Slot, reference: Slot, *, before: bool) -> bool:
    """Whether a set stands right before, or after, another."""
    position = order.index(slot) + (1 if before else -1)
    return 0 <= position < len(order) and order[position] is reference
