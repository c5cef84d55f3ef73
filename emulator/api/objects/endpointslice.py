"""EndpointSlice: the addresses behind a Service; what kube-proxy and the cluster's DNS read."""

from __future__ import annotations

from msgspec import Struct

from emulator.api.objects.meta import ObjectMeta, ObjectReference

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""The label that ties a slice to its Service."""


class EndpointConditions(Struct, frozen=True, kw_only=True, rename="camel"):
    """State of an endpoint; what is not said counts as ready, serving and not terminating."""

    ready: bool = True
    serving: bool = True
    terminating: bool = False


class NamedHint(Struct, frozen=True, kw_only=True, rename="camel"):
    """A zone or node that should use this endpoint."""

    name: str


class EndpointHints(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who should use this endpoint."""

    for_zones: tuple[NamedHint, ...] = ()
    for_nodes: tuple[NamedHint, ...] = ()


class Endpoint(Struct, frozen=True, kw_only=True, rename="camel"):
    """One backend; consumers use the first address."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    hints: EndpointHints = EndpointHints()
    target_ref: ObjectReference | None = None


class EndpointPort(Struct, frozen=True, kw_only=True, rename="camel"):
    """A port that all endpoints of the slice have; no number means all ports."""

    name: str = ""
    protocol: str = "TCP"
    port: int | None = None
    app_protocol: str = ""


class EndpointSlice(Struct, frozen=True, kw_only=True, rename="camel"):
    """Endpoints of one Service, one address family and one set of ports."""

    api_version: str = "discovery.k8s.io/v1"
    kind: str = "EndpointSlice"
    metadata: ObjectMeta = ObjectMeta()
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()

    @property
    def service_name(self) -> str:
        """The Service of the same namespace that this slice belongs to; empty if it has none."""
        return self.metadata.labels.get(SERVICE_NAME_LABEL, "")
