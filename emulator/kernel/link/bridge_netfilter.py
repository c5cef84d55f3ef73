"""br_netfilter: bridged IPv4 shown to iptables as if it were routed (net/bridge/br_netfilter_hooks.c).

With net.bridge.bridge-nf-call-iptables=1 a frame passes PREROUTING when it enters the bridge (in: the bridge,
`physical_in`: the port), then FORWARD and POSTROUTING if it is bridged on. This is what un-NATs the reply of a pod that
was reached through a VIP on the same node. A frame that goes up to IP has passed PREROUTING already (`prerouted`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.ip.fragment import split
from emulator.kernel.ip.header import DONT_FRAGMENT, parse
from emulator.kernel.netfilter.hook import (
    NF_ACCEPT,
    NF_INET_FORWARD,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
)
from emulator.kernel.routing.route import RTN_UNICAST, RouteResult
from emulator.kernel.skb import PACKET_HOST, PACKET_OTHERHOST, Skb
from emulator.kernel.trace import StepKind
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.link.bridge import Bridge, BridgePort

_IPV4 = b"\x08\x00"


def is_ipv4(skb: Skb) -> bool:
    """Whether a frame is untagged IPv4 (bridge-nf-filter-vlan-tagged is 0)."""
    return skb.data[12:14] == _IPV4


def pre_routing(port: BridgePort, skb: Skb) -> None:
    """Show a frame that enters the bridge to PREROUTING, and go on by what became of it (br_nf_pre_routing)."""
    bridge = port.bridge
    netns = bridge.netns
    reason = parse(skb)
    if reason is not None:
        netns.drop(skb, reason)
        return
    packet_type = skb.packet_type
    if packet_type is PACKET_OTHERHOST:
        skb.packet_type = PACKET_HOST
    skb.in_link = bridge
    skb.out_link = None
    skb.physical_in = port.link
    skb.physical_out = None
    daddr = skb.daddr
    if netns.netfilter.run(NF_INET_PRE_ROUTING, skb) is not NF_ACCEPT:
        return
    skb.packet_type = packet_type
    skb.prerouted = True
    if skb.daddr == daddr:
        bridge.forward_from(port, skb)
    else:
        _route_again(port, skb)


def _route_again(port: BridgePort, skb: Skb) -> None:
    """Find a DNATed packet its way: over the bridge if the route says so, else to IP (br_nf_pre_routing_finish)."""
    bridge = port.bridge
    netns = bridge.netns
    decision = netns.routing.input(bridge, skb.saddr, skb.daddr, skb.mark, skb)
    if not isinstance(decision, RouteResult):
        netns.drop(skb, decision)
        return
    if decision.type is RTN_UNICAST and decision.link is bridge:
        if skb.trace is not None:
            skb.step(
                netns, StepKind.ROUTE, decision="bridge", route=str(decision.route), link=bridge.name,
                gateway=format_ipv4(decision.gateway) if decision.gateway else "",
            )  # fmt: skip
        _bridge_to_neighbour(port, skb, decision)
        return
    skb.route = decision
    skb.data[0:6] = bridge.mac_bytes
    skb.packet_type = PACKET_HOST
    bridge.forward_from(port, skb)


def _bridge_to_neighbour(port: BridgePort, skb: Skb, decision: RouteResult) -> None:
    """Give a bridged packet its new destination's MAC, asking ARP if need be; the sender's MAC stays."""
    bridge = port.bridge
    neighbours = bridge.netns.neighbours
    entry = neighbours.find(bridge, decision.gateway or skb.daddr)
    if entry is None:
        bridge.netns.drop(skb, DropReason.NEIGH_CREATEFAIL)
        return
    skb.route = decision
    if entry.header is not None:
        skb.data[0:6] = entry.header[0:6]
        bridge.forward_from(port, skb)
        return
    skb.bridge_source = bytes(skb.data[6:12])
    neighbours.output(skb, entry)


def continue_bridging(skb: Skb) -> None:
    """Go on with a packet whose new MAC ARP has found: with its own sender's MAC, from its own port."""
    skb.data[6:12] = skb.bridge_source or bytes(6)
    skb.bridge_source = None
    port = None if skb.physical_in is None else skb.physical_in.port
    if port is not None:
        port.bridge.forward_from(port, skb)
    elif skb.in_link is not None:
        skb.in_link.netns.drop(skb, DropReason.BRIDGE_NO_PORT)


def forward(port: BridgePort, skb: Skb) -> None:
    """Show a frame that is bridged out of `port` to FORWARD and POSTROUTING (br_nf_forward_ip, br_nf_post_routing)."""
    bridge = port.bridge
    netns = bridge.netns
    skb.prerouted = False
    skb.in_link = skb.out_link = bridge
    skb.physical_out = port.link
    skb.packet_type = PACKET_HOST
    if skb.route is None:  # the bridge's fake rtable: without a route nothing could be REJECTed
        skb.route = RouteResult(RTN_UNICAST, bridge, netns.fib.generation)
    if netns.netfilter.run(NF_INET_FORWARD, skb) is not NF_ACCEPT:
        return
    skb.in_link = None
    if netns.netfilter.run(NF_INET_POST_ROUTING, skb) is not NF_ACCEPT:
        return
    skb.in_link = bridge
    _push(bridge, port, skb)


def _push(bridge: Bridge, port: BridgePort, skb: Skb) -> None:
    """Cut what conntrack had put together into its pieces again (br_nf_dev_queue_xmit), and send."""
    mtu = min(port.link.mtu, skb.fragment_max_size or port.link.mtu)
    if len(skb.data) - 14 <= mtu or skb.gso_size:
        bridge.push(port, skb)
        return
    if skb.fragment & DONT_FRAGMENT and not skb.fragment_max_size:
        bridge.netns.drop(skb, DropReason.PKT_TOO_BIG)
        return
    for piece in split(skb, mtu):
        bridge.push(port, piece)
