"""What a set is: named elements of one type, for the `ipset` command to change and for rules to ask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from emulator.kernel.netfilter.ipset.create import CreateOptions
from emulator.kernel.netfilter.ipset.extension import Entry, Given
from emulator.kernel.netfilter.ipset.family import INET, INET6, UNSPEC, Family

if TYPE_CHECKING:
    from emulator.kernel.kernel import Kernel
    from emulator.kernel.netfilter.ipset.element import Element, Part
    from emulator.kernel.netfilter.ipset.query import Addition, Query
    from emulator.kernel.netfilter.ipset.sets import Sets
    from emulator.kernel.skb import Skb

EXTENSIONS = frozenset({"timeout", "counters", "comment", "skbinfo"})


class Member(NamedTuple):
    """One element, printed: itself, and the fields of its extensions as (name, value); the value "" is a flag."""

    text: str
    fields: list[tuple[str, str]]


class Ranges(NamedTuple):
    """Which forms of an element beside one address and one port a command takes."""

    cidr: bool = False
    addresses: bool = False
    ports: bool = False


class IpSet(ABC):
    """Its name is not its own but its slot's (`Sets`), since two sets may be swapped."""

    name: ClassVar[str]  # of the type
    aliases: ClassVar[tuple[str, ...]] = ()
    revision: ClassVar[int]
    families: ClassVar[tuple[Family, ...]] = (INET, INET6)
    features: ClassVar[frozenset[str]]
    parts: ClassVar[Sequence[Part]]
    element_help: ClassVar[str]
    last_part_optional: ClassVar[bool] = False
    create_options: ClassVar[frozenset[str]] = EXTENSIONS
    add_flags: ClassVar[frozenset[str]] = frozenset()  # words of `add` beside those of extensions
    test_flags: ClassVar[frozenset[str]] = frozenset()
    ranges: ClassVar[Ranges] = Ranges()  # in add and del
    test_ranges: ClassVar[Ranges] = Ranges()

    def __init__(self, options: CreateOptions, sets: Sets) -> None:
        self.family = options.family
        self.extensions = options.extensions
        self.dimension = len(self.parts)  # how many of the packet's values a rule must name
        self._kernel: Kernel = sets.kernel

    @classmethod
    def default_family(cls) -> Family:
        """Return what the family is if it is not given."""
        return cls.families[0] if cls.families else UNSPEC

    @classmethod
    def parse_range(cls, text: str) -> dict[str, int]:
        """Read `range` of a bitmap type."""
        raise NotImplementedError

    @property
    def now(self) -> float:
        """The time."""
        return self._kernel.now

    # For the command

    @abstractmethod
    def add(self, element: Element, given: Given, *, exist: bool) -> None:
        """Add an element, or all of a range. IpsetError; what came before the fault in a range stays."""

    @abstractmethod
    def delete(self, element: Element, *, exist: bool) -> None:
        """Delete an element, or all of a range."""

    @abstractmethod
    def test(self, element: Element, *, nomatch: bool) -> bool:
        """Whether an element is there; with `nomatch` whether it is one that is excepted."""

    @abstractmethod
    def flush(self) -> None:
        """Delete all elements."""

    @abstractmethod
    def header(self) -> list[tuple[str, str]]:
        """Return the options that it was made with, as (name, value); the value "" is a flag."""

    @abstractmethod
    def memory(self) -> int:
        """Return the bytes that the kernel says that it takes."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of elements that the kernel says that it has."""

    @abstractmethod
    def members(self) -> Iterator[Member]:
        """Yield the elements, in the kernel's order."""

    @abstractmethod
    def resembles(self, other: IpSet) -> bool:
        """Whether another set of the type was made with the same options, as `-exist create` asks."""

    def close(self) -> None:
        """Let go of what it holds, because it is destroyed."""
        self.flush()

    # For packets

    @abstractmethod
    def find(self, skb: Skb, query: Query) -> Entry | None:
        """Return the element that a packet meets, excepted ones included."""

    def packet_text(self, skb: Skb, sources: tuple[bool, ...]) -> str:
        """Print what a packet is looked up as; empty if that cannot be told."""
        return ""

    @abstractmethod
    def add_packet(self, skb: Skb, addition: Addition) -> bool:
        """Add what a packet has there. False if that cannot be."""

    @abstractmethod
    def delete_packet(self, skb: Skb, sources: tuple[bool, ...]) -> bool:
        """Delete what a packet has there."""

    def show_network(self, address: int, length: int) -> str:
        """Print a network; one of a single address without its length."""
        text = self.family.format(address)
        return text if length == self.family.bits else f"{text}/{length}"

    def applies(self, sources: tuple[bool, ...]) -> bool:
        """Whether a rule names enough of the packet, which is an IPv4 packet."""
        return len(sources) >= self.dimension and self.family is not INET6

    def match(self, skb: Skb, query: Query) -> Entry | None:
        """Return the element that makes a packet match, or None (ip_set_test)."""
        if not self.applies(query.sources):
            return None
        entry = self.find(skb, query)
        if entry is None:
            return None
        wanted = query.return_nomatch and "nomatch" in self.features
        return entry if entry.nomatch is wanted else None


def count(entry: Entry, skb: Skb, query: Query) -> bool:
    """Count a packet at an element, and then say whether its counters are what the rule wants."""
    if query.update_counters:
        entry.packets += 1
        entry.bytes += len(skb.data) - skb.network
    return query.accepts(entry)
