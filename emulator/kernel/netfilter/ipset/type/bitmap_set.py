"""What the bitmap types have in common: one place for each element of a range (ip_set_bitmap_gen.h)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import IpSet, Member, count
from emulator.kernel.netfilter.ipset.create import CreateOptions
from emulator.kernel.netfilter.ipset.error import EXISTS, NOT_ADDED, ElementError, IpsetError
from emulator.kernel.netfilter.ipset.extension import PLAIN, Entry, Given, comment_size
from emulator.kernel.netfilter.ipset.type.gc import Collector

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.element import Element
    from emulator.kernel.netfilter.ipset.query import Addition, Query
    from emulator.kernel.netfilter.ipset.sets import Sets
    from emulator.kernel.skb import Skb


class BitmapSet(IpSet):
    """An element is its place, from 0. `length` is how many there are.

    Counters of an element that was deleted stay in its place: when it is added again it counts on, as in the kernel.
    """

    structure: ClassVar[int]  # bytes of the set's own structure in the kernel

    def __init__(self, options: CreateOptions, sets: Sets, length: int) -> None:
        super().__init__(options, sets)
        self.length = length
        self._entries: dict[int, Entry] = {}
        self._left: dict[int, Entry] = {}
        self._plain = not self.extensions.any
        self._comments = 0
        timeout = self.extensions.timeout
        self._collector = None if timeout is None else Collector(timeout, self.now)

    @abstractmethod
    def show(self, place: int) -> str:
        """Print an element."""

    @abstractmethod
    def places(self, element: Element) -> range:
        """Return the places that a command adds or deletes. IpsetError if some are out of the set's range."""

    @abstractmethod
    def packet_place(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        """Return a packet's place, None if it has none in the range."""

    def _collect(self) -> None:
        if self._collector is not None and self._collector.due(self.now, 1):
            now = self.now
            for place in [place for place, entry in self._entries.items() if entry.deadline < now]:
                self._leave(place)

    def _leave(self, place: int) -> None:
        entry = self._entries.pop(place)
        self._comments -= comment_size(entry)
        if self.extensions.counters:
            self._left[place] = entry

    def _put(self, place: int, given: Given, *, exist: bool) -> None:
        entry = self._entries.get(place)
        if entry is None:
            entry = self._left.pop(place, None) or (PLAIN if self._plain else Entry())
            entry_comment = 0
        elif exist or entry.deadline < self.now:
            entry_comment = comment_size(entry)
        else:
            raise ElementError(EXISTS)
        self._entries[place] = entry
        if not self._plain:
            self.extensions.fill(entry, given, self.now)
            self._comments += comment_size(entry) - entry_comment

    def _take(self, place: int) -> bool:
        entry = self._entries.get(place)
        if entry is None:
            return False
        over = entry.deadline < self.now
        self._leave(place)
        return not over

    # For the command

    def add(self, element: Element, given: Given, *, exist: bool) -> None:
        self._collect()
        places = self.places(element)
        self.extensions.check(given)
        for place in places:
            self._put(place, given, exist=exist)

    def delete(self, element: Element, *, exist: bool) -> None:
        self._collect()
        for place in self.places(element):
            if not self._take(place) and not exist:
                raise ElementError(NOT_ADDED)

    def test(self, element: Element, *, nomatch: bool) -> bool:
        entry = self._entries.get(self.places(element)[0])
        return entry is not None and entry.deadline >= self.now

    def flush(self) -> None:
        for place in list(self._entries):
            self._leave(place)

    def memory(self) -> int:
        self._collect()
        bitmap = -(-self.length // 64) * 8
        return self.structure + bitmap + self.extensions.size(0, 1) * self.length + self._comments

    def count(self) -> int:
        self._collect()
        return len(self._entries)

    def members(self) -> Iterator[Member]:
        now = self.now
        for place in sorted(self._entries):
            entry = self._entries[place]
            if entry.deadline >= now:
                yield Member(self.show(place), self.extensions.fields(entry, now))

    def resembles(self, other: IpSet) -> bool:
        return isinstance(other, BitmapSet) and self.header() == other.header()

    # For packets

    def find(self, skb: Skb, query: Query) -> Entry | None:
        place = self.packet_place(skb, query.sources)
        entry = None if place is None else self._entries.get(place)
        if entry is None or entry.deadline < self.now:
            return None
        return entry if not self.extensions.counters or count(entry, skb, query) else None

    def add_packet(self, skb: Skb, addition: Addition) -> bool:
        self._collect()
        place = self.packet_place(skb, addition.sources) if self.applies(addition.sources) else None
        if place is None:
            return False
        try:
            self._put(place, Given(addition.timeout, 1, len(skb.data) - skb.network), exist=addition.exist)
        except IpsetError:
            return False
        return True

    def delete_packet(self, skb: Skb, sources: tuple[bool, ...]) -> bool:
        place = self.packet_place(skb, sources) if self.applies(sources) else None
        return place is not None and self._take(place)
