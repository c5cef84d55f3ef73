"""A link at the bundle's edge: what the node sends there is reported, and packets of capture files come in there.

So is every link whose other end is not in the bundle: NICs, veths of pods, tunnels. What a tunnel would wrap around a
packet is not made here: the packet is reported as it enters the tunnel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.link.link import HEADER_LENGTH, Link

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

Emit = Callable[["EdgeLink", bytes], None]
"""Called with each frame that the node sends: from the IP header on where the link has no Ethernet header."""


class EdgeLink(Link):
    """`ethernet`: whether its frames have an Ethernet header. `upper`: the bond or team that it is a slave of."""

    kind = "nic"

    def __init__(self, netns: Netns, name: str, mac: int, mtu: int, emit: Emit) -> None:
        super().__init__(netns, name, mac, mtu)
        self.ethernet = True
        self.has_carrier = True
        self.upper: Link | None = None
        self._emit = emit

    @property
    def carrier(self) -> bool:
        """As links.json says."""
        return self.up and self.has_carrier

    def receive(self, skb: Skb) -> None:
        """Take a frame in, or hand it to the bond (bond_handle_frame)."""
        if self.upper is not None and self.up:
            self.counters.rx_packets += 1
            self.counters.rx_bytes += len(skb.data)
            self.upper.receive(skb)
        else:
            super().receive(skb)

    def send(self, skb: Skb) -> None:
        """Report a frame; without a carrier there is no queue to put it in (noop_qdisc)."""
        if not self.has_carrier:
            self.refuse(skb, DropReason.DEV_READY)
            return
        if skb.record is not None:
            skb.record.left = True
        self._emit(self, bytes(skb.data) if self.ethernet else bytes(skb.data[HEADER_LENGTH:]))
