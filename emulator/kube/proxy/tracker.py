"""What kube-proxy knows of the cluster, kept up object by object, and which service ports changed since a sync.

A change costs what it changes: nothing here looks at Services or EndpointSlices that stayed as they were.
Source: pkg/proxy/servicechangetracker.go, endpointschangetracker.go, endpointslicecache.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.kube.proxy.service_port import Endpoint, ServicePort, ServicePortName, endpoints_by_port, service_ports

T = TypeVar("T")
Name = tuple[str, str]
"""Namespace and name."""


class ServiceTracker:
    """The service ports and their endpoints. `ports` and `endpoints` are for reading; a sync takes `take_changes`.

    Whoever cleans up UDP connections takes `take_udp_changes`: the same names of UDP ports, for itself.
    """

    def __init__(self, services: Iterable[Service] = (), slices: Iterable[EndpointSlice] = ()) -> None:
        self.ports: dict[ServicePortName, ServicePort] = {}
        self.endpoints: dict[ServicePortName, tuple[Endpoint, ...]] = {}
        self._changed: set[ServicePortName] = set()
        self._changed_udp: set[ServicePortName] = set()
        self._ports_of: dict[Name, frozenset[ServicePortName]] = {}  # by Service
        self._endpoints_of: dict[Name, frozenset[ServicePortName]] = {}  # by Service
        self._slices_of: dict[Name, dict[str, EndpointSlice]] = {}  # by Service, then by the slice's name
        self._service_of: dict[Name, str] = {}  # by slice
        for service in services:
            self.put_service(service)
        for slice_ in slices:
            self.put_slice(slice_)

    def put_service(self, service: Service) -> None:
        """Take a Service that came or changed."""
        name = (service.metadata.namespace, service.metadata.name)
        self._replace(self.ports, self._ports_of, name, service_ports((service,)))

    def remove_service(self, namespace: str, name: str) -> None:
        """Forget a Service. Its endpoints stay known until their slices go."""
        self._replace(self.ports, self._ports_of, (namespace, name), {})

    def put_slice(self, slice_: EndpointSlice) -> None:
        """Take an EndpointSlice that came or changed; one that names another Service now leaves its old one."""
        namespace, name = slice_.metadata.namespace, slice_.metadata.name
        if self._service_of.get((namespace, name), slice_.service_name) != slice_.service_name:
            self.remove_slice(namespace, name)
        self._service_of[namespace, name] = slice_.service_name
        slices = self._slices_of.setdefault((namespace, slice_.service_name), {})
        slices[name] = slice_
        self._replace(
            self.endpoints, self._endpoints_of, (namespace, slice_.service_name), endpoints_by_port(slices.values())
        )

    def remove_slice(self, namespace: str, name: str) -> None:
        """Forget an EndpointSlice."""
        service = self._service_of.pop((namespace, name), None)
        if service is None:
            return
        slices = self._slices_of[namespace, service]
        del slices[name]
        if not slices:
            del self._slices_of[namespace, service]
        self._replace(self.endpoints, self._endpoints_of, (namespace, service), endpoints_by_port(slices.values()))

    def ports_of(self, namespace: str, name: str) -> list[ServicePort]:
        """Return the service ports of one Service."""
        return [self.ports[port] for port in self._ports_of.get((namespace, name), ())]

    def endpoints_of(self, namespace: str, name: str) -> list[Endpoint]:
        """Return the endpoints of one Service, those of each of its ports."""
        ports = self._endpoints_of.get((namespace, name), ())
        return [endpoint for port in ports for endpoint in self.endpoints[port]]

    @property
    def changed(self) -> frozenset[ServicePortName]:
        """What `take_changes` would return."""
        return frozenset(self._changed)

    def take_changes(self) -> frozenset[ServicePortName]:
        """Return the names of the service ports that came, changed or went since the last call."""
        changed = frozenset(self._changed)
        self._changed.clear()
        return changed

    def take_udp_changes(self) -> frozenset[ServicePortName]:
        """Return the names of the UDP service ports that came, changed or went since the last call."""
        changed = frozenset(self._changed_udp)
        self._changed_udp.clear()
        return changed

    def _note(self, name: ServicePortName) -> None:
        self._changed.add(name)
        if name.protocol == "UDP":
            self._changed_udp.add(name)

    def _replace(
        self,
        values: dict[ServicePortName, T],
        names_of: dict[Name, frozenset[ServicePortName]],
        service: Name,
        now: dict[ServicePortName, T],
    ) -> None:
        """Let `now` be all that `values` has of a Service, noting what is another than before."""
        for port in names_of.pop(service, frozenset()) - now.keys():
            del values[port]
            self._note(port)
        for port, value in now.items():
            if values.get(port) != value:
                values[port] = value
                self._note(port)
        if now:
            names_of[service] = frozenset(now)
