"""What kube-proxy makes of Services and EndpointSlices: one `ServicePort` and its endpoints for each port to serve.

All modes start from these; nothing here knows iptables, IPVS or nftables.
Source: pkg/proxy/serviceport.go, endpoint.go, endpointslicecache.go.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from msgspec import Struct

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service, ServiceSpec
from emulator.api.objects.service import ServicePort as ServicePortSpec

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4_TEXT = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)
_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
LABELS_OF_OTHERS = frozenset({PROXY_NAME_LABEL, HEADLESS_LABEL})
"""kube-proxy's watches leave out Services and EndpointSlices with one of these (cmd/kube-proxy/app/server.go)."""
"""Label of Services that are not kube-proxy's."""


class ServicePortName(Struct, frozen=True, order=True):
    """Identity of one port of one Service."""

    namespace: str
    name: str
    port: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.port}" if self.port else f"{self.namespace}/{self.name}"


class ServicePort(Struct, frozen=True):
    """One port of a Service as kube-proxy serves it. Addresses are IPv4 in dotted form."""

    name: ServicePortName
    cluster_ip: str
    port: int
    node_port: int
    external_ips: tuple[str, ...]
    load_balancer_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    affinity_seconds: int  # 0: no session affinity
    internal_local: bool
    external_local: bool
    health_check_node_port: int

    @property
    def protocol(self) -> str:
        """The protocol in lower case, as rules have it."""
        return self.name.protocol.lower()

    @property
    def accessible(self) -> bool:
        """Whether anything outside the cluster's own VIP leads here."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """Whether some traffic goes to endpoints on any node."""
        return not self.internal_local or self.accessible

    @property
    def uses_local_endpoints(self) -> bool:
        """Whether some traffic goes to endpoints on this node only."""
        return self.internal_local or (self.external_local and self.accessible)


class Endpoint(Struct, frozen=True):
    """One backend of one service port."""

    ip: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node_name: str = ""
    zone_hints: frozenset[str] = frozenset()
    node_hints: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


def service_ports(services: Iterable[Service]) -> dict[ServicePortName, ServicePort]:
    """Return the ports to serve. Headless and ExternalName Services have none."""
    ports = {}
    for service in services:
        if service.spec.is_headless or service.spec.type == "ExternalName" or not _cluster_ip(service.spec):
            continue
        if not LABELS_OF_OTHERS.isdisjoint(service.metadata.labels):
            continue
        for port in service.spec.ports:
            name = ServicePortName(service.metadata.namespace, service.metadata.name, port.name, port.protocol)
            ports[name] = _service_port(service, port, name)
    return ports


def endpoints_by_port(slices: Iterable[EndpointSlice]) -> dict[ServicePortName, tuple[Endpoint, ...]]:
    """Return each service port's endpoints, each address once, in lexical order of "ip:port"."""
    found: dict[ServicePortName, dict[str, Endpoint]] = {}
    for slice_ in slices:
        if slice_.address_type != "IPv4" or not slice_.service_name:
            continue
        if not LABELS_OF_OTHERS.isdisjoint(slice_.metadata.labels):
            continue
        for port in slice_.ports:
            if not port.port:
                continue
            name = ServicePortName(slice_.metadata.namespace, slice_.service_name, port.name, port.protocol)
            endpoints = found.setdefault(name, {})
            for endpoint in _slice_endpoints(slice_, port.port):
                other = endpoints.get(str(endpoint))
                # Two slices may name one address while it moves from one to the other: a ready one counts.
                if other is None or not other.ready:
                    endpoints[str(endpoint)] = endpoint
    return {name: tuple(endpoints[key] for key in sorted(endpoints)) for name, endpoints in found.items()}


def _slice_endpoints(slice_: EndpointSlice, port: int) -> Iterable[Endpoint]:
    for endpoint in slice_.endpoints:
        addresses = _ipv4_only(endpoint.addresses[:1])
        if not addresses:
            continue
        yield Endpoint(
            ip=addresses[0],
            port=port,
            ready=endpoint.conditions.ready,
            serving=endpoint.conditions.serving,
            terminating=endpoint.conditions.terminating,
            node_name=endpoint.node_name,
            zone_hints=frozenset(hint.name for hint in endpoint.hints.for_zones),
            node_hints=frozenset(hint.name for hint in endpoint.hints.for_nodes),
        )


def _service_port(service: Service, port: ServicePortSpec, name: ServicePortName) -> ServicePort:
    spec = service.spec
    ingress = service.status.load_balancer.ingress if spec.type == "LoadBalancer" else ()
    affinity = spec.session_affinity_config.client_ip.timeout_seconds if spec.session_affinity == "ClientIP" else 0
    external_local = spec.external_traffic_policy == "Local"
    return ServicePort(
        name=name,
        cluster_ip=_cluster_ip(spec),
        port=port.port,
        node_port=port.node_port,
        external_ips=_ipv4_only(spec.external_ips),
        load_balancer_ips=_ipv4_only(entry.ip for entry in ingress if entry.ip_mode != "Proxy"),
        source_ranges=_source_ranges(spec.load_balancer_source_ranges),
        affinity_seconds=affinity,
        internal_local=spec.internal_traffic_policy == "Local",
        external_local=external_local,
        health_check_node_port=spec.health_check_node_port if external_local and spec.type == "LoadBalancer" else 0,
    )


def _source_ranges(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the IPv4 networks that may call a load balancer; 0.0.0.0/0 among them lets everybody, as none do.

    What is no network, such as an address without /32, is passed over, as kube-proxy does (`MapCIDRsByIPFamily`).
    """
    kept = tuple(network for network in map(_ipv4_network, texts) if network)
    return () if "0.0.0.0/0" in kept else kept


def _ipv4_network(text: str) -> str:
    """Return the network that a text such as " 010.1.2.3/8" names, 10.0.0.0/8; empty if that is no IPv4 network."""
    address, _, length = plain_address(text).partition("/")
    if not (length.isascii() and length.isdigit()):  # Go, other than Python, takes neither 10.0.0.1 nor /255.0.0.0
        return ""
    try:
        return str(ipaddress.IPv4Network(f"{address}/{length}", strict=False))
    except ValueError:
        return ""


def _cluster_ip(spec: ServiceSpec) -> str:
    """Return the Service's IPv4 address; empty if it has none."""
    return next(iter(_ipv4_only(spec.cluster_ips or (spec.cluster_ip,))), "")


def plain_address(text: str) -> str:
    """Return an address or network without blanks and leading zeros (`ParseIPSloppy`): 010.0.0.1 is 10.0.0.1."""
    text = text.strip()
    return _LEADING_ZEROS.sub("", text) if "0" in text and "." in text else text


def _ipv4_only(addresses: Iterable[str]) -> tuple[str, ...]:
    kept = []
    for text in addresses:
        if _IPV4_TEXT.fullmatch(text):  # as nearly all are
            kept.append(text)
            continue
        try:
            kept.append(str(ipaddress.IPv4Address(plain_address(text))))
        except ValueError:
            continue  # the other family's proxier serves it
    return tuple(kept)
