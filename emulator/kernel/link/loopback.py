"""The loopback link: what is sent comes in again, with its route and its connection (drivers/net/loopback.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.link.link import Link
from emulator.kernel.skb import Skb

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns

MTU = 65_536


class Loopback(Link):
    """`lo`; one in each namespace."""

    kind = "loopback"
    loopback = True
    netns_immutable = True
    arp = False

    def __init__(self, netns: Netns) -> None:
        super().__init__(netns, "lo", 0, MTU)

    def send(self, skb: Skb) -> None:
        """Queue the frame for reception here."""
        skb.socket = None
        self.netns.kernel.enqueue(self, skb)
