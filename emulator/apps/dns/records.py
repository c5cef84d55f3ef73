"""What a name of the cluster stands for: Services, single endpoints, pods by their address.

Source: CoreDNS's kubernetes plugin (parse.go, kubernetes.go, reverse.go, ns.go), which follows the Kubernetes DNS
specification 1.1.0 (github.com/kubernetes/dns, docs/specification.md).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from emulator.api.objects.endpointslice import Endpoint, EndpointPort, EndpointSlice
from emulator.api.objects.service import Service
from emulator.apps.directory import ServiceDirectory
from emulator.errors import WireError
from emulator.packet.address import ipv4_to_int, ipv6_to_int

ADDRESS_TYPES = {"IPv4": 4, "IPv6": 6}
NO_PORT = -1


class NoSuchNameError(Exception):
    """The zone has no such name (NXDOMAIN)."""


class Entry(Struct, frozen=True):
    """One thing a name stands for: `owner` is its own full name, `host` an address or another name.

    `family` is 4 or 6 with `address`, or 0 where `host` is a name. `port` -1: none is declared.
    """

    owner: str
    host: str
    family: int = 0
    address: int = 0
    port: int = NO_PORT


class RecordRequest(Struct, frozen=True):
    """The parts of `[_port._protocol.|endpoint.]service.namespace.svc|pod`; what is not there is empty."""

    kind: str = ""
    namespace: str = ""
    service: str = ""
    endpoint: str = ""
    port: str = ""
    protocol: str = ""


class ClusterRecords:
    """Finds entries. Names are given in lower case; `zone` has the spelling that answers should have."""

    def __init__(self, directory: ServiceDirectory, namespaces: frozenset[str], *, pods: bool) -> None:
        self.directory = directory
        self._namespaces = namespaces
        self._pods = pods

    def entries(self, name: str, zone: str) -> list[Entry]:
        """Return what a name inside `zone` stands for; nothing for names that only stand above others.

        NoSuchNameError.
        """
        request = parse_request(name, zone)
        if not request.kind:
            return []
        if not self._exposed(request.namespace):
            raise NoSuchNameError
        if not request.service:
            return []
        return self._pod(request, zone) if request.kind == "pod" else list(self._services(request, zone))

    def names_of(self, family: int, address: int, zone: str) -> list[str]:
        """Return the full names of an address: its Service's, else those of the endpoints that have it."""
        for service in self.directory.services_at(family, address):
            if self._configured(service.metadata.namespace):
                return [f"{service.metadata.name}.{service.metadata.namespace}.svc.{zone}"]
        names = []
        for slice_ in self.directory.slices_at(family, address):
            if not self._configured(slice_.metadata.namespace):
                continue
            for endpoint in slice_.endpoints:
                if endpoint.conditions.ready and (family, address) in _addresses(slice_, endpoint):
                    text = _texts(slice_, endpoint, (family, address))
                    host = endpoint_hostname(endpoint, text)
                    names.append(f"{host}.{slice_.service_name}.{slice_.metadata.namespace}.svc.{zone}")
        return list(dict.fromkeys(names))

    def name_servers(self, own: str, zone: str) -> list[Entry]:
        """Return the Services behind which the server at address `own` is, or itself under the name ns.dns."""
        found = []
        family, address = _parse(own)
        for slice_ in self.directory.slices_at(family, address):
            namespace = slice_.metadata.namespace
            service = self.directory.service(namespace, slice_.service_name)
            if service is None:
                continue
            name = f"{service.metadata.name}.{namespace}.svc.{zone}"
            if service.spec.is_headless:
                found += [
                    Entry(f"{endpoint_hostname(endpoint, text)}.{name}", text, *_parse(text))
                    for endpoint in slice_.endpoints
                    if endpoint.conditions.ready
                    for text in endpoint.addresses
                ]
            else:
                found += [Entry(name, text, *_parse(text)) for text in _cluster_ips(service)]
        return found or [Entry(f"ns.dns.{zone}", own, family, address)]

    def _configured(self, namespace: str) -> bool:
        return not self._namespaces or namespace in self._namespaces

    def _exposed(self, namespace: str) -> bool:
        """Whether a namespace is there, and to be answered for; no namespace at all is no obstacle."""
        return not namespace or (self._configured(namespace) and self.directory.has_namespace(namespace))

    def _pod(self, request: RecordRequest, zone: str) -> list[Entry]:
        """Answer for any address in the place of a pod's name (`pods insecure`)."""
        name = request.service
        dotted = name.count("-") == 3 and "--" not in name
        try:
            family, address = _parse(name.replace("-", "." if dotted else ":")) if self._pods else (0, 0)
        except WireError:
            raise NoSuchNameError from None
        if not family:
            raise NoSuchNameError
        text = name.replace("-", "." if dotted else ":")
        return [Entry(f"{name}.{request.namespace}.pod.{zone}", text, family, address)]

    def _services(self, request: RecordRequest, zone: str) -> Iterator[Entry]:
        service = self.directory.service(request.namespace, request.service)
        if service is None:
            raise NoSuchNameError
        name = f"{service.metadata.name}.{service.metadata.namespace}.svc.{zone}"
        if service.spec.type == "ExternalName":
            target = service.spec.external_name
            if request.endpoint or _is_address(target):
                raise NoSuchNameError
            yield Entry(name, target.rstrip(".") + ".")
            return
        some = False
        found = self._endpoints if service.spec.is_headless or request.endpoint else self._cluster_ip
        for entry in found(request, service, name):
            some = True
            yield entry
        if not some:
            raise NoSuchNameError

    def _endpoints(self, request: RecordRequest, service: Service, name: str) -> Iterator[Entry]:
        for slice_ in self.directory.slices(service.metadata.namespace, service.metadata.name):
            for endpoint in slice_.endpoints if slice_.address_type in ADDRESS_TYPES else ():
                if not endpoint.conditions.ready:
                    continue
                for text in endpoint.addresses:
                    host = endpoint_hostname(endpoint, text)
                    if request.endpoint and host.lower() != request.endpoint:
                        continue
                    for port in slice_.ports or (EndpointPort(protocol=""),):
                        if _matches(request, port.name, port.protocol):
                            number = NO_PORT if port.port is None else port.port
                            yield Entry(f"{host}.{name}", text, *_parse(text), number)

    def _cluster_ip(self, request: RecordRequest, service: Service, name: str) -> Iterator[Entry]:
        for port in service.spec.ports:
            if _matches(request, port.name, port.protocol):
                for text in _cluster_ips(service):
                    yield Entry(name, text, *_parse(text), port.port)


