"""What nftables mode sets up whatever the Services are: the table, its base chains, checks, sets and maps.

Source: pkg/proxy/nftables/proxier.go (`setupNFTables`), v1.35.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from emulator.kube.proxy.settings import PRIMARY, ProxyNode, ProxySettings

TABLE = "ip kube-proxy"

CLUSTER_IPS = "cluster-ips"
SERVICE_IPS = "service-ips"
SERVICE_NODE_PORTS = "service-nodeports"
NO_ENDPOINT_SERVICES = "no-endpoint-services"
NO_ENDPOINT_NODE_PORTS = "no-endpoint-nodeports"
FIREWALL_IPS = "firewall-ips"
NODE_PORT_IPS = "nodeport-ips"

MARK_CHAIN = "mark-for-masquerade"
REJECT_CHAIN = "reject-chain"

CONTAINERS = (
    CLUSTER_IPS,
    SERVICE_IPS,
    FIREWALL_IPS,
    NO_ENDPOINT_SERVICES,
    NO_ENDPOINT_NODE_PORTS,
    SERVICE_NODE_PORTS,
)
"""The set and the maps whose elements follow the Services."""

# The firewall looks before DNAT, at the address that the client asked for; other checks look at what DNAT left alone.
_BASE_CHAINS = (
    ("filter-prerouting-pre-dnat", "filter", "prerouting", -110),
    ("filter-output-pre-dnat", "filter", "output", -110),
    ("filter-input", "filter", "input", 0),
    ("filter-forward", "filter", "forward", 0),
    ("filter-output", "filter", "output", 0),
    ("nat-prerouting", "nat", "prerouting", -100),
    ("nat-output", "nat", "output", -100),
    ("nat-postrouting", "nat", "postrouting", 100),
)

# From a base chain to a chain of its own, in the order in which the rules are added.
_JUMPS = (
    ("filter-input", "ct state new ", "nodeport-endpoints-check"),
    ("filter-input", "ct state new ", "service-endpoints-check"),
    ("filter-forward", "ct state new ", "service-endpoints-check"),
    ("filter-output", "ct state new ", "service-endpoints-check"),
    ("filter-prerouting-pre-dnat", "ct state new ", "firewall-check"),
    ("filter-output-pre-dnat", "ct state new ", "firewall-check"),
    ("nat-output", "", "services"),
    ("nat-prerouting", "", "services"),
    ("nat-postrouting", "", "masquerading"),
    ("filter-forward", "ct state new ", "cluster-ips-check"),
    ("filter-output", "ct state new ", "cluster-ips-check"),
)

_DESTINATION = "ip daddr . meta l4proto . th dport"
_PORT = "meta l4proto . th dport"
_BY_DESTINATION = "ipv4_addr . inet_proto . inet_service : verdict"
_BY_PORT = "inet_proto . inet_service : verdict"
_NOT_LOOPBACK = "ip daddr != 127.0.0.0/8"
"""Node ports of 127.0.0.1 do not exist in this mode."""


class NodePortAddresses:
    """Which of the node's addresses take node ports: `addresses`, or every local one (`match_all`).

    Its primary address alone, unless `--nodeport-addresses` has networks (pkg/proxy/util/nodeport_addresses.go).
    """

    def __init__(self, node: ProxyNode, settings: ProxySettings) -> None:
        words, networks = settings.node_port_addresses, settings.node_port_networks
        # Networks of the other family only say nothing about this one.
        other_family = bool(words) and not networks and PRIMARY not in words
        self.match_all = other_family or bool(words and settings.all_node_port_addresses)
        primary = node.addresses[:1] if not words or PRIMARY in words else ()
        self.addresses = tuple(
            text
            for text in node.addresses
            if text in primary or any(ipaddress.IPv4Address(text) in network for network in networks)
        )


def setup(node: ProxyNode, settings: ProxySettings) -> Iterator[str]:
    """Yield the commands that make all of it, and empty what was there."""
    yield f'add table {TABLE} {{ comment "rules for kube-proxy" ; }}'
    # Made and deleted first: a base chain of another version, with another priority, would clash with these.
    for chain, *_ in _BASE_CHAINS:
        yield f"add chain {TABLE} {chain}"
        yield f"delete chain {TABLE} {chain}"
    for chain, kind, hook, priority in _BASE_CHAINS:
        yield f"add chain {TABLE} {chain} {{ type {kind} hook {hook} priority {priority} ; }}"
        yield f"flush chain {TABLE} {chain}"
    made: set[str] = set()
    for source, condition, target in _JUMPS:
        if target not in made:
            made.add(target)
            yield from _empty_chain(target)
        yield f"add rule {TABLE} {source} {condition}jump {target}"
    yield from _masquerading(settings)
    yield from _cluster_ips(settings)
    node_ports = NodePortAddresses(node, settings)
    yield from _node_port_ips(node_ports)
    yield from _no_endpoints(node_ports)
    yield from _dispatch(node_ports)
    for name in CONTAINERS:
        yield f"flush {'set' if name == CLUSTER_IPS else 'map'} {TABLE} {name}"


def _empty_chain(name: str, comment: str = "") -> Iterator[str]:
    block = f' {{ comment "{comment}" ; }}' if comment else ""
    yield f"add chain {TABLE} {name}{block}"
    yield f"flush chain {TABLE} {name}"


def _masquerading(settings: ProxySettings) -> Iterator[str]:
    mark = f"{1 << settings.masquerade_bit:#08x}"
    yield from _empty_chain(MARK_CHAIN)
    yield f"add rule {TABLE} {MARK_CHAIN} mark set mark or {mark}"
    yield f"add rule {TABLE} masquerading mark and {mark} == 0 return"
    # Cleared first, so that a packet that is encapsulated and comes here again is not masqueraded twice.
    yield f"add rule {TABLE} masquerading mark set mark xor {mark}"
    yield f"add rule {TABLE} masquerading masquerade fully-random"


def _cluster_ips(settings: ProxySettings) -> Iterator[str]:
    yield f'add set {TABLE} {CLUSTER_IPS} {{ type ipv4_addr ; comment "Active ClusterIPs" ; }}'
    comment = "Reject traffic to invalid ports of ClusterIPs"
    yield f'add rule {TABLE} cluster-ips-check ip daddr @{CLUSTER_IPS} reject comment "{comment}"'
    cidrs = [cidr for cidr in settings.service_cidrs if ":" not in cidr]
    if cidrs:
        comment = "Drop traffic to unallocated ClusterIPs"
        yield f'add rule {TABLE} cluster-ips-check ip daddr {{ {",".join(cidrs)} }} drop comment "{comment}"'


def _node_port_ips(node_ports: NodePortAddresses) -> Iterator[str]:
    yield f'add set {TABLE} {NODE_PORT_IPS} {{ type ipv4_addr ; comment "IPs that accept NodePort traffic" ; }}'
    if node_ports.match_all:
        yield f"delete set {TABLE} {NODE_PORT_IPS}"
        return
    yield f"flush set {TABLE} {NODE_PORT_IPS}"
    for address in node_ports.addresses:
        yield f"add element {TABLE} {NODE_PORT_IPS} {{ {address} }}"


def _no_endpoints(node_ports: NodePortAddresses) -> Iterator[str]:
    """Services that nothing stands behind are refused where DNAT has left their address as it was."""
    what = "vmap to drop or reject packets to"
    yield _map(NO_ENDPOINT_SERVICES, _BY_DESTINATION, f"{what} services with no endpoints")
    yield _map(NO_ENDPOINT_NODE_PORTS, _BY_PORT, f"{what} service nodeports with no endpoints")
    yield from _empty_chain(REJECT_CHAIN, f"helper for @{NO_ENDPOINT_SERVICES} / @{NO_ENDPOINT_NODE_PORTS}")
    yield f"add rule {TABLE} {REJECT_CHAIN} reject"
    yield f"add rule {TABLE} service-endpoints-check {_DESTINATION} vmap @{NO_ENDPOINT_SERVICES}"
    # This chain is in INPUT only, where every address is one of the node's own.
    condition = _NOT_LOOPBACK if node_ports.match_all else f"ip daddr @{NODE_PORT_IPS}"
    yield f"add rule {TABLE} nodeport-endpoints-check {condition} {_PORT} vmap @{NO_ENDPOINT_NODE_PORTS}"


def _dispatch(node_ports: NodePortAddresses) -> Iterator[str]:
    yield _map(FIREWALL_IPS, _BY_DESTINATION, "destinations that are subject to LoadBalancerSourceRanges")
    yield f"add rule {TABLE} firewall-check {_DESTINATION} vmap @{FIREWALL_IPS}"
    yield _map(SERVICE_IPS, _BY_DESTINATION, "ClusterIP, ExternalIP and LoadBalancer IP traffic")
    yield _map(SERVICE_NODE_PORTS, _BY_PORT, "NodePort traffic")
    yield f"add rule {TABLE} services {_DESTINATION} vmap @{SERVICE_IPS}"
    local = f"fib daddr type local {_NOT_LOOPBACK}" if node_ports.match_all else f"ip daddr @{NODE_PORT_IPS}"
    yield f"add rule {TABLE} services {local} {_PORT} vmap @{SERVICE_NODE_PORTS}"


def _map(name: str, kind: str, comment: str) -> str:
    return f'add map {TABLE} {name} {{ type {kind} ; comment "{comment}" ; }}'
