"""What one service port wants of a node in IPVS mode: elements of ipsets, bound addresses, virtual servers.

Source: pkg/proxy/ipvs/proxier.go (`syncProxyRules`, `syncEndpoint`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from emulator.kube.proxy.endpoint_selection import Selection, select_endpoints
from emulator.kube.proxy.ipvs import sets
from emulator.kube.proxy.ipvs.sets import ProxySet
from emulator.kube.proxy.service_port import Endpoint, ServicePort
from emulator.kube.proxy.settings import PRIMARY, ProxyNode, ProxySettings


class Frontend(Struct, frozen=True, order=True):
    """Where a virtual server is reached: IPv4 address, port, protocol in lower case."""

    address: str
    port: int
    protocol: str

    @property
    def element(self) -> str:
        """As an element of a hash:ip,port set."""
        return f"{self.address},{self.protocol}:{self.port}"


class Scheduling(Struct, frozen=True):
    """How a virtual server spreads connections.

    `persistence`: seconds for which a client stays with a real server, 0 for not at all. `flags` are the scheduler's,
    as `ipvsadm -b` has them.
    """

    scheduler: str
    persistence: int = 0
    flags: tuple[str, ...] = ()


class VirtualServer(Struct, frozen=True):
    """A virtual server as one service port wants it; `backends` are "ip:port", in lexical order."""

    frontend: Frontend
    scheduling: Scheduling
    backends: tuple[str, ...]


class Wants(Struct, frozen=True, kw_only=True):
    """All that one service port wants. `not_from_node`: load balancers that the node itself may not call."""

    elements: tuple[tuple[str, str], ...]  # name of the set, element
    addresses: tuple[str, ...]
    servers: tuple[VirtualServer, ...]
    not_from_node: tuple[Frontend, ...]


NOTHING = Wants(elements=(), addresses=(), servers=(), not_from_node=())
"""What a service port that is gone wants."""


class NodeView(Struct, frozen=True):
    """The node as service ports see it. `node_port_addresses` has the addresses that take node ports, sorted."""

    node: ProxyNode
    settings: ProxySettings
    local_addresses: frozenset[str]
    node_port_addresses: tuple[str, ...]


def view_node(node: ProxyNode, settings: ProxySettings, local_addresses: Iterable[str]) -> NodeView:
    """Return a node's view, given all its addresses but those of the loopback link and of kube-ipvs0."""
    here = frozenset(local_addresses)
    chosen = here
    if not settings.all_node_port_addresses:
        networks = settings.node_port_networks
        primary = node.addresses[:1] if PRIMARY in settings.node_port_addresses else ()
        chosen = frozenset(
            address
            for address in here
            if address in primary or any(ipaddress.IPv4Address(address) in network for network in networks)
        )
    return NodeView(node, settings, here, tuple(sorted(chosen, key=ipaddress.IPv4Address)))


def wants_of(port: ServicePort, endpoints: Sequence[Endpoint], view: NodeView) -> Wants:
    """Return what `port` with all its `endpoints` wants of the node."""
    return _Collector(port, endpoints, view).wants()


