"""A learning bridge: frames of its ports go to the port where their destination was seen, or to all (net/bridge/).

The bridge is itself a link, through which this machine speaks on it. Frames for the bridge's own MACs go up through it.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.link import bridge_netfilter
from emulator.kernel.link.fdb import Fdb
from emulator.kernel.link.link import HEADER_LENGTH, VLAN_TAG_LENGTH, Link
from emulator.kernel.routing.route import RouteError
from emulator.kernel.skb import PACKET_HOST, Skb
from emulator.kernel.trace import StepKind

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns

BROADCAST = b"\xff" * 6
LINK_LOCAL = b"\x01\x80\xc2\x00\x00"  # IEEE 802.1D table 7-10: reserved addresses
GROUP_ADDRESS, PAUSE = 0x00, 0x01
_ZERO = bytes(6)


class BridgePort:
    """A link's membership of a bridge. `hairpin` lets a frame go back out of the port that it came from."""

    __slots__ = ("bridge", "hairpin", "isolated", "learning", "link", "unicast_flood")

    def __init__(self, bridge: Bridge, link: Link) -> None:
        self.bridge = bridge
        self.link = link
        self.hairpin = False
        self.isolated = False
        self.learning = True
        self.unicast_flood = True

    @property
    def state(self) -> str:
        """As `bridge link` prints it; there is no spanning tree."""
        return "forwarding" if self.link.up and self.link.carrier else "disabled"

    def receive(self, skb: Skb) -> None:
        """Take a frame that came in at this port (br_handle_frame)."""
        bridge, data = self.bridge, skb.data
        netns = bridge.netns
        if data[6] & 1 or data[6:12] == _ZERO:
            netns.drop(skb, DropReason.MAC_INVALID_SOURCE)
            return
        destination = data[0:6]
        if destination[0] & 1 and destination[:5] == LINK_LOCAL and not self._passes_reserved(skb, destination[5]):
            return
        if not bridge.up:
            self.link.deliver(skb)
            return
        if destination == bridge.mac_bytes:
            skb.packet_type = PACKET_HOST
        if (bridge.call_iptables or netns.sysctl.bridge_call_iptables) and bridge_netfilter.is_ipv4(skb):
            bridge_netfilter.pre_routing(self, skb)
        else:
            bridge.forward_from(self, skb)

    def _passes_reserved(self, skb: Skb, last: int) -> bool:
        """Whether a frame to a reserved group is bridged: without a spanning tree its own group is, no other."""
        if last > 0x0F or last == GROUP_ADDRESS:
            return True
        if last == PAUSE:
            self.bridge.netns.drop(skb, DropReason.MAC_CONTROL)
            return False
        self.bridge.fdb.learn(bytes(skb.data[6:12]), self)
        self.link.deliver(skb)
        return False


