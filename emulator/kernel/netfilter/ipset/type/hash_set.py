"""What the hash types have in common: the table, growth, timeouts, prefix lengths (ip_set_hash_gen.h)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from emulator.kernel.jhash import jhash2
from emulator.kernel.netfilter.ipset.base import EXTENSIONS, IpSet, Member, count
from emulator.kernel.netfilter.ipset.create import MOST_PER_BUCKET, SMALLEST_HASHSIZE, CreateOptions
from emulator.kernel.netfilter.ipset.error import EXISTS, FULL, NOT_ADDED, ElementError, IpsetError
from emulator.kernel.netfilter.ipset.extension import EXCEPTED, PLAIN, Entry, Given, comment_size
from emulator.kernel.netfilter.ipset.family import Family
from emulator.kernel.netfilter.ipset.type.gc import Collector
from emulator.kernel.netfilter.ipset.type.hash_table import STEP, HashTable, Keys, Placed

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.element import Element
    from emulator.kernel.netfilter.ipset.query import Addition, Query
    from emulator.kernel.netfilter.ipset.sets import Sets
    from emulator.kernel.skb import Skb

Key = TypeVar("Key", bound=Hashable)

Sizes = Mapping[Family, int]  # bytes in the kernel's memory
Lengths = tuple[int, ...]  # of the prefixes of an element's networks

HASH_OPTIONS = EXTENSIONS | {"family", "hashsize", "maxelem", "forceadd", "bucketsize", "initval"}


class HashSet(IpSet, Generic[Key]):
    """A type says how elements, packets and keys go together. Keys are small and equal for equal elements.

    Of types with networks `_counts` says how many elements have which prefix lengths: lookups try these, longest first.
    """

    create_options = HASH_OPTIONS
    structure: ClassVar[Sizes]  # bytes of the set's own structure in the kernel
    element: ClassVar[Sizes]  # bytes of an element without extensions
    own_header_at: ClassVar[int] = 3  # where `ipset` prints the type's own options: behind maxelem
    networks: ClassVar[int] = 0  # how many of an element's parts are networks
    many_per_network: ClassVar[bool] = False  # IP_SET_HASH_WITH_MULTI

    def __init__(self, options: CreateOptions, sets: Sets) -> None:
        super().__init__(options, sets)
        self.maxelem = options.maxelem
        self.forceadd = options.forceadd
        self.initval = sets.kernel.random.getrandbits(32) if options.initval is None else options.initval
        self._counts: tuple[dict[int, int], ...] = tuple({} for _ in range(self.networks))
        self._lengths: tuple[Lengths, ...] = ()  # all that are there, the first network's longest first
        self._plain = not self.extensions.any
        self._comments = 0
        timeout = self.extensions.timeout
        self._collector = None if timeout is None else Collector(timeout, self.now)
        keys = Keys(
            self._hash,
            self._forget,
            None if timeout is None else self._expired,
            self.same_network if self.many_per_network else None,
            self.extensions.counters,
        )
        self.table: HashTable[Key] = HashTable(
            (max(options.hashsize, SMALLEST_HASHSIZE) - 1).bit_length(),
            _bucket_size(options.bucketsize),
            self.extensions.size(self.element[self.family], 4),
            keys,
        )

    # What a type says

    @abstractmethod
    def words(self, key: Key) -> tuple[int, ...]:
        """Return the 32-bit words of an element that are hashed."""

    @abstractmethod
    def show(self, key: Key) -> str:
        """Print an element."""

    @abstractmethod
    def expand(self, element: Element) -> Iterable[Key]:
        """Return all elements of a range or network that a command adds or deletes, in the kernel's order."""

    @abstractmethod
    def single(self, element: Element) -> Key:
        """Return the element that a command tests."""

    @abstractmethod
    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> Key | None:
        """Return a packet's element, None if it has none; networks as the whole address."""

    def cut(self, key: Key, lengths: Lengths) -> Key:
        """Return an element with its networks cut to prefix lengths."""
        return key

    def lengths(self, key: Key) -> Lengths:
        """Return the prefix lengths of an element's networks, none for types without."""
        return ()

    def same_network(self, one: Key, other: Key) -> bool:
        """Whether two elements differ only in what is not hashed."""
        return False

    def own_header(self) -> list[tuple[str, str]]:
        """Return the type's own options."""
        return []

    # Elements

    def _hash(self, key: Key) -> int:
        return jhash2(self.words(key), self.initval)

    def _expired(self, key: Key) -> bool:
        return self.table.entries[key].deadline < self.now

    def _collect(self) -> None:
        """Remove what the kernel's garbage collection has removed by now."""
        if self._collector is not None:
            for region in self._collector.due(self.now, len(self.table.regions)):
                self.table.collect(region)

    def _forget(self, key: Key, entry: Entry) -> None:
        """Note that an element has left the table."""
        self._comments -= comment_size(entry)
        for counts, length in zip(self._counts, self.lengths(key), strict=True):
            counts[length] -= 1
            if not counts[length]:
                del counts[length]
                self._sort_lengths()

    def _remember(self, key: Key) -> None:
        """Note that an element is new in the table."""
        for counts, length in zip(self._counts, self.lengths(key), strict=True):
            known = counts.get(length, 0)
            counts[length] = known + 1
            if not known:
                self._sort_lengths()

    def _sort_lengths(self) -> None:
        self._lengths = tuple(product(*(sorted(counts, reverse=True) for counts in self._counts)))

    def put(self, key: Key, given: Given, *, exist: bool, grow: bool = True) -> bool:
        """Add one element. False if its bucket is full and the table may not `grow` (mtype_add)."""
        table = self.table
        key = self.stored(key)
        while True:
            index = table.index(key)
            full = self._is_full(table.region(index))
            entry = table.entries.get(key)
            if entry is not None:
                if not exist and not self._expired(key):
                    raise ElementError(EXISTS)
                self._write(key, entry, given)
                return True
            placed = table.add(
                key, index, lambda before: self._make(before, given), full=full, force=full and self.forceadd
            )
            if placed is Placed.ADDED:
                self._remember(key)
                return True
            if placed is Placed.SET_FULL:
                raise IpsetError(FULL)
            if not grow:
                return False
            table.grow()

    def _is_full(self, region: int) -> bool:
        """Whether no element may be added: a region may take its share even then, as in the kernel."""
        regions = self.table.regions
        if regions[region] < self.maxelem // len(regions):
            return False
        if self._collector is not None:
            self.table.collect(region)
        return sum(regions) >= self.maxelem

    def _make(self, before: Entry | None, given: Given) -> Entry:
        if self._plain:
            return EXCEPTED if given.nomatch else PLAIN
        entry = Entry(nomatch=given.nomatch)
        if before is not None and self.extensions.counters:
            entry.packets, entry.bytes = before.packets, before.bytes
        self.extensions.fill(entry, given, self.now)
        self._comments += comment_size(entry)
        return entry

    def _write(self, key: Key, entry: Entry, given: Given) -> None:
        """Write a known element's extensions and flags anew."""
        if self._plain:
            self.table.entries[key] = EXCEPTED if given.nomatch else PLAIN
            return
        entry.nomatch = given.nomatch
        self._comments -= comment_size(entry)
        self.extensions.fill(entry, given, self.now)
        self._comments += comment_size(entry)

    def stored(self, key: Key) -> Key:
        """Return the key under which the table has an element."""
        return key

    def take(self, key: Key) -> bool:
        """Delete one element; False if it is not there."""
        key = self.stored(key)
        entry = self.table.entries.get(key)
        if entry is None or entry.deadline < self.now:
            return False
        self.table.remove(key)
        return True

    # For the command

    def add(self, element: Element, given: Given, *, exist: bool) -> None:
        self._collect()
        self.extensions.check(given)
        for key in self.expand(element):
            self.put(key, given, exist=exist)

    def delete(self, element: Element, *, exist: bool) -> None:
        self._collect()
        for key in self.expand(element):
            if not self.take(key) and not exist:
                raise ElementError(NOT_ADDED)

    def test(self, element: Element, *, nomatch: bool) -> bool:
        key = self.single(element)
        whole = self.networks and set(self.lengths(key)) == {self.family.bits}
        entry = self.search(key, self._is_alive) if whole else self.table.entries.get(self.stored(key))
        return entry is not None and self._is_alive(entry) and entry.nomatch is nomatch

    def _is_alive(self, entry: Entry) -> bool:
        return entry.deadline >= self.now

    def flush(self) -> None:
        self.table.clear()
        for counts in self._counts:
            counts.clear()
        self._lengths = ()
        self._comments = 0

    def header(self) -> list[tuple[str, str]]:
        fields = [
            ("family", self.family.name),
            ("hashsize", str(1 << self.table.bits)),
            ("maxelem", str(self.maxelem)),
            *self.extensions.header(),
            ("bucketsize", str(self.table.bucket_size)),
            ("initval", f"0x{self.initval:08x}"),
        ]
        fields[self.own_header_at : self.own_header_at] = self.own_header()
        return fields if self.families else fields[1:]

    def memory(self) -> int:
        self._collect()
        return self.structure[self.family] + self.table.memory() + self._comments

    def count(self) -> int:
        if self._collector is None:
            return len(self.table.entries)
        now = self.now
        return sum(1 for entry in self.table.entries.values() if entry.deadline >= now)

    def members(self) -> Iterator[Member]:
        now = self.now
        for key in self.table:
            entry = self.table.entries[key]
            if entry.deadline >= now:
                yield Member(self.show(key), self.extensions.fields(entry, now))

    def resembles(self, other: IpSet) -> bool:
        return (
            isinstance(other, HashSet)
            and self.maxelem == other.maxelem
            and self.extensions == other.extensions
            and self.own_header() == other.own_header()
        )

    # For packets

    def find(self, skb: Skb, query: Query) -> Entry | None:
        key = self.packet_key(skb, query.sources)
        if key is None:
            return None
        if self.networks:
            return self.search(key, lambda entry: self._accept(entry, skb, query))
        entry = self.table.entries.get(key)
        return entry if entry is not None and self._accept(entry, skb, query) else None

    def search(self, key: Key, accept: Callable[[Entry], bool]) -> Entry | None:
        """Return the first network that an address is in and that is accepted (mtype_test_cidrs)."""
        entries, cut = self.table.entries, self.cut
        for lengths in self._lengths:
            entry = entries.get(cut(key, lengths))
            if entry is not None and accept(entry):
                return entry
        return None

    def _accept(self, entry: Entry, skb: Skb, query: Query) -> bool:
        """Whether an element counts for a packet, which is counted there (ip_set_match_extensions)."""
        if self._plain:
            return True
        if entry.deadline < self.now:
            return False
        return not self.extensions.counters or count(entry, skb, query)

    def packet_text(self, skb: Skb, sources: tuple[bool, ...]) -> str:
        key = self.packet_key(skb, sources)
        return "" if key is None else self.show(key)

    def _packet_element(self, skb: Skb, sources: tuple[bool, ...]) -> Key | None:
        """Return what a rule adds and deletes: networks with the longest prefix that the set has."""
        key = self.packet_key(skb, sources) if self.applies(sources) else None
        if key is None or not self._lengths:
            return key
        return self.cut(key, self._lengths[0])

    def add_packet(self, skb: Skb, addition: Addition) -> bool:
        self._collect()
        key = self._packet_element(skb, addition.sources)
        if key is None:
            return False
        given = Given(addition.timeout, 1, len(skb.data) - skb.network)
        try:
            return self.put(key, given, exist=addition.exist, grow=False)
        except IpsetError:
            return False

    def delete_packet(self, skb: Skb, sources: tuple[bool, ...]) -> bool:
        key = self._packet_element(skb, sources)
        return key is not None and self.take(key)


def _bucket_size(asked: int) -> int:
    """Return an even number of places from 2 to 12."""
    return min(max(asked + asked % STEP, STEP), MOST_PER_BUCKET)
