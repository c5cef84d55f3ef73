"""hash:net,port: a network with a protocol and port (ip_set_hash_netport.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import Ranges
from emulator.kernel.netfilter.ipset.element import Element, network_or_range, proto_port, require_address
from emulator.kernel.netfilter.ipset.family import INET, INET6
from emulator.kernel.netfilter.ipset.port import format_proto_port, packet_port
from emulator.kernel.netfilter.ipset.type.hash_set import HashSet, Lengths, Sizes
from emulator.kernel.netfilter.ipset.type.ranges import networks, port_span

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb


class HashNetPort(HashSet[int]):
    """A key is a network's address, 8 bits of protocol, 16 bits of port and 8 bits of prefix length."""

    name = "hash:net,port"
    aliases = ("netporthash",)
    revision = 8
    element_help = "IP[/CIDR]|FROM-TO,[PROTO:]PORT"
    features = frozenset({"ip", "port", "nomatch"})
    parts = (network_or_range, proto_port)
    add_flags = test_flags = frozenset({"nomatch"})
    networks = 1
    ranges = Ranges(cidr=True, addresses=True, ports=True)
    test_ranges = Ranges(cidr=True)
    structure: ClassVar[Sizes] = {INET: 408, INET6: 1192}
    element: ClassVar[Sizes] = {INET: 8, INET6: 20}

    def words(self, key: int) -> tuple[int, ...]:
        protocol, port, length = key >> 24 & 255, key >> 8 & 0xFFFF, key & 255
        return (*self.family.words(key >> 32), port >> 8 | (port & 255) << 8 | protocol << 16 | length - 1 << 24)

    def show(self, key: int) -> str:
        port = format_proto_port(key >> 24 & 255, key >> 8 & 0xFFFF)
        return f"{self.show_network(key >> 32, key & 255)},{port}"

    def lengths(self, key: int) -> Lengths:
        return (key & 255,)

    def cut(self, key: int, lengths: Lengths) -> int:
        (length,) = lengths
        return ((key >> 32 & self.family.masks[length]) << 24 | key >> 8 & 0xFFFFFF) << 8 | length

    def single(self, element: Element) -> int:
        address, length = next(networks(require_address(element.ip), None, element.cidr, self.family))
        return address << 32 | (element.proto or 0) << 24 | port_span(element)[0] << 8 | length

    def expand(self, element: Element) -> Iterator[int]:
        low, high = port_span(element)
        for address, length in networks(require_address(element.ip), element.ip_to, element.cidr, self.family):
            for port in range(low, high + 1):
                yield address << 32 | (element.proto or 0) << 24 | port << 8 | length

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        port = packet_port(skb, sources[1])
        if port is None:
            return None
        return (skb.saddr if sources[0] else skb.daddr) << 32 | skb.protocol << 24 | port << 8 | 32
