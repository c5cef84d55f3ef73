"""The cluster's names for the DNS server of a node's pods, always as the node's watches have them."""

from __future__ import annotations

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.apps.environment import DnsAnswer
from emulator.kube.dns import ClusterZone
from emulator.runtime.node.object_cache import ObjectCache

WATCHED = ("Service", "EndpointSlice")


class ClusterNames:
    """A `Zone` over the cache: made anew at the first look after a change."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache
        self._zone: ClusterZone | None = None
        cache.subscribe(WATCHED, self._forget)

    def lookup(self, name: str, record_type: int) -> DnsAnswer:
        """Look up a full name of a type."""
        if self._zone is None:
            services = self._cache.views("Service", Service)
            self._zone = ClusterZone(services, self._cache.views("EndpointSlice", EndpointSlice))
        answer = self._zone.lookup(name, record_type)
        authority = () if answer.records or not answer.authoritative else (self._zone.authority(),)
        return DnsAnswer(answer.records, answer.exists, answer.authoritative, authority)

    def _forget(self) -> None:
        self._zone = None
