"""hash:net: networks of any size, and exceptions to them with `nomatch` (ip_set_hash_net.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import Ranges
from emulator.kernel.netfilter.ipset.element import Element, network_or_range, require_address
from emulator.kernel.netfilter.ipset.family import INET, INET6
from emulator.kernel.netfilter.ipset.type.hash_set import HashSet, Lengths, Sizes
from emulator.kernel.netfilter.ipset.type.ranges import networks

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb


class HashNet(HashSet[int]):
    """A key is an address and, in the lowest 8 bits, a prefix length."""

    name = "hash:net"
    aliases = ("nethash",)
    revision = 7
    element_help = "IP[/CIDR]|FROM-TO"
    features = frozenset({"ip", "nomatch"})
    parts = (network_or_range,)
    add_flags = test_flags = frozenset({"nomatch"})
    networks = 1
    ranges = Ranges(cidr=True, addresses=True)
    test_ranges = Ranges(cidr=True)
    structure: ClassVar[Sizes] = {INET: 408, INET6: 1192}
    element: ClassVar[Sizes] = {INET: 8, INET6: 20}

    def words(self, key: int) -> tuple[int, ...]:
        return (*self.family.words(key >> 8), (key & 255) << 24)

    def show(self, key: int) -> str:
        return self.show_network(key >> 8, key & 255)

    def lengths(self, key: int) -> Lengths:
        return (key & 255,)

    def cut(self, key: int, lengths: Lengths) -> int:
        (length,) = lengths
        return (key >> 8 & self.family.masks[length]) << 8 | length

    def single(self, element: Element) -> int:
        address, length = next(networks(require_address(element.ip), None, element.cidr, self.family))
        return address << 8 | length

    def expand(self, element: Element) -> Iterator[int]:
        for address, length in networks(require_address(element.ip), element.ip_to, element.cidr, self.family):
            yield address << 8 | length

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> int:
        return (skb.saddr if sources[0] else skb.daddr) << 8 | 32
