"""Services and EndpointSlices by the keys that DNS looks them up by: name, Service, address.

Follows each object by itself, so that a change costs what that object is, however many Services there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.errors import WireError
from emulator.packet.address import ipv4_to_int, ipv6_to_int

KINDS = ("Namespace", "Service", "EndpointSlice")

Named = tuple[str, str]
"""Namespace and name."""
Location = tuple[int, int]
"""Family (4 or 6) and address."""


class ServiceIndex:
    """The indexes; a follower of an object cache. `wall_clock` gives seconds since the epoch."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self.serial = int(wall_clock())
        """When something last changed."""
        self._wall_clock = wall_clock
        self._namespaces: set[str] = set()
        self._services: dict[Named, Service] = {}
        self._slices: dict[Named, EndpointSlice] = {}
        self._slices_of: dict[Named, dict[str, EndpointSlice]] = {}
        self._services_at: dict[Location, dict[Named, Service]] = {}
        self._slices_at: dict[Location, dict[Named, EndpointSlice]] = {}

    def put(self, kind: str, obj: Any) -> None:
        """Take an object that came or changed; Namespaces as they are, the others as views."""
        self.serial = int(self._wall_clock())
        if kind == "Namespace":
            self._namespaces.add(obj["metadata"]["name"])
            return
        key = (obj.metadata.namespace, obj.metadata.name)
        self.remove(kind, *key)
        if isinstance(obj, Service):
            self._services[key] = obj
            for location in _service_locations(obj):
                self._services_at.setdefault(location, {})[key] = obj
        elif isinstance(obj, EndpointSlice):
            self._slices[key] = obj
            self._slices_of.setdefault((key[0], obj.service_name), {})[key[1]] = obj
            for location in _slice_locations(obj):
                self._slices_at.setdefault(location, {})[key] = obj

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Forget an object."""
        self.serial = int(self._wall_clock())
        key = (namespace, name)
        if kind == "Namespace":
            self._namespaces.discard(name)
        elif kind == "Service" and (service := self._services.pop(key, None)) is not None:
            for location in _service_locations(service):
                _drop(self._services_at, location, key)
        elif kind == "EndpointSlice" and (slice_ := self._slices.pop(key, None)) is not None:
            _drop(self._slices_of, (namespace, slice_.service_name), name)
            for location in _slice_locations(slice_):
                _drop(self._slices_at, location, key)

    def has_namespace(self, name: str) -> bool:
        """Whether a namespace exists."""
        return name in self._namespaces

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a Service."""
        return self._services.get((namespace, name))

    def slices(self, namespace: str, service: str) -> Sequence[EndpointSlice]:
        """Return the slices of a Service, by their names."""
        found = self._slices_of.get((namespace, service), {})
        return [found[name] for name in sorted(found)]

    def services_at(self, family: int, address: int) -> Sequence[Service]:
        """Return the Services that have a cluster address."""
        return [*self._services_at.get((family, address), {}).values()]

    def slices_at(self, family: int, address: int) -> Sequence[EndpointSlice]:
        """Return the slices that have an endpoint of this address, by their names."""
        found = self._slices_at.get((family, address), {})
        return [found[key] for key in sorted(found)]


def _service_locations(service: Service) -> Iterator[Location]:
    yield from _locations(service.spec.cluster_ips or (service.spec.cluster_ip,))


def _slice_locations(slice_: EndpointSlice) -> Iterator[Location]:
    for endpoint in slice_.endpoints:
        yield from _locations(endpoint.addresses)


def _locations(texts: Sequence[str]) -> Iterator[Location]:
    """Yield the addresses among texts; "None", "" and host names are none."""
    for text in texts:
        try:
            yield (6, ipv6_to_int(text)) if ":" in text else (4, ipv4_to_int(text))
        except WireError:
            continue


def _drop(index: dict[Any, dict[Any, Any]], key: Any, inner: Any) -> None:
    found = index.get(key)
    if found is not None:
        found.pop(inner, None)
        if not found:
            del index[key]
