"""A network link: where frames enter and leave a namespace. Kinds (veth, bridge, NIC, ...) say what `send` means.

A received frame goes to the bridge that the link is a port of, or to the protocol its ethertype names
(net/core/dev.c, __netif_receive_skb_core; net/ethernet/eth.c, eth_type_trans).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.kernel import gso
from emulator.kernel.drop import DropReason
from emulator.kernel.link.address_list import AddressList
from emulator.kernel.routing.route import RouteError
from emulator.kernel.skb import PACKET_HOST, PACKET_OTHERHOST, PacketType, Skb
from emulator.kernel.trace import StepKind

if TYPE_CHECKING:
    from emulator.kernel.link.bridge import BridgePort
    from emulator.kernel.link.vlan import Vlan
    from emulator.kernel.netns import Netns

HEADER_LENGTH = 14
VLAN_TAG_LENGTH = 4
TAG_OFFSET = 12
ALL_HOSTS_GROUP = 0xE0000001

_IPV4 = b"\x08\x00"
_ARP = b"\x08\x06"
_BROADCAST = b"\xff" * 6
_VLAN_OF_TAG = 0xFFFF0FFF  # without the priority

Tap = Callable[["Link", str, Skb], None]
"""A capture: called with the link, "in" or "out", and the frame, which it must not change."""


class Counters:
    """What `ip -s link` shows; bytes are those of whole frames."""

    __slots__ = ("carrier_changes", "rx_bytes", "rx_dropped", "rx_packets", "tx_bytes", "tx_dropped", "tx_packets")

    def __init__(self) -> None:
        self.carrier_changes = 0
        self.rx_packets = self.rx_bytes = self.rx_dropped = 0
        self.tx_packets = self.tx_bytes = self.tx_dropped = 0


class Link:
    """The part that all kinds of links share. `mac` is an int; `conf` is net.ipv4.conf.NAME.

    `tso_max_size` is the longest frame of several TCP segments that the kind takes whole (TCP segmentation offload).
    """

    kind = "link"
    loopback = False
    arp = True
    netns_immutable = False
    detects_carrier = False  # whether the carrier is another thing than being up, and its coming and going counted
    tso_max_size = 65_550  # what moves frames in memory takes any that IP can have

    def __init__(self, netns: Netns, name: str, mac: int, mtu: int = 1500) -> None:
        self.name: str = name
        self.mtu = mtu
        self.netns = netns
        self.index: int = 0
        self.up = False
        self.queueing = False  # it has been up, and has had a queueing discipline since
        self.port: BridgePort | None = None
        self.addresses = AddressList()
        self.multicast_groups: set[int] = {ALL_HOSTS_GROUP}
        self.counters = Counters()
        self.taps: list[Tap] = []
        self.peer: Link | None = None
        self.vlans: dict[int, Vlan] = {}  # by tag: ethertype and VLAN
        self._mac = mac
        self.mac_bytes = mac.to_bytes(6, "big")
        self.conf = netns.sysctl.default
        netns.add_link(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.netns.name}/{self.name}>"

    @property
    def mac(self) -> int:
        """The hardware address."""
        return self._mac

    @mac.setter
    def mac(self, mac: int) -> None:
        self._mac = mac
        self.mac_bytes = mac.to_bytes(6, "big")
        self.netns.neighbours.link_changed(self)
        if self.port is not None:
            self.port.bridge.port_mac_changed(self.port)

    @property
    def master(self) -> Link | None:
        """The bridge that this link is a port of."""
        return None if self.port is None else self.port.bridge

    @property
    def carrier(self) -> bool:
        """Whether the other side is there (LOWER_UP)."""
        return self.up

    def set_up(self, up: bool = True) -> None:
        """`ip link set NAME up|down`: with it come and go the routes through this link."""
        if up == self.up:
            return
        self.queueing = True
        peer = self.peer
        others = [link for link in (self.master, peer, peer and peer.master) if link is not None]
        before = [link.carrier for link in (self, *others)]
        self.up = up
        for link, was in zip((self, *others), before, strict=True):
            link.counters.carrier_changes += link.carrier is not was and link.detects_carrier
        if up:
            self.netns.link_came_up(self)
        else:
            self.netns.link_went_down(self)
        if self.peer is not None:  # its carrier came or went, and with it routes that look at that
            self.peer.netns.flush_routes()

    def set_mtu(self, mtu: int) -> None:
        """`ip link set NAME mtu N`."""
        self.mtu = mtu
        self.netns.flush_routes()
        if self.port is not None:
            self.port.bridge.follow_mtu()

    def move(self, netns: Netns) -> None:
        """`ip link set NAME netns N`: goes down, loses its addresses, routes, neighbours and bridge.

        RouteError: EINVAL for a kind that cannot move, EEXIST if the name is taken there.
        """
        if self.netns_immutable:
            raise RouteError(errno.EINVAL, "Error: The interface netns is immutable.")
        if self.name in netns.links:
            raise RouteError(errno.EEXIST, "Error: An interface with the same name exists in the target netns.")
        taps, groups = self.taps, {ALL_HOSTS_GROUP}
        self.netns.detach_link(self)
        self.netns = netns
        self.taps, self.multicast_groups = taps, groups
        netns.add_link(self)

    def closing(self) -> None:
        """Called when the link is deleted; kinds let go of what hangs on them."""

    def receive(self, skb: Skb) -> None:
        """Take a frame from the wire: counters, taps, then the bridge or the protocol."""
        size = len(skb.data)
        skb.in_link = self
        if not self.up:
            self.counters.rx_dropped += 1
            self.netns.drop(skb, DropReason.DEV_READY)
            return
        if size < HEADER_LENGTH:
            self.counters.rx_dropped += 1
            self.netns.drop(skb, DropReason.DEV_HDR)
            return
        counters = self.counters
        counters.rx_packets += 1
        counters.rx_bytes += size
        if self.taps:
            self.tap("in", skb)
        if skb.trace is not None:
            skb.step(self.netns, StepKind.RECEIVE, link=self.name, frame=_frame(skb))
        if self.vlans and self._untag(skb):
            return
        destination = skb.data[0:6]
        if destination == self.mac_bytes:
            skb.packet_type = PACKET_HOST
        elif not destination[0] & 1:
            skb.packet_type = PACKET_OTHERHOST
        else:
            skb.packet_type = PacketType.BROADCAST if destination == _BROADCAST else PacketType.MULTICAST
        if self.port is not None:
            self.port.receive(skb)
        else:
            self.deliver(skb)

    def _untag(self, skb: Skb) -> bool:
        """Hand a tagged frame to the link of its VLAN, without the tag; False if there is none (vlan_do_receive)."""
        tag = int.from_bytes(skb.data[TAG_OFFSET : TAG_OFFSET + VLAN_TAG_LENGTH], "big") & _VLAN_OF_TAG
        vlan = self.vlans.get(tag)
        if vlan is None:
            return False
        del skb.data[TAG_OFFSET : TAG_OFFSET + VLAN_TAG_LENGTH]
        vlan.receive(skb)
        return True

    def deliver(self, skb: Skb) -> None:
        """Hand a frame to the protocol that its ethertype names."""
        ethertype = skb.data[12:14]
        if ethertype == _IPV4:
            self.netns.ip.receive(skb)
        elif ethertype == _ARP:
            self.netns.arp.receive(skb)
        else:
            self.netns.drop(skb, DropReason.UNHANDLED_PROTO)

    def transmit(self, skb: Skb) -> None:
        """Put a frame on the wire: counters, taps, then the kind's own way."""
        if not self.up:
            self.counters.tx_dropped += 1
            self.netns.drop(skb, DropReason.DEV_READY)
            return
        if skb.gso_size and len(skb.data) > self.tso_max_size:
            for piece in gso.segment(skb):
                self.transmit(piece)
            return
        counters = self.counters
        counters.tx_packets += 1
        counters.tx_bytes += len(skb.data)
        if self.taps:
            self.tap("out", skb)
        if skb.trace is not None:
            skb.step(self.netns, StepKind.TRANSMIT, link=self.name, frame=_frame(skb))
        self.send(skb)

    def send(self, skb: Skb) -> None:
        """Move a frame off this link; each kind has its own way."""
        raise NotImplementedError

    def refuse(self, skb: Skb, reason: DropReason) -> None:
        """Drop a frame that `transmit` has counted as sent but `send` could not move off the link."""
        counters = self.counters
        counters.tx_packets -= 1
        counters.tx_bytes -= len(skb.data)
        counters.tx_dropped += 1
        self.netns.drop(skb, reason)

    def tap(self, direction: str, skb: Skb) -> None:
        """Show a frame to the captures."""
        for tap in tuple(self.taps):
            tap(self, direction, skb)


def _frame(skb: Skb) -> str:
    """The MAC addresses of a frame, for a trace step."""
    data = skb.data
    return f"{data[6:12].hex(':')} > {data[0:6].hex(':')}"
