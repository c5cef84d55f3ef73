"""hash:mac: addresses of Ethernet (ip_set_hash_mac.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from emulator.kernel.netfilter.ipset.element import Element, ether
from emulator.kernel.netfilter.ipset.error import NULL, IpsetError
from emulator.kernel.netfilter.ipset.family import UNSPEC
from emulator.kernel.netfilter.ipset.type.hash_set import HASH_OPTIONS, HashSet, Sizes
from emulator.packet.address import mac_from_bytes

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb


class HashMac(HashSet[int]):
    """A key is a MAC address."""

    name = "hash:mac"
    aliases = ("machash",)
    revision = 1
    families = ()
    element_help = "MAC"
    features = frozenset({"mac"})
    parts = (ether,)
    create_options = HASH_OPTIONS - {"family"}
    structure: ClassVar[Sizes] = {UNSPEC: 152}
    element: ClassVar[Sizes] = {UNSPEC: 8}

    def words(self, key: int) -> tuple[int, ...]:
        octets = key.to_bytes(6, "big")
        return int.from_bytes(octets[:4], "little"), int.from_bytes(octets[4:], "little")

    def show(self, key: int) -> str:
        return key.to_bytes(6, "big").hex(":").upper()

    def single(self, element: Element) -> int:
        if not element.ether:
            raise IpsetError(NULL)
        return element.ether

    def expand(self, element: Element) -> Iterator[int]:
        yield self.single(element)

    def packet_key(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        if skb.in_link is None:  # a packet of our own has no Ethernet header yet
            return None
        return mac_from_bytes(skb.data, 6 if sources[0] else 0) or None
