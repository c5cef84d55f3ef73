"""A link that swallows what is sent (drivers/net/dummy.c); kube-proxy's ipvs mode binds its VIPs to one."""

from __future__ import annotations

from emulator.kernel.link.link import Link
from emulator.kernel.skb import Skb


class Dummy(Link):
    """`ip link add NAME type dummy`."""

    kind = "dummy"
    arp = False

    def send(self, skb: Skb) -> None:
        """Swallow the frame, counted as sent."""
