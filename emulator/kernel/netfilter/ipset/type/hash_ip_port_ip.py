"""hash:ip,port,ip: an address with a protocol and port, and another address (ip_set_hash_ipportip.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import Ranges
from emulator.kernel.netfilter.ipset.element import (
    Element,
    address_or_range,
    proto_port,
    require_address,
    second_address,
)
from emulator.kernel.netfilter.ipset.family import INET, INET6
from emulator.kernel.netfilter.ipset.port import format_proto_port, packet_port
from emulator.kernel.netfilter.ipset.type.hash_set import HashSet, Sizes
from emulator.kernel.netfilter.ipset.type.ranges import port_span, span

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb


class HashIpPortIp(HashSet[int]):
    """A key is the two addresses, 8 bits of protocol and 16 bits of port."""

    name = "hash:ip,port,ip"
    aliases = ("ipportiphash",)
    revision = 6
    element_help = "IP,[PROTO:]PORT,IP"
    features = frozenset({"ip", "port", "ip2"})
    parts = (address_or_range, proto_port, second_address)
    ranges = Ranges(cidr=True, addresses=True, ports=True)
    structure: ClassVar[Sizes] = {INET: 160, INET6: 184}
    element: ClassVar[Sizes] = {INET: 12, INET6: 36}

    def words(self, key: int) -> tuple[int, ...]:
        both, words = key >> 24, self.family.words
        first, second = both >> self.family.bits, both & self.family.masks[-1]
        return (*words(first), *words(second), key >> 8 & 255 | (key & 255) << 8 | key & 0xFF0000)

    def show(self, key: int) -> str:
        both, show = key >> 24, self.family.format
        first, second = both >> self.family.bits, both & self.family.masks[-1]
        return f"{show(first)},{format_proto_port(key >> 16 & 255, key & 0xFFFF)},{show(second)}"

    def _key(self, first: int, second: int, protocol: int, port: int) -> int:
        return (first << self.family.bits | second) << 24 | protocol << 16 | port

    def single(self, element: Element) -> int:
        first, second = require_address(element.ip), require_address(element.ip2)
        return self._key(first, second, element.proto or 0, port_span(element)[0])

    def expand(self, element: Element) -> Iterator[int]:
        second, protocol = require_address(element.ip2), element.proto or 0
        first, last = span(require_address(element.ip), element.ip_to, element.cidr, self.family)
        low, high = port_span(element)
        for address in range(first, last + 1):
            for port in range(low, high + 1):
                yield self._key(address, second, protocol, port)

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        port = packet_port(skb, sources[1])
        if port is None:
            return None
        first = skb.saddr if sources[0] else skb.daddr
        second = skb.saddr if sources[2] else skb.daddr
        return (first << 32 | second) << 24 | skb.protocol << 16 | port