def parse_request(name: str, zone: str) -> RecordRequest:
    """Split a lower-case name inside `zone` into its parts. NoSuchNameError where no name can be of that form."""
    base = name.removesuffix(zone.lower()).rstrip(".") if zone != "." else name.rstrip(".")
    if base in {"", "svc", "pod"}:
        return RecordRequest()
    *rest, kind = base.split(".")
    if kind not in {"svc", "pod"} or "\\" in base:
        raise NoSuchNameError
    *rest, namespace = rest
    if not rest:
        return RecordRequest(kind, namespace)
    *rest, service = rest
    match rest:
        case []:
            return RecordRequest(kind, namespace, service)
        case [endpoint]:
            return RecordRequest(kind, namespace, service, endpoint=endpoint)
        case [port, protocol]:
            return RecordRequest(
                kind, namespace, service, port=port.removeprefix("_"), protocol=protocol.removeprefix("_")
            )
    raise NoSuchNameError


def endpoint_hostname(endpoint: Endpoint, address: str) -> str:
    """Return an endpoint's label: its hostname, else its address with dashes."""
    return endpoint.hostname or address.replace(".", "-").replace(":", "-")


def _matches(request: RecordRequest, port: str, protocol: str) -> bool:
    return (not request.port or request.port == port.lower()) and (
        not request.protocol or request.protocol == protocol.lower()
    )


def _cluster_ips(service: Service) -> tuple[str, ...]:
    return service.spec.cluster_ips or ((service.spec.cluster_ip,) if service.spec.cluster_ip else ())


def _parse(text: str) -> tuple[int, int]:
    """Return family and value of an address. WireError."""
    return (6, ipv6_to_int(text)) if ":" in text else (4, ipv4_to_int(text))


def _is_address(text: str) -> bool:
    try:
        _parse(text)
    except WireError:
        return False
    return True


def _addresses(slice_: EndpointSlice, endpoint: Endpoint) -> Iterator[tuple[int, int]]:
    if slice_.address_type in ADDRESS_TYPES:
        yield from (_parse(text) for text in endpoint.addresses)


def _texts(slice_: EndpointSlice, endpoint: Endpoint, wanted: tuple[int, int]) -> str:
    return next(
        text for text, value in zip(endpoint.addresses, _addresses(slice_, endpoint), strict=True) if value == wanted
    )
