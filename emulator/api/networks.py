"""The address plan of a cluster: three networks that must be well formed, large enough, and apart from each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, ip_network
from itertools import combinations

SERVICE_PREFIXES = range(12, 29)
"""A service network has at most 20 bits of addresses (as kube-apiserver demands), and room for the DNS's, number 10."""

LONGEST_NODE_MASK = 30
"""A node needs an address for its bridge and one for a pod."""

BALANCER_POOLS = tuple(map(IPv4Network, ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "198.18.0.0/24")))
"""What load balancers get their addresses from by default: networks that nobody has (RFC 5737, RFC 2544)."""


INTERNET_NETWORKS = tuple(map(IPv4Network, ("198.51.100.0/24", "192.0.2.0/24", "203.0.113.0/24", "100.64.0.0/24")))
"""What the emulated internet's own addresses are from: likewise, or of the space of providers' NATs (RFC 6598)."""


def balancer_pool(networks: Iterable[IPv4Network]) -> IPv4Network | None:
    """Return the first of the default pools that lies apart from all `networks`, or None."""
    return apart(BALANCER_POOLS, networks)


def apart(candidates: Iterable[IPv4Network], networks: Iterable[IPv4Network]) -> IPv4Network | None:
    """Return the first candidate that overlaps none of `networks`, or None."""
    taken = list(networks)
    return next((each for each in candidates if not any(each.overlaps(network) for network in taken)), None)


def parse_network(text: str) -> IPv4Network | str:
    """Return the IPv4 network that `text` names, or what is wrong with it."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return "must be a valid CIDR value, (e.g. 10.9.8.0/24)"
    if not isinstance(network, IPv4Network):
        return "IPv6 is not available in this version"
    if "/" not in text:
        return f"must have a prefix length (e.g. {text}/16)"
    if str(network) != text:
        return f"has bits of a host, or another form than usual; write {network}"
    for name in ("loopback", "multicast", "link_local", "unspecified", "reserved"):
        if getattr(network, f"is_{name}"):
            return f"must not be {name.replace('_', '-')}"
    return network


def check_networks(
    networks: Mapping[str, IPv4Network], node_mask: int, nodes: int, machines: int
) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong) for `pod_cidr`, `service_cidr`, `node_network` and `node_cidr_mask` together.

    `machines` are the nodes and the hosts beside them on the node network.
    """
    for (name, network), (other_name, other) in combinations(networks.items(), 2):
        if network.overlaps(other):
            yield other_name, f"Invalid value: {other}: overlaps with {name} {network}"
    pods = networks["pod_cidr"]
    if not pods.prefixlen <= node_mask <= LONGEST_NODE_MASK:
        span = f"between {pods.prefixlen} (pod_cidr is {pods}) and {LONGEST_NODE_MASK}"
        yield "node_cidr_mask", f"Invalid value: {node_mask}: must be {span}"
    elif 2 ** (node_mask - pods.prefixlen) < nodes:
        room = 2 ** (node_mask - pods.prefixlen)
        yield "pod_cidr", f"Invalid value: {pods}: has room for {room} nodes with a /{node_mask} each, not for {nodes}"
    services = networks["service_cidr"]
    if services.prefixlen not in SERVICE_PREFIXES:
        ends = f"/{SERVICE_PREFIXES[0]} and /{SERVICE_PREFIXES[-1]}"
        yield "service_cidr", f"Invalid value: {services}: must be between {ends}"
    machine_network = networks["node_network"]
    room = max(machine_network.num_addresses - 3, 0)  # all but the network's, the gateway's and the broadcast address
    if room < machines:
        what = "nodes" if machines == nodes else "nodes and hosts"
        yield "node_network", f"Invalid value: {machine_network}: has room for {room} {what}, not for {machines}"
