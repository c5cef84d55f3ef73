"""The node that flows are put to: its links, addresses and routes, and on them what kube-proxy writes.

eth0 leads to the other nodes and everywhere else; cbr0 stands for the bridge and all pods behind it. The node has the
addresses that the cluster's description gives it and no other: what counts as its own decides what node ports match.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from emulator.bundle.edge import EdgeLink
from emulator.kernel.kernel import Kernel, RandomSource
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route, RouteType, Scope
from emulator.packet.address import ipv4_to_int
from emulator.reachability.cluster import NodeModel

UPLINK, BRIDGE = "eth0", "cbr0"
_PREFIX = 24  # of the node's own network: where its gateway is looked for
_UPLINK_MAC, _BRIDGE_MAC = 0x0200_0000_0001, 0x0A58_0000_0001


def make_node(node: NodeModel, others: Sequence[NodeModel], random: RandomSource) -> Netns:
    """Return a node without rules. Frames that it would send go nowhere: it is made to be saved."""
    netns = Netns(Kernel(node.name, random), "node")
    for name, mac in ((UPLINK, _UPLINK_MAC), (BRIDGE, _BRIDGE_MAC)):
        link = EdgeLink(netns, name, mac, 1500, lambda _link, _frame: None)
        link.set_up(True)
    _set_sysctls(netns)
    uplink = netns.links[UPLINK]
    addresses = [text for text in node.addresses or () if not IPv4Address(text).is_loopback]
    for text in addresses:
        network = IPv4Interface(f"{text}/{_PREFIX}").network
        netns.add_address(uplink, ipv4_to_int(text), _PREFIX, broadcast=int(network.broadcast_address))
    if node.pod_cidr:
        _route(netns, IPv4Network(node.pod_cidr), BRIDGE)
    if not addresses:
        return netns
    taken = {node.pod_cidr}
    for other in others:
        if other.pod_cidr and other.addresses and other.pod_cidr not in taken:
            taken.add(other.pod_cidr)
            _route(netns, IPv4Network(other.pod_cidr), UPLINK, other.addresses[0], onlink=True)
    _route(netns, IPv4Network("0.0.0.0/0"), UPLINK, _gateway(addresses))
    return netns


def _set_sysctls(netns: Netns) -> None:
    netns.sysctl.set("net.ipv4.ip_forward", 1)
    for conf in ("all", "default"):
        # A packet that comes back out of the link it came in by would set off a redirect, beside what is asked for.
        netns.sysctl.set(f"net.ipv4.conf.{conf}.send_redirects", 0)
        netns.sysctl.set(f"net.ipv4.conf.{conf}.rp_filter", 0)


def _route(netns: Netns, network: IPv4Network, link: str, gateway: str = "", *, onlink: bool = False) -> None:
    netns.fib.add(
        Route(
            int(network.network_address),
            network.prefixlen,
            RouteType.UNICAST,
            netns.links[link],
            ipv4_to_int(gateway) if gateway else 0,
            scope=Scope.UNIVERSE if gateway else Scope.LINK,
            onlink=onlink,
        )
    )


def _gateway(addresses: Sequence[str]) -> str:
    """Return the first address of the node's own network that the node does not have."""
    own = {IPv4Address(text) for text in addresses}
    network = IPv4Interface(f"{addresses[0]}/{_PREFIX}").network
    return str(next(address for address in network.hosts() if address not in own))
