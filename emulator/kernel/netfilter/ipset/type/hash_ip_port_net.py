"""hash:ip,port,net: an address with a protocol and port, and a network (ip_set_hash_ipportnet.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import Ranges
from emulator.kernel.netfilter.ipset.element import (
    Element,
    address_or_range,
    proto_port,
    require_address,
    second_network,
)
from emulator.kernel.netfilter.ipset.family import INET, INET6
from emulator.kernel.netfilter.ipset.port import format_proto_port, packet_port
from emulator.kernel.netfilter.ipset.type.hash_set import HashSet, Lengths, Sizes
from emulator.kernel.netfilter.ipset.type.ranges import networks, port_span, span

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb


class HashIpPortNet(HashSet[int]):
    """A key is address, network, 8 bits of protocol, 16 bits of port and 8 bits of the network's prefix length."""

    name = "hash:ip,port,net"
    aliases = ("ipportnethash",)
    revision = 8
    element_help = "IP,[PROTO:]PORT,IP[/CIDR]"
    features = frozenset({"ip", "port", "ip2", "nomatch"})
    parts = (address_or_range, proto_port, second_network)
    add_flags = test_flags = frozenset({"nomatch"})
    networks = 1
    ranges = Ranges(cidr=True, addresses=True, ports=True)
    structure: ClassVar[Sizes] = {INET: 416, INET6: 1208}
    element: ClassVar[Sizes] = {INET: 12, INET6: 36}

    def words(self, key: int) -> tuple[int, ...]:
        both, words = key >> 32, self.family.words
        first, second = both >> self.family.bits, both & self.family.masks[-1]
        protocol, port, length = key >> 24 & 255, key >> 8 & 0xFFFF, key & 255
        return (*words(first), *words(second), port >> 8 | (port & 255) << 8 | length - 1 << 16 | protocol << 24)

    def show(self, key: int) -> str:
        both = key >> 32
        first, second = both >> self.family.bits, both & self.family.masks[-1]
        port = format_proto_port(key >> 24 & 255, key >> 8 & 0xFFFF)
        return f"{self.family.format(first)},{port},{self.show_network(second, key & 255)}"

    def lengths(self, key: int) -> Lengths:
        return (key & 255,)

    def cut(self, key: int, lengths: Lengths) -> int:
        (length,) = lengths
        bits = self.family.bits
        kept = self.family.masks[bits] << bits | self.family.masks[length]
        return ((key >> 32 & kept) << 24 | key >> 8 & 0xFFFFFF) << 8 | length

    def _key(self, first: int, network: tuple[int, int], protocol: int, port: int) -> int:
        return (first << self.family.bits | network[0]) << 32 | protocol << 24 | port << 8 | network[1]

    def single(self, element: Element) -> int:
        network = next(networks(require_address(element.ip2), None, element.cidr2, self.family))
        return self._key(require_address(element.ip), network, element.proto or 0, port_span(element)[0])

    def expand(self, element: Element) -> Iterator[int]:
        second = list(networks(require_address(element.ip2), element.ip2_to, element.cidr2, self.family))
        first, last = span(require_address(element.ip), element.ip_to, element.cidr, self.family)
        low, high = port_span(element)
        for address in range(first, last + 1):
            for port in range(low, high + 1):
                for network in second:
                    yield self._key(address, network, element.proto or 0, port)

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        port = packet_port(skb, sources[1])
        if port is None:
            return None
        first = skb.saddr if sources[0] else skb.daddr
        second = skb.saddr if sources[2] else skb.daddr
        return (first << 32 | second) << 32 | skb.protocol << 24 | port << 8 | 32
