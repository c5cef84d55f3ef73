"""hash:net,net: two networks (ip_set_hash_netnet.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import Ranges
from emulator.kernel.netfilter.ipset.element import Element, network_or_range, require_address, second_network
from emulator.kernel.netfilter.ipset.family import INET, INET6
from emulator.kernel.netfilter.ipset.type.hash_set import HASH_OPTIONS, Lengths, Sizes
from emulator.kernel.netfilter.ipset.type.masked import MaskedSet
from emulator.kernel.netfilter.ipset.type.ranges import networks

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb


class HashNetNet(MaskedSet[int]):
    """A key is the two addresses, and 8 bits of prefix length for each."""

    name = "hash:net,net"
    aliases = ("netnethash",)
    revision = 4
    element_help = "IP[/CIDR]|FROM-TO,IP[/CIDR]|FROM-TO"
    features = frozenset({"ip", "ip2", "nomatch"})
    parts = (network_or_range, second_network)
    create_options = HASH_OPTIONS | {"netmask", "bitmask"}
    add_flags = test_flags = frozenset({"nomatch"})
    networks = 2
    ranges = Ranges(cidr=True, addresses=True)
    test_ranges = Ranges(cidr=True)
    structure: ClassVar[Sizes] = {INET: 568, INET6: 1744}
    own_header_at = 99  # last
    element: ClassVar[Sizes] = {INET: 12, INET6: 36}

    def _split(self, key: int) -> tuple[int, int, int, int]:
        both, bits = key >> 16, self.family.bits
        return both >> bits, both & self.family.masks[-1], key >> 8 & 255, key & 255

    def _join(self, first: int, second: int, length: int, length2: int) -> int:
        masks = self.family.masks
        return ((first & masks[length]) << self.family.bits | second & masks[length2]) << 16 | length << 8 | length2

    def words(self, key: int) -> tuple[int, ...]:
        first, second, length, length2 = self._split(key)
        words = self.family.words
        return (*words(first), *words(second), length << 16 | length2 << 24)

    def show(self, key: int) -> str:
        first, second, length, length2 = self._split(key)
        return f"{self.show_network(first, length)},{self.show_network(second, length2)}"

    def lengths(self, key: int) -> Lengths:
        return key >> 8 & 255, key & 255

    def cut(self, key: int, lengths: Lengths) -> int:
        first, second, _, _ = self._split(key)
        return self._join(first, second, *lengths)

    def single(self, element: Element) -> int:
        first, length = next(networks(require_address(element.ip) & self.mask, None, element.cidr, self.family))
        second, length2 = next(networks(require_address(element.ip2) & self.mask, None, element.cidr2, self.family))
        return self._join(first, second, length, length2)

    def expand(self, element: Element) -> Iterator[int]:
        one, other = require_address(element.ip) & self.mask, require_address(element.ip2) & self.mask
        second = list(networks(other, element.ip2_to, element.cidr2, self.family))
        for first, length in networks(one, element.ip_to, element.cidr, self.family):
            for address, length2 in second:
                yield self._join(first, address, length, length2)

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> int:
        first = skb.saddr if sources[0] else skb.daddr
        second = skb.saddr if sources[1] else skb.daddr
        return self._join(first & self.mask, second & self.mask, 32, 32)
