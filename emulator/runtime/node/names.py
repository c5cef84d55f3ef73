"""The cluster's Services for the DNS server of a node's pods, always as the node's watches have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.kube.service_directory import KINDS, ServiceIndex
from emulator.runtime.machine.object_cache import ObjectCache


class ClusterDirectory:
    """A `ServiceDirectory` over the cache; its indexes are made at the first question: most nodes run no DNS server."""

    def __init__(self, cache: ObjectCache, wall_clock: Callable[[], float]) -> None:
        self._cache = cache
        self._wall_clock = wall_clock
        self._made: ServiceIndex | None = None

    @property
    def _index(self) -> ServiceIndex:
        if self._made is None:
            self._made = ServiceIndex(self._wall_clock)
            self._cache.follow(KINDS, self._made)
        return self._made

    @property
    def synced(self) -> bool:
        """Whether each kind was listed once."""
        return self._cache.is_synced(KINDS)

    async def wait_synced(self) -> None:
        """Wait until each kind was listed once."""
        await self._cache.wait_synced(KINDS)

    @property
    def serial(self) -> int:
        """When something last changed, seconds since the epoch."""
        return self._index.serial

    def has_namespace(self, name: str) -> bool:
        """Whether a namespace exists."""
        return self._index.has_namespace(name)

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a Service."""
        return self._index.service(namespace, name)

    def slices(self, namespace: str, service: str) -> Sequence[EndpointSlice]:
        """Return the slices of a Service."""
        return self._index.slices(namespace, service)

    def services_at(self, family: int, address: int) -> Sequence[Service]:
        """Return the Services that have a cluster address."""
        return self._index.services_at(family, address)

    def slices_at(self, family: int, address: int) -> Sequence[EndpointSlice]:
        """Return the slices that have an endpoint of this address."""
        return self._index.slices_at(family, address)
