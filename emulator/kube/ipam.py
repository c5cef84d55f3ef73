"""Which addresses are handed out: pod CIDRs and node addresses to nodes, cluster IPs and node ports to Services.

Choices are functions of what is taken and of the asker's name, so that the same cluster always looks the same.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Callable, Container, Iterable
from ipaddress import IPv4Address, IPv4Network

NODE_PORTS = range(30000, 32768)
DNS_ADDRESS_OFFSET = 10


def free_pod_cidr(pod_cidr: IPv4Network, node_cidr_mask: int, taken: Iterable[IPv4Network]) -> IPv4Network | None:
    """Return the first subnet of `pod_cidr` with that mask that overlaps none of `taken`, or None."""
    size = 2 ** (32 - node_cidr_mask)
    start = int(pod_cidr.network_address)
    # In order, so that each one taken either lies behind the place looked at or moves it on.
    for first, last in sorted((int(other.network_address), int(other.broadcast_address)) for other in taken):
        if first >= start + size:
            break
        if last >= start:
            start += (last - start) // size * size + size
    if start > int(pod_cidr.broadcast_address):
        return None
    return IPv4Network((start, node_cidr_mask))


def free_node_address(network: IPv4Network, taken: Container[IPv4Address]) -> IPv4Address | None:
    """Return the first free address for a node; the network's first one is its gateway's. None if all are taken."""
    for address in network.hosts():
        if address != network.network_address + 1 and address not in taken:
            return address
    return None


def dns_address(service_cidr: IPv4Network) -> IPv4Address:
    """Return the cluster IP of the cluster's DNS: the tenth address of the range, as kubeadm has it."""
    return service_cidr.network_address + DNS_ADDRESS_OFFSET


def free_cluster_ip(
    service_cidr: IPv4Network, asker: str, is_taken: Callable[[IPv4Address], bool]
) -> IPv4Address | None:
    """Return a free cluster IP, or None.

    As Kubernetes does, dynamic addresses come from the upper band first and leave the lower one, of
    min(max(16, size / 16), 256) addresses, to those that users choose (KEP-3070).
    """
    size = service_cidr.num_addresses
    static = min(max(16, size // 16), 256) if size > 32 else 1
    upper = range(static, size - 1)
    lower = range(1, min(static, size - 1))
    for band in (upper, lower):
        for offset in _probe(band, asker):
            address = service_cidr.network_address + offset
            if not is_taken(address):
                return address
    return None


def free_node_port(asker: str, is_taken: Callable[[int], bool]) -> int | None:
    """Return a free node port, or None. The first 86 are left to those that users choose (KEP-3668)."""
    for band in (NODE_PORTS[86:], NODE_PORTS[:86]):
        for port in _probe(band, asker):
            if not is_taken(port):
                return port
    return None


def _probe(band: range, asker: str) -> Iterable[int]:
    """Walk a band once, from a place that the asker's name chooses."""
    if not band:
        return
    start = zlib.crc32(asker.encode()) % len(band)
    yield from band[start:]
    yield from band[:start]


def parse_address(text: str) -> IPv4Address | None:
    """Return the address, or None where the text is none."""
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None