class _Collector:
    """Goes through the ways to one service port, in kube-proxy's order."""

    def __init__(self, port: ServicePort, endpoints: Sequence[Endpoint], view: NodeView) -> None:
        self._port = port
        self._endpoints = endpoints
        self._view = view
        self._selection = select_endpoints(port, endpoints, node_name=view.node.name, zone=view.node.zone)
        self._scheduling = _scheduling(port, view.settings)
        self._elements: list[tuple[str, str]] = []
        self._addresses: list[str] = []
        self._servers: list[VirtualServer] = []
        self._not_from_node: list[Frontend] = []

    def wants(self) -> Wants:
        self._loop_back()
        self._cluster_ip()
        for address in self._port.external_ips:
            self._external_ip(address)
        for address in self._port.load_balancer_ips:
            self._load_balancer(address)
        # A node that has no address for node ports gets no further with this port (kube-proxy's `continue`).
        if not self._port.node_port or self._view.node_port_addresses:
            self._node_port()
            if self._port.health_check_node_port:
                self._add(sets.HEALTH_CHECK_NODE_PORT, str(self._port.health_check_node_port))
        return Wants(
            elements=tuple(dict.fromkeys(self._elements)),
            addresses=tuple(dict.fromkeys(self._addresses)),
            servers=tuple({server.frontend: server for server in self._servers}.values()),
            not_from_node=tuple(self._not_from_node),
        )

    def _add(self, each: ProxySet, element: str) -> None:
        self._elements.append((each.name, element))

    def _loop_back(self) -> None:
        """A pod that IPVS sends back to itself is masqueraded, so that its answer comes back here."""
        for endpoint in self._endpoints:
            if endpoint.node_name == self._view.node.name:
                self._add(sets.LOOP_BACK, f"{endpoint.ip},{self._port.protocol}:{endpoint.port},{endpoint.ip}")

    def _cluster_ip(self) -> None:
        port = self._port
        frontend = self._frontend(port.cluster_ip)
        self._add(sets.CLUSTER_IP, frontend.element)
        self._serve(frontend, local=port.internal_local)
        self._addresses.append(port.cluster_ip)

    def _external_ip(self, address: str) -> None:
        frontend = self._frontend(address)
        local = self._port.external_local
        self._add(sets.EXTERNAL_IP_LOCAL if local else sets.EXTERNAL_IP, frontend.element)
        self._serve(frontend, local=local)
        self._bind(address)

    def _load_balancer(self, address: str) -> None:
        frontend = self._frontend(address)
        self._add(sets.LOAD_BALANCER, frontend.element)
        if self._port.external_local:
            self._add(sets.LOAD_BALANCER_LOCAL, frontend.element)
        if self._port.source_ranges:
            self._source_ranges(frontend)
        self._serve(frontend, local=self._port.external_local)
        self._bind(address)

    def _source_ranges(self, frontend: Frontend) -> None:
        self._add(sets.LOAD_BALANCER_FW, frontend.element)
        for network in self._port.source_ranges:
            # ipset lists the network of one address without its length, and so we write it.
            self._add(sets.LOAD_BALANCER_SOURCE_CIDR, f"{frontend.element},{network.removesuffix('/32')}")
        if _holds(self._port.source_ranges, self._view.node):
            # What the node itself sends there has the balancer's address as its source.
            self._add(sets.LOAD_BALANCER_SOURCE_IP, f"{frontend.element},{frontend.address}")
        else:
            self._not_from_node.append(frontend)

    def _node_port(self) -> None:
        port = self._port
        if not port.node_port:
            return
        frontends = [Frontend(address, port.node_port, port.protocol) for address in self._view.node_port_addresses]
        everyone, local_only = sets.NODE_PORT_SETS[port.protocol]
        elements = [each.element for each in frontends] if port.protocol == "sctp" else [str(port.node_port)]
        for element in elements:
            self._add(everyone, element)
            if port.external_local:
                self._add(local_only, element)
        for frontend in frontends:
            self._serve(frontend, local=port.external_local)

    def _frontend(self, address: str) -> Frontend:
        return Frontend(address, self._port.port, self._port.protocol)

    def _bind(self, address: str) -> None:
        """Have the address on kube-ipvs0, unless another link has it already."""
        if address not in self._view.local_addresses:
            self._addresses.append(address)

    def _serve(self, frontend: Frontend, *, local: bool) -> None:
        backends = _backends(self._selection, local=local)
        self._servers.append(VirtualServer(frontend, self._scheduling, backends))


def _backends(selection: Selection, *, local: bool) -> tuple[str, ...]:
    """Return where a policy leads. Local without a local endpoint falls back to all (kubernetes#97081)."""
    chosen = (selection.local or selection.cluster) if local else selection.cluster
    return tuple(str(endpoint) for endpoint in chosen)


def _scheduling(port: ServicePort, settings: ProxySettings) -> Scheduling:
    flags = ("mh-port",) if settings.ipvs_scheduler == "mh" else ()
    return Scheduling(settings.ipvs_scheduler or "rr", port.affinity_seconds, flags)


def _holds(networks: Collection[str], node: ProxyNode) -> bool:
    """Whether one of the networks has the node's primary address."""
    if not node.addresses:
        return False
    primary = ipaddress.IPv4Address(node.addresses[0])
    return any(primary in ipaddress.IPv4Network(network) for network in networks)
