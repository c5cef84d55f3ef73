"""What the hash types have in common: the table, growth, timeouts, prefix lengths (ip_set_hash_gen.h)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from emulator.kernel.netfilter.ipset.base import EXTENSIONS, IpSet, Member, count
from emulator.kernel.netfilter.ipset.create import MOST_PER_BUCKET, SMALLEST_HASHSIZE, CreateOptions
from emulator.kernel.netfilter.ipset.error import EXISTS, FULL, NOT_ADDED, ElementError, IpsetError
from emulator.kernel.netfilter.ipset.extension import EXCEPTED, PLAIN, Entry, Given, comment_size
from emulator.kernel.netfilter.ipset.family import Family
from emulator.kernel.netfilter.ipset.gc import Collector
from emulator.kernel.netfilter.ipset.table import STEP, HashTable, Keys, Placed
from emulator.kernel.netfilter.jhash import jhash2

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.element import Element
    from emulator.kernel.netfilter.ipset.query import Addition, Query
    from emulator.kernel.netfilter.ipset.sets import Sets
    from emulator.kernel.skb import Skb

Key = TypeVar("Key", bound=Hashable)

Sizes = Mapping[Family, int]  # bytes in the kernel's memory

HASH_OPTIONS = EXTENSIONS | {"family", "hashsize", "maxelem", "forceadd", "bucketsize", "initval"}


class HashSet(IpSet, Generic[Key]):
    """A type says how elements, packets and keys go together. Keys are small and equal for equal elements.

    A type with networks has `prefix_lengths`, how many of its elements have which: lookups try these, longest first.
    """

    create_options = HASH_OPTIONS
    structure: ClassVar[Sizes]  # bytes of the set's own structure in the kernel
    element: ClassVar[Sizes]  # bytes of an element without extensions
    own_header_last: ClassVar[bool] = False  # where `ipset` prints the type's own options
    many_per_network: ClassVar[bool] = False  # IP_SET_HASH_WITH_MULTI

    def __init__(self, options: CreateOptions, sets: Sets) -> None:
        super().__init__(options, sets)
        self.maxelem = options.maxelem
        self.forceadd = options.forceadd
        self.initval = sets.kernel.random.getrandbits(32) if options.initval is None else options.initval
        self.prefix_lengths: dict[int, int] = {}
        self._prefixes: tuple[int, ...] = ()
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

    def with_prefix(self, key: Key, length: int) -> Key:
        """Return an element with its network cut to a length."""
        raise NotImplementedError

    def prefix(self, key: Key) -> int | None:
        """Return the prefix length of an element's network, None for types without."""
        return None

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
        self._comments -= comment_size(entry)
        length = self.prefix(key)
        if length is not None:
            self.prefix_lengths[length] -= 1
            if not self.prefix_lengths[length]:
                del self.prefix_lengths[length]
                self._prefixes = tuple(sorted(self.prefix_lengths, reverse=True))

    def _remember(self, key: Key) -> None:
        length = self.prefix(key)
        if length is not None:
            known = self.prefix_lengths.get(length, 0)
            self.prefix_lengths[length] = known + 1
            if not known:
                self._prefixes = tuple(sorted(self.prefix_lengths, reverse=True))

    def put(self, key: Key, given: Given, *, exist: bool, grow: bool = True) -> bool:
        """Add one element. False if its bucket is full and the table may not `grow` (mtype_add)."""
        table = self.table
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

    def take(self, key: Key) -> bool:
        """Delete one element; False if it is not there."""
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
        for candidate in self.candidates(key) if self.prefix(key) == self.family.bits else (key,):
            entry = self.table.entries.get(candidate)
            if entry is not None and entry.deadline >= self.now:
                return entry.nomatch is nomatch
        return False

    def candidates(self, key: Key) -> Iterable[Key]:
        """Yield an address's element with each prefix length that is there, longest first."""
        return (self.with_prefix(key, length) for length in self._prefixes)

    def flush(self) -> None:
        self.table.clear()
        self.prefix_lengths.clear()
        self._prefixes = ()
        self._comments = 0

    def header(self) -> list[tuple[str, str]]:
        own = self.own_header()
        return [
            ("family", self.family.name),
            ("hashsize", str(1 << self.table.bits)),
            ("maxelem", str(self.maxelem)),
            *([] if self.own_header_last else own),
            *self.extensions.header(),
            ("bucketsize", str(self.table.bucket_size)),
            ("initval", f"0x{self.initval:08x}"),
            *(own if self.own_header_last else []),
        ]

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
        entries = self.table.entries
        if self._prefixes:
            for candidate in self.candidates(key):
                entry = entries.get(candidate)
                if entry is not None and self._accept(entry, skb, query):
                    return entry
            return None
        entry = entries.get(key)
        return entry if entry is not None and self._accept(entry, skb, query) else None

    def _accept(self, entry: Entry, skb: Skb, query: Query) -> bool:
        """Whether an element counts for a packet, which is counted there (ip_set_match_extensions)."""
        if self._plain:
            return True
        if entry.deadline < self.now:
            return False
        return not self.extensions.counters or count(entry, skb, query)

    def _packet_element(self, skb: Skb, sources: tuple[bool, ...]) -> Key | None:
        """Return what a rule adds and deletes: networks with the longest prefix that the set has."""
        key = self.packet_key(skb, sources) if self.applies(sources) else None
        if key is None or self.prefix(key) is None:
            return key
        return self.with_prefix(key, self._prefixes[0] if self._prefixes else self.family.bits)

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
