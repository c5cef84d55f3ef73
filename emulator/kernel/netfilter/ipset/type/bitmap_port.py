"""bitmap:port: ports of a range, whatever the protocol: what kube-proxy has node ports in (ip_set_bitmap_port.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.ipset.base import EXTENSIONS, Ranges
from emulator.kernel.netfilter.ipset.create import CreateOptions
from emulator.kernel.netfilter.ipset.element import Element, tcp_udp_port
from emulator.kernel.netfilter.ipset.error import OUT_OF_RANGE, IpsetError, IpsetUsageError
from emulator.kernel.netfilter.ipset.family import UNSPEC
from emulator.kernel.netfilter.ipset.port import TCP, UDP, packet_port, parse_tcp_udp_port
from emulator.kernel.netfilter.ipset.type.bitmap_set import BitmapSet

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Sets
    from emulator.kernel.skb import Skb


class BitmapPort(BitmapSet):
    """Places count from the first port."""

    name = "bitmap:port"
    aliases = ("portmap",)
    revision = 3
    element_help = "[PROTO:]PORT|FROM-TO"
    families = ()
    features = frozenset({"port"})
    parts = (tcp_udp_port,)
    create_options = EXTENSIONS | {"range", "from", "to"}
    ranges = Ranges(ports=True)
    structure = 72

    def __init__(self, options: CreateOptions, sets: Sets) -> None:
        self._first, self._last = sorted((options.first, options.last))
        super().__init__(options, sets, self._last - self._first + 1)

    @classmethod
    def parse_range(cls, text: str) -> dict[str, int]:
        first, last = parse_tcp_udp_port(text, UNSPEC)
        if last is None:
            raise IpsetUsageError("Mandatory option `to' is missing")
        return {"first": first, "last": last}

    def show(self, place: int) -> str:
        return str(self._first + place)

    def header(self) -> list[tuple[str, str]]:
        return [("range", f"{self._first}-{self._last}"), *self.extensions.header()]

    def places(self, element: Element) -> range:
        port = element.port or 0
        low, high = sorted((port, port if element.port_to is None else element.port_to))
        if low < self._first or high > self._last:
            raise IpsetError(OUT_OF_RANGE)
        return range(low - self._first, high - self._first + 1)

    def packet_text(self, skb: Skb, sources: tuple[bool, ...]) -> str:
        port = packet_port(skb, sources[0]) if skb.protocol in (TCP, UDP) else None
        return "" if port is None else f"port {port}"

    def packet_place(self, skb: Skb, sources: tuple[bool, ...]) -> int | None:
        port = packet_port(skb, sources[0]) if skb.protocol in (TCP, UDP) else None
        return port - self._first if port is not None and self._first <= port <= self._last else None
