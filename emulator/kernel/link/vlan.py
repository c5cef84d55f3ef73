"""802.1Q links: frames with one VLAN's tag on another link, seen without it (net/8021q/vlan_dev.c, vlan_core.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.link.link import TAG_OFFSET, Link

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

TPID = 0x8100


class Vlan(Link):
    """`ip link add link PARENT name NAME type vlan id VLAN`. The tag's priority is 0 on the way out."""

    kind = "vlan"
    tso_max_size = 0  # several TCP segments in one frame are cut before they are tagged

    def __init__(
        self, netns: Netns, name: str, parent: Link, vlan: int, *, mac: int | None = None, tpid: int = TPID
    ) -> None:
        super().__init__(netns, name, parent.mac if mac is None else mac, parent.mtu)
        self.parent = parent
        self.vlan = vlan
        self.tag = tpid.to_bytes(2, "big") + vlan.to_bytes(2, "big")
        self._key = tpid << 16 | vlan
        parent.vlans[self._key] = self

    @property
    def protocol(self) -> str:
        """As iproute2 writes it."""
        return "802.1Q" if self._key >> 16 == TPID else "802.1ad"

    @property
    def carrier(self) -> bool:
        """A VLAN has carrier while its parent has."""
        return self.up and self.parent.carrier

    def send(self, skb: Skb) -> None:
        """Put the tag in, and send on the parent."""
        skb.data[TAG_OFFSET:TAG_OFFSET] = self.tag
        self.parent.transmit(skb)

    def closing(self) -> None:
        """Let go of the parent."""
        self.parent.vlans = {key: vlan for key, vlan in self.parent.vlans.items() if vlan is not self}