class Bridge(Link):
    """`ip link add NAME type bridge`. Without a MAC given it takes its ports' lowest, as Linux does."""

    kind = "bridge"
    netns_immutable = True
    detects_carrier = True

    def __init__(self, netns: Netns, name: str, mac: int | None = None, mtu: int = 1500) -> None:
        self.fdb: Fdb
        self.ports: dict[Link, BridgePort] = {}
        self.call_iptables = False  # the bridge's own nf_call_iptables; the sysctl speaks for all
        self._mac_given = mac is not None
        self._mtu_given = False
        self._had_ports = False
        drawn = netns.kernel.random.getrandbits(48) & 0xFEFFFFFFFFFF | 0x020000000000
        super().__init__(netns, name, drawn if mac is None else mac, mtu)
        self.counters.carrier_changes = 1  # off, until a port forwards
        self.fdb = Fdb(self)
        self.fdb.add(self.mac_bytes, None, local=True)

    @property
    def carrier(self) -> bool:
        """A bridge has carrier while a port has, and until it gets its first."""
        return self.up and (not self._had_ports or any(port.state == "forwarding" for port in self.ports.values()))

    def add_port(self, link: Link) -> BridgePort:
        """`ip link set LINK master NAME`."""
        if link.loopback or isinstance(link, Bridge):
            raise RouteError(errno.ELOOP, "Error: Can not enslave a bridge or loopback to a bridge.")
        if link.port is not None:
            raise RouteError(errno.EBUSY, "RTNETLINK answers: Device or resource busy")
        port = BridgePort(self, link)
        link.port = port
        self.ports[link] = port
        self._had_ports = True
        self.fdb.add(link.mac_bytes, port, local=True)
        self._follow_mac()
        self.follow_mtu()
        return port

    def remove_port(self, link: Link) -> None:
        """`ip link set LINK nomaster`."""
        port = self.ports.pop(link)
        link.port = None
        self.fdb.remove_port(port)
        self._add_local_entries()
        self._follow_mac()
        self.follow_mtu()

    def port_mac_changed(self, port: BridgePort) -> None:
        """Keep the permanent entry of a port equal to its MAC."""
        for entry in [entry for entry in self.fdb if entry.local and entry.port is port]:
            self.fdb.remove(entry.mac)
        self._add_local_entries()
        self._follow_mac()

    def set_mac(self, mac: int) -> None:
        """`ip link set NAME address MAC`: from now on the bridge keeps it."""
        self._mac_given = True
        self._change_mac(mac)

    def set_mtu(self, mtu: int) -> None:
        """`ip link set NAME mtu N`: from now on the bridge keeps it."""
        self._mtu_given = True
        super().set_mtu(mtu)

    def follow_mtu(self) -> None:
        """Take the smallest MTU of the ports, unless one was set."""
        if self.ports and not self._mtu_given:
            self.mtu = min(link.mtu for link in self.ports)
            self.netns.flush_routes()

    def closing(self) -> None:
        """Let the ports go."""
        for link in list(self.ports):
            self.remove_port(link)

    def forward_from(self, port: BridgePort, skb: Skb) -> None:
        """Learn the sender, and forward by the fdb (br_handle_frame_finish)."""
        data = skb.data
        if port.learning:
            self.fdb.learn(bytes(data[6:12]), port)
        destination = bytes(data[0:6])
        if destination[0] & 1:
            self._trace(skb, port.link, "flood and local")
            self._flood(skb, port, keep=True)
            self._pass_up(skb)
            return
        entry = self.fdb.find(destination)
        if entry is None:
            self._trace(skb, port.link, "flood")
            self._flood(skb, port, keep=False, unicast=True)
        elif entry.local:
            self._trace(skb, port.link, "local")
            self._pass_up(skb)
        elif entry.port is not None:
            self._trace(skb, port.link, "forward to", entry.port)
            if self._may_leave(entry.port, port):
                self._forward(entry.port, skb)
            else:
                self.netns.drop(skb, DropReason.BRIDGE_NO_PORT)

    def send(self, skb: Skb) -> None:
        """Send a frame of this machine's own by the fdb (br_dev_xmit)."""
        if skb.bridge_source is not None:
            bridge_netfilter.continue_bridging(skb)
            return
        destination = bytes(skb.data[0:6])
        if destination[0] & 1:
            self._trace(skb, self, "flood")
            self._flood(skb, None, keep=False)
            return
        entry = self.fdb.find(destination)
        if entry is None:
            self._trace(skb, self, "flood")
            self._flood(skb, None, keep=False, unicast=True)
        elif entry.port is not None and self._may_leave(entry.port, None):
            self._trace(skb, self, "forward to", entry.port)
            self.push(entry.port, skb)
        else:
            self.netns.drop(skb, DropReason.BRIDGE_NO_PORT)

    def push(self, port: BridgePort, skb: Skb) -> None:
        """Put a frame out at a port, if its MTU lets it (br_dev_queue_push_xmit)."""
        if len(skb.data) > port.link.mtu + HEADER_LENGTH + VLAN_TAG_LENGTH and not skb.gso_size:
            self.netns.drop(skb, DropReason.PKT_TOO_BIG)
            return
        port.link.transmit(skb)

    def _flood(self, skb: Skb, source: BridgePort | None, *, keep: bool, unicast: bool = False) -> None:
        """Send a frame to all ports it may leave by; with `keep` the frame itself is still wanted (br_flood)."""
        targets = [
            port
            for port in self.ports.values()
            if (port.unicast_flood or not unicast) and self._may_leave(port, source)
        ]
        if not targets:
            if not keep:
                self.netns.drop(skb, DropReason.BRIDGE_NO_PORT)
            return
        last = None if keep else targets.pop()
        for port in targets:
            self._emit(port, skb.clone(), source)
        if last is not None:
            self._emit(last, skb, source)

    def _emit(self, port: BridgePort, skb: Skb, source: BridgePort | None) -> None:
        if source is None:
            self.push(port, skb)
        else:
            self._forward(port, skb)

    def _forward(self, port: BridgePort, skb: Skb) -> None:
        """Bridge a frame out of a port, through br_netfilter if it came that way (__br_forward)."""
        if skb.physical_in is not None:
            bridge_netfilter.forward(port, skb)
        else:
            self.push(port, skb)

    @staticmethod
    def _may_leave(port: BridgePort, source: BridgePort | None) -> bool:
        """Whether a frame from `source` (None: from this machine) may leave by `port` (should_deliver)."""
        link = port.link
        if not link.up or not link.carrier:
            return False
        if source is None:
            return True
        return (port is not source or port.hairpin) and not (port.isolated and source.isolated)

    def _pass_up(self, skb: Skb) -> None:
        """Hand a frame to this machine as received on the bridge (br_pass_frame_up)."""
        counters = self.counters
        counters.rx_packets += 1
        counters.rx_bytes += len(skb.data)
        skb.in_link = self
        if self.taps:
            self.tap("in", skb)
        self.deliver(skb)

    def _follow_mac(self) -> None:
        """Take the lowest MAC of the ports, zero without any, unless one was given (br_stp_recalculate_bridge_id)."""
        if not self._mac_given:
            self._change_mac(min((link.mac for link in self.ports), default=0))

    def _change_mac(self, mac: int) -> None:
        if mac == self.mac:
            return
        for entry in [entry for entry in self.fdb if entry.local and entry.port is None]:
            self.fdb.remove(entry.mac)
        self.mac = mac
        self._add_local_entries()

    def _add_local_entries(self) -> None:
        """Have the MACs of all ports and of the bridge: one that went may be another's too (fdb_delete_local)."""
        for port in self.ports.values():
            self.fdb.add(port.link.mac_bytes, port, local=True)
        self.fdb.add(self.mac_bytes, None, local=True)

    def _trace(self, skb: Skb, link: Link, decision: str, to: BridgePort | None = None) -> None:
        if skb.trace is not None:
            decision = decision if to is None else f"{decision} {to.link.name}"
            skb.step(self.netns, StepKind.BRIDGE, bridge=self.name, port=link.name, decision=decision)
