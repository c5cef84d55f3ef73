"""hash:net,iface: a network with a link's name, or the beginning of names (ip_set_hash_netiface.c)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import Member, Ranges
from emulator.kernel.netfilter.ipset.create import CreateOptions
from emulator.kernel.netfilter.ipset.element import Element, interface, network_or_range, require_address
from emulator.kernel.netfilter.ipset.extension import Entry, Given
from emulator.kernel.netfilter.ipset.family import INET, INET6
from emulator.kernel.netfilter.ipset.type.hash_set import HashSet, Lengths, Sizes
from emulator.kernel.netfilter.ipset.type.ranges import networks

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Sets
    from emulator.kernel.skb import Skb

_Key = tuple[int, bool, str]


class HashNetIface(HashSet[_Key]):
    """A key is a network (an address, and 8 bits of prefix length), whether it is a bridge port, and the link's name.

    Only the network is hashed. Where an address's network is there with other links, larger ones are not looked at.
    """

    name = "hash:net,iface"
    aliases = ("netifacehash",)
    revision = 8
    element_help = "IP[/CIDR]|FROM-TO,[physdev:]IFACE"
    features = frozenset({"ip", "iface", "nomatch"})
    parts = (network_or_range, interface)
    add_flags = frozenset({"nomatch", "wildcard"})
    test_flags = frozenset({"nomatch"})
    networks = 1
    many_per_network = True
    ranges = Ranges(cidr=True, addresses=True)
    test_ranges = Ranges(cidr=True)
    structure: ClassVar[Sizes] = {INET: 440, INET6: 1216}
    element: ClassVar[Sizes] = {INET: 28, INET6: 40}

    def __init__(self, options: CreateOptions, sets: Sets) -> None:
        self._links: Counter[int] = Counter()  # how many links each network is there with
        self._wildcards: set[_Key] = set()
        super().__init__(options, sets)

    def words(self, key: _Key) -> tuple[int, ...]:
        return (*self.family.words(key[0] >> 8), int(key[1]) | (key[0] & 255) << 8 | 1 << 24)

    def show(self, key: _Key) -> str:
        network, physdev, link = key
        return f"{self.show_network(network >> 8, network & 255)},{'physdev:' if physdev else ''}{link}"

    def lengths(self, key: _Key) -> Lengths:
        return (key[0] & 255,)

    def cut(self, key: _Key, lengths: Lengths) -> _Key:
        (length,) = lengths
        return ((key[0] >> 8 & self.family.masks[length]) << 8 | length, key[1], key[2])

    def same_network(self, one: _Key, other: _Key) -> bool:
        return one[0] == other[0]

    def stored(self, key: _Key) -> _Key:
        if not self._wildcards:
            return key
        bucket = self.table.buckets.get(self.table.index(key))
        places = () if bucket is None else bucket.places
        return next((known for known in places if known is not None and self._covers(known, key)), key)

    def _covers(self, known: _Key, key: _Key) -> bool:
        return known == key or (known in self._wildcards and known[:2] == key[:2] and key[2].startswith(known[2]))

    def put(self, key: _Key, given: Given, *, exist: bool, grow: bool = True) -> bool:
        new = self.stored(key) not in self.table.entries
        added = super().put(key, given, exist=exist, grow=grow)
        if new and added and given.wildcard:
            self._wildcards.add(key)
        return added

    def _remember(self, key: _Key) -> None:
        super()._remember(key)
        self._links[key[0]] += 1

    def _forget(self, key: _Key, entry: Entry) -> None:
        super()._forget(key, entry)
        self._wildcards.discard(key)
        self._links[key[0]] -= 1
        if not self._links[key[0]]:
            del self._links[key[0]]

    def flush(self) -> None:
        super().flush()
        self._links.clear()
        self._wildcards.clear()

    def members(self) -> Iterator[Member]:
        wildcards = {self.show(key) for key in self._wildcards}
        for member in super().members():
            if member.text in wildcards:
                member.fields.insert(sum(name in ("timeout", "nomatch") for name, _ in member.fields), ("wildcard", ""))
            yield member

    def _networks(self, element: Element, to: int | None) -> Iterator[_Key]:
        address = require_address(element.ip)
        for network, length in networks(address, to, element.cidr, self.family, shortest=0):
            yield network << 8 | length, element.physdev, element.interface

    def single(self, element: Element) -> _Key:
        return next(self._networks(element, None))

    def expand(self, element: Element) -> Iterator[_Key]:
        return self._networks(element, element.ip_to)

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> _Key | None:
        link = skb.in_link if sources[1] else skb.out_link
        address = skb.saddr if sources[0] else skb.daddr
        return None if link is None else (address << 8 | 32, False, link.name)

    def search(self, key: _Key, accept: Callable[[Entry], bool]) -> Entry | None:
        for lengths in self._lengths:
            network = self.cut(key, lengths)
            entry = self.table.entries.get(self.stored(network))
            if entry is not None and accept(entry):
                return entry
            if entry is None and network[0] in self._links:
                return None
        return None
