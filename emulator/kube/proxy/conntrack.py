"""Which UDP connections a change of endpoints leaves behind: they lead where nobody serves their Service any more.

UDP has no end that conntrack could see, so a client that goes on sending would never reach another endpoint.
Source: pkg/proxy/conntrack/cleanup.go (`CleanStaleEntries`). TCP and SCTP are never cleaned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from typing import TypeVar

from emulator.kube.proxy.service_port import Endpoint, ServicePort, ServicePortName

K = TypeVar("K")
Backends = frozenset[int]
"""Addresses of the endpoints that serve, as integers."""


class UdpFrontends:
    """What UDP Services are reached at, each with its serving endpoints; kept up port by port.

    Policies, topology and termination do not matter: an entry to a serving endpoint on another node stays. Where
    several ports claim one address, which nothing forbids for external ones, an endpoint of any of them will do.
    """

    def __init__(self) -> None:
        self._by_address: dict[tuple[int, int], dict[ServicePortName, Backends]] = {}
        self._by_node_port: dict[int, dict[ServicePortName, Backends]] = {}
        self._ports: dict[ServicePortName, ServicePort] = {}

    def put(self, name: ServicePortName, port: ServicePort | None, endpoints: Sequence[Endpoint]) -> None:
        """Take a UDP service port that came or changed; None for one that went."""
        old = self._ports.pop(name, None)
        for key in _addresses(old):
            _forget(self._by_address, key, name)
        if old is not None and old.node_port:
            _forget(self._by_node_port, old.node_port, name)
        if port is None:
            return
        self._ports[name] = port
        backends = frozenset(int(IPv4Address(endpoint.ip)) for endpoint in endpoints if endpoint.serving)
        for key in _addresses(port):
            self._by_address.setdefault(key, {})[name] = backends
        if port.node_port:
            self._by_node_port.setdefault(port.node_port, {})[name] = backends

    def is_stale(self, address: int, port: int, backend: int) -> bool:
        """Whether the UDP entry that first went to `address` and `port`, with replies from `backend`, has to go."""
        claims = self._by_address.get((address, port)) or self._by_node_port.get(port)
        return claims is not None and not any(backend in backends for backends in claims.values())


def _addresses(port: ServicePort | None) -> Iterator[tuple[int, int]]:
    if port is not None:
        for text in (port.cluster_ip, *port.load_balancer_ips, *port.external_ips):
            yield int(IPv4Address(text)), port.port


def _forget(kept: dict[K, dict[ServicePortName, Backends]], key: K, name: ServicePortName) -> None:
    claims = kept.get(key, {})
    claims.pop(name, None)
    if not claims:
        kept.pop(key, None)  # an address may be given twice, as external and the load balancer's
