"""A pair of links, each of which receives what the other sends: how a pod is plugged in (drivers/net/veth.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.link.link import HEADER_LENGTH, VLAN_TAG_LENGTH, Link
from emulator.kernel.skb import Skb

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns


class Veth(Link):
    """One end of a pair; make both with `pair`."""

    kind = "veth"
    detects_carrier = True

    def send(self, skb: Skb) -> None:
        """Queue the frame at the other end, without what must not leave the namespace."""
        peer = self.peer
        if peer is None or not peer.up:
            self.refuse(skb, DropReason.DEV_READY)
            return
        if len(skb.data) > peer.mtu + HEADER_LENGTH + VLAN_TAG_LENGTH and not skb.gso_size:  # is_skb_forwardable
            self.refuse(skb, DropReason.PKT_TOO_BIG)
            return
        mark = skb.mark
        skb.forget_ownership()
        if peer.netns is self.netns:
            skb.mark = mark
        self.netns.kernel.enqueue(peer, skb)

    @property
    def carrier(self) -> bool:
        """A veth has carrier while both ends are up."""
        return self.up and self.peer is not None and self.peer.up

    def closing(self) -> None:
        """Delete the other end too, as `ip link del` does."""
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.peer = None
            peer.netns.remove_link(peer)


def pair(
    netns_a: Netns, name_a: str, netns_b: Netns, name_b: str, mac_a: int, mac_b: int, mtu: int = 1500
) -> tuple[Veth, Veth]:
    """`ip link add NAME_A type veth peer name NAME_B`: both ends, down."""
    a = Veth(netns_a, name_a, mac_a, mtu)
    b = Veth(netns_b, name_b, mac_b, mtu)
    a.peer, b.peer = b, a
    a.counters.carrier_changes = b.counters.carrier_changes = 1  # off, until both are up
    return a, b
