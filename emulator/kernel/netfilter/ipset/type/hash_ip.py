"""hash:ip: addresses, or networks of one size where the set has a netmask (ip_set_hash_ip.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import Ranges
from emulator.kernel.netfilter.ipset.element import Element, address_or_range, require_address
from emulator.kernel.netfilter.ipset.error import NULL, IpsetError
from emulator.kernel.netfilter.ipset.family import INET, INET6
from emulator.kernel.netfilter.ipset.type.hash_set import HASH_OPTIONS, Sizes
from emulator.kernel.netfilter.ipset.type.masked import MaskedSet
from emulator.kernel.netfilter.ipset.type.ranges import span

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb


class HashIp(MaskedSet[int]):
    """A key is an address."""

    name = "hash:ip"
    aliases = ("iphash",)
    revision = 6
    element_help = "IP"
    features = frozenset({"ip"})
    parts = (address_or_range,)
    create_options = HASH_OPTIONS | {"netmask", "bitmask"}
    ranges = test_ranges = Ranges(cidr=True, addresses=True)
    structure: ClassVar[Sizes] = {INET: 168, INET6: 176}
    element: ClassVar[Sizes] = {INET: 4, INET6: 16}

    def words(self, key: int) -> tuple[int, ...]:
        return self.family.words(key)

    def show(self, key: int) -> str:
        return self.family.format(key)

    def single(self, element: Element) -> int:
        address = require_address(element.ip) & self.mask
        if not address:
            raise IpsetError(NULL)
        return address

    def expand(self, element: Element) -> Iterator[int]:
        address = self.single(element)
        first, last = span(address, element.ip_to, element.cidr, self.family)
        if not first:
            raise IpsetError(NULL)
        yield from range(first, last + 1, self.step)

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        return (skb.saddr if sources[0] else skb.daddr) & self.mask or None
