"""bitmap:ip: addresses of a range, or networks of one size there (ip_set_bitmap_ip.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipset.base import EXTENSIONS, Ranges
from emulator.kernel.netfilter.ipset.create import CreateOptions
from emulator.kernel.netfilter.ipset.element import Element, address_or_range, require_address, separator
from emulator.kernel.netfilter.ipset.error import OUT_OF_RANGE, IpsetError, IpsetSyntaxError
from emulator.kernel.netfilter.ipset.family import INET
from emulator.kernel.netfilter.ipset.type.bitmap_set import BitmapSet
from emulator.kernel.netfilter.ipset.type.ranges import span

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Sets
    from emulator.kernel.skb import Skb

_MOST = 0x10000
_TOO_MANY = "The range you specified exceeds the size limit of the set type"


class BitmapIp(BitmapSet):
    """Places count networks of the set's netmask from the first."""

    name = "bitmap:ip"
    aliases = ("ipmap",)
    revision = 3
    families = (INET,)
    element_help = "IP|IP/CIDR|FROM-TO"
    features = frozenset({"ip"})
    parts = (address_or_range,)
    create_options = EXTENSIONS | {"range", "from", "to", "network", "netmask"}
    ranges = Ranges(cidr=True, addresses=True)
    structure = 88

    def __init__(self, options: CreateOptions, sets: Sets) -> None:
        self._netmask = 32 if options.netmask is None else options.netmask
        mask = INET.masks[self._netmask]
        self._first = min(options.first, options.last) & mask
        self._last = max(options.first, options.last) | ~mask & 0xFFFFFFFF
        self._step = 1 << 32 - self._netmask
        length = (self._last - self._first + 1) // self._step
        if self._netmask < 32:
            length = 1 << self._netmask - _common_length(self._first, self._last, self._netmask)
        if length > _MOST:
            raise IpsetError(_TOO_MANY)
        super().__init__(options, sets, length)

    @classmethod
    def parse_range(cls, text: str) -> dict[str, int]:
        if separator(text, "-") < 0 and separator(text, "/") < 0:
            raise IpsetSyntaxError(f"IP/cidr or IP-IP range must be specified: {text}")
        element = Element(INET)
        address_or_range(element, text)
        first, last = span(require_address(element.ip), element.ip_to, element.cidr, INET, shortest=0)
        return {"first": first, "last": last}

    def show(self, place: int) -> str:
        return INET.format(self._first + place * self._step)

    def header(self) -> list[tuple[str, str]]:
        netmask = [] if self._netmask == 32 else [("netmask", str(self._netmask))]
        return [("range", f"{INET.format(self._first)}-{INET.format(self._last)}"), *netmask, *self.extensions.header()]

    def _place(self, address: int) -> int:
        return ((address & INET.masks[self._netmask]) - self._first) // self._step

    def places(self, element: Element) -> range:
        address = require_address(element.ip)
        if not self._first <= address <= self._last:
            raise IpsetError(OUT_OF_RANGE)
        first, last = span(address, element.ip_to, element.cidr, INET)
        if first < self._first or last > self._last:
            raise IpsetError(OUT_OF_RANGE)
        return range(self._place(first), self._place(first + (last - first) // self._step * self._step) + 1)

    def packet_text(self, skb: Skb, sources: tuple[bool, ...]) -> str:
        return INET.format(skb.saddr if sources[0] else skb.daddr)

    def packet_place(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        address = skb.saddr if sources[0] else skb.daddr
        return self._place(address) if self._first <= address <= self._last else None


def _common_length(first: int, last: int, netmask: int) -> int:
    """Return the length of the one network that the range is; it must be larger than an element (range_to_mask)."""
    length = 31
    while length > 0 and last & INET.masks[length] != first:
        length -= 1
    if (not length and (first or last != 0xFFFFFFFF)) or netmask <= length:
        raise IpsetError(OUT_OF_RANGE)
    return length
