"""Which UDP connections a change of endpoints leaves behind: they lead where nobody serves their Service any more.

UDP has no end that conntrack could see, so a client that goes on sending would never reach another endpoint.
Source: pkg/proxy/conntrack/cleanup.go (`CleanStaleEntries`). TCP and SCTP are never cleaned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from msgspec import Struct

from emulator.kube.proxy.service_port import Endpoint, ServicePort, ServicePortName


class UdpFrontends(Struct, frozen=True):
    """What UDP Services are reached at, each with the addresses of its serving endpoints. Addresses are integers.

    Policies, topology and termination do not matter: an entry to a serving endpoint on another node stays.
    """

    by_address: Mapping[tuple[int, int], frozenset[int]]
    by_node_port: Mapping[int, frozenset[int]]

    def is_stale(self, address: int, port: int, backend: int) -> bool:
        """Whether the UDP entry that first went to `address` and `port`, with replies from `backend`, has to go."""
        backends = self.by_address.get((address, port))
        if backends is None:
            backends = self.by_node_port.get(port)
        return backends is not None and backend not in backends


def udp_frontends(
    ports: Mapping[ServicePortName, ServicePort], endpoints: Mapping[ServicePortName, Sequence[Endpoint]]
) -> UdpFrontends:
    """Return the frontends of all UDP Services; equal ones before and after a change leave nothing stale."""
    by_address: dict[tuple[int, int], frozenset[int]] = {}
    by_node_port: dict[int, frozenset[int]] = {}
    for name, port in ports.items():
        if port.protocol != "udp":
            continue
        serving = (endpoint for endpoint in endpoints.get(name, ()) if endpoint.serving)
        backends = frozenset(int(IPv4Address(endpoint.ip)) for endpoint in serving)
        for text in (port.cluster_ip, *port.load_balancer_ips, *port.external_ips):
            by_address[int(IPv4Address(text)), port.port] = backends
        if port.node_port:
            by_node_port[port.node_port] = backends
    return UdpFrontends(by_address, by_node_port)
