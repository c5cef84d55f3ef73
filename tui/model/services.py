"""The rows of the Services page: virtual addresses, ports, and the endpoints behind them with their readiness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from emulator.api.ages import parse_time
from emulator.api.objects import EndpointSlice, Service

NONE = "<none>"


class EndpointRow(Struct, frozen=True):
    """One endpoint of a Service; `address` has the port where there is one number."""

    address: str
    pod: str
    node: str
    state: str


class ServiceRow(Struct, frozen=True):
    """One Service. `created` is wall-clock time."""

    key: tuple[str, str]
    type: str
    cluster_ip: str
    ports: str
    endpoints: tuple[EndpointRow, ...]
    selector: str
    created: float

    @property
    def ready(self) -> int:
        """How many endpoints are ready."""
        return sum(endpoint.state == "ready" for endpoint in self.endpoints)

    @property
    def readiness(self) -> str:
        """Ready endpoints of all."""
        return f"{self.ready}/{len(self.endpoints)}"


def service_rows(services: Iterable[Service], slices: Iterable[EndpointSlice]) -> list[ServiceRow]:
    """Return a row for each Service."""
    by_service: dict[tuple[str, str], list[EndpointSlice]] = {}
    for entry in slices:
        by_service.setdefault((entry.metadata.namespace, entry.service_name), []).append(entry)
    rows = []
    for service in services:
        key = (service.metadata.namespace, service.metadata.name)
        rows.append(_row(key, service, by_service.get(key, [])))
    return rows


def _row(key: tuple[str, str], service: Service, slices: list[EndpointSlice]) -> ServiceRow:
    spec = service.spec
    endpoints = {endpoint for entry in slices for endpoint in _endpoints(entry)}
    return ServiceRow(
        key=key,
        type=spec.type,
        cluster_ip=spec.cluster_ip or spec.external_name or NONE,
        ports=",".join(_port(port.port, port.node_port, port.protocol) for port in spec.ports) or NONE,
        endpoints=tuple(sorted(endpoints, key=lambda endpoint: (endpoint.pod, endpoint.address))),
        selector=",".join(f"{name}={value}" for name, value in sorted(spec.selector.items())) or NONE,
        created=parse_time(service.metadata.creation_timestamp) or 0.0,
    )


def _endpoints(entry: EndpointSlice) -> Iterable[EndpointRow]:
    ports = ",".join(str(port.port) for port in entry.ports if port.port)
    for endpoint in entry.endpoints:
        if not endpoint.addresses:
            continue
        conditions = endpoint.conditions
        state = "ready" if conditions.ready else "terminating" if conditions.terminating else "not ready"
        target = endpoint.target_ref
        pod = f"{target.namespace}/{target.name}" if target is not None else NONE
        address = f"{endpoint.addresses[0]}:{ports}" if ports else endpoint.addresses[0]
        yield EndpointRow(address, pod, endpoint.node_name or NONE, state)


def _port(port: int, node_port: int, protocol: str) -> str:
    return f"{port}:{node_port}/{protocol}" if node_port else f"{port}/{protocol}"


def details(row: ServiceRow, flows: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return what is known of a Service, as (name, value); `flows` are counts by the endpoint's address."""
    lines = [
        ("namespace", row.key[0]),
        ("type", row.type),
        ("cluster IP", row.cluster_ip),
        ("ports", row.ports),
        ("selector", row.selector),
        ("endpoints", f"{row.ready} ready of {len(row.endpoints)}"),
    ]
    endpoints = [
        (f"  {e.address}", f"{e.state:11} {e.pod} on {e.node}, {flows.get(e.address.partition(':')[0], 0)} flows")
        for e in row.endpoints
    ]
    return lines + endpoints
