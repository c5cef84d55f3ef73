"""hash:ip,port: an address with a protocol and port (ip_set_hash_ipport.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import Ranges
from emulator.kernel.netfilter.ipset.element import Element, address_or_range, proto_port, require_address
from emulator.kernel.netfilter.ipset.error import INVALID, IpsetError
from emulator.kernel.netfilter.ipset.family import INET, INET6
from emulator.kernel.netfilter.ipset.port import format_proto_port, packet_port
from emulator.kernel.netfilter.ipset.type.hash_set import HASH_OPTIONS, Sizes
from emulator.kernel.netfilter.ipset.type.masked import MaskedSet
from emulator.kernel.netfilter.ipset.type.ranges import port_span, span

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb


class HashIpPort(MaskedSet[int]):
    """A key is an address, 8 bits of protocol and 16 bits of port."""

    name = "hash:ip,port"
    aliases = ("ipporthash",)
    revision = 7
    element_help = "IP,[PROTO:]PORT"
    features = frozenset({"ip", "port"})
    parts = (address_or_range, proto_port)
    create_options = HASH_OPTIONS | {"netmask", "bitmask"}
    ranges = Ranges(cidr=True, addresses=True, ports=True)
    structure: ClassVar[Sizes] = {INET: 168, INET6: 184}
    own_header_at = 99  # last
    element: ClassVar[Sizes] = {INET: 8, INET6: 20}

    def words(self, key: int) -> tuple[int, ...]:
        return (*self.family.words(key >> 24), key >> 8 & 255 | (key & 255) << 8 | key & 0xFF0000)

    def show(self, key: int) -> str:
        return f"{self.family.format(key >> 24)},{format_proto_port(key >> 16 & 255, key & 0xFFFF)}"

    def _address(self, element: Element) -> int:
        address = require_address(element.ip) & self.mask
        if not address:
            raise IpsetError(INVALID)
        return address

    def single(self, element: Element) -> int:
        address = self._address(element)
        return address << 24 | (element.proto or 0) << 16 | port_span(element)[0]

    def expand(self, element: Element) -> Iterator[int]:
        address = self._address(element)
        first, last = span(address, element.ip_to, element.cidr, self.family)
        low, high = port_span(element)
        protocol = (element.proto or 0) << 16
        for address in range(first, last + 1):
            for port in range(low, high + 1):
                yield address << 24 | protocol | port

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        port = packet_port(skb, sources[1])
        address = (skb.saddr if sources[0] else skb.daddr) & self.mask
        return None if port is None or not address else address << 24 | skb.protocol << 16 | port
