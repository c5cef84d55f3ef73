"""hash:ip,mark: an address with the packet's mark (ip_set_hash_ipmark.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.base import Ranges
from emulator.kernel.netfilter.ipset.create import CreateOptions
from emulator.kernel.netfilter.ipset.element import Element, address_or_range, mark, require_address
from emulator.kernel.netfilter.ipset.error import NULL, IpsetError
from emulator.kernel.netfilter.ipset.family import INET, INET6
from emulator.kernel.netfilter.ipset.type.hash_set import HASH_OPTIONS, HashSet, Sizes
from emulator.kernel.netfilter.ipset.type.ranges import span

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Sets
    from emulator.kernel.skb import Skb

_U32 = 0xFFFFFFFF


class HashIpMark(HashSet[int]):
    """A key is an address and 32 bits of mark, which the set's `markmask` has cut."""

    name = "hash:ip,mark"
    aliases = ("ipmarkhash",)
    revision = 3
    element_help = "IP,MARK"
    features = frozenset({"ip", "mark"})
    parts = (address_or_range, mark)
    create_options = HASH_OPTIONS | {"markmask"}
    ranges = test_ranges = Ranges(cidr=True, addresses=True)
    structure: ClassVar[Sizes] = {INET: 152, INET6: 168}
    own_header_at = 1
    element: ClassVar[Sizes] = {INET: 8, INET6: 20}

    def __init__(self, options: CreateOptions, sets: Sets) -> None:
        super().__init__(options, sets)
        self._markmask = options.markmask
        if not self._markmask:
            raise IpsetError("The value of the markmask parameter is invalid")

    def own_header(self) -> list[tuple[str, str]]:
        return [("markmask", f"0x{self._markmask:08x}")]

    def words(self, key: int) -> tuple[int, ...]:
        return (*self.family.words(key >> 32), key & _U32)

    def show(self, key: int) -> str:
        return f"{self.family.format(key >> 32)},0x{key & _U32:08x}"

    def single(self, element: Element) -> int:
        key = require_address(element.ip) << 32 | (element.mark or 0) & self._markmask
        if not key:
            raise IpsetError(NULL)
        return key

    def expand(self, element: Element) -> Iterator[int]:
        key = self.single(element)
        first, last = span(key >> 32, element.ip_to, element.cidr, self.family)
        for address in range(first, last + 1):
            yield address << 32 | key & _U32

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        return (skb.saddr if sources[0] else skb.daddr) << 32 | skb.mark & self._markmask or None
