"""kube-proxy of one node: whenever Services or endpoints change, gives the node's netfilter its new rules."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

import trio

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.kernel.netfilter.tuple import UDP
from emulator.kernel.netns import Netns
from emulator.kube.proxy.iptables import IptablesProxy
from emulator.kube.proxy.service_port import (
    Endpoint,
    ServicePort,
    ServicePortName,
    endpoints_by_port,
    service_ports,
)
from emulator.runtime.machine import Machine
from emulator.runtime.object_cache import ObjectCache

WATCHED = ("Service", "EndpointSlice")

_Backends = Mapping[ServicePortName, frozenset[str]]


class ServiceProxy:
    """Keeps the rules of `root` true to the Services in `cache`. Changes of one loop turn are one load."""

    def __init__(self, machine: Machine, root: Netns, proxy: IptablesProxy, cache: ObjectCache) -> None:
        self._machine = machine
        self._root = root
        self._proxy = proxy
        self._cache = cache
        self._changed = trio.Event()
        self._backends: _Backends = {}
        self.synced = trio.Event()
        cache.subscribe(WATCHED, self._note)

    def _note(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Load the rules at the start and after each change, until cancelled."""
        await self._cache.wait_synced(WATCHED)
        while True:
            self._changed = trio.Event()
            self._sync()
            self.synced.set()
            await self._changed.wait()

    def _sync(self) -> None:
        ports = service_ports(self._cache.views("Service", Service))
        endpoints = endpoints_by_port(self._cache.views("EndpointSlice", EndpointSlice))
        text = self._proxy.sync(ports, endpoints)
        self._machine.enter()
        self._root.netfilter.restore(text, noflush=True)
        self._clear_udp(ports, endpoints)

    def _clear_udp(
        self, ports: Mapping[ServicePortName, ServicePort], endpoints: Mapping[ServicePortName, tuple[Endpoint, ...]]
    ) -> None:
        """Delete UDP entries that lead to endpoints that are gone, or past a Service that has got its first one.

        UDP has no end that conntrack could see, so a client that goes on sending would never reach another endpoint
        (pkg/proxy/conntrack/cleanup.go).
        """
        now = {
            name: frozenset(endpoint.ip for endpoint in endpoints.get(name, ()) if endpoint.ready or endpoint.serving)
            for name, port in ports.items()
            if port.protocol == "udp"
        }
        before, self._backends = self._backends, now
        stale: dict[tuple[int, int], frozenset[str] | None] = {}
        for name, backends in now.items():
            old = before.get(name, frozenset())
            if old == backends:
                continue
            port = ports[name]
            # Without endpoints before, packets may have gone anywhere: all entries of the VIP go.
            stale[int(IPv4Address(port.cluster_ip)), port.port] = old - backends if old else None
        for (address, number), gone in stale.items():
            self._delete_entries(address, number, gone)

    def _delete_entries(self, address: int, port: int, gone: frozenset[str] | None) -> None:
        conntrack = self._root.netfilter.conntrack
        gone_addresses = None if gone is None else {int(IPv4Address(text)) for text in gone}
        for connection in conntrack:
            original = connection.original
            if original.protocol != UDP or (original.daddr, original.dport) != (address, port):
                continue
            if gone_addresses is None or connection.reply.saddr in gone_addresses:
                conntrack.delete(connection)
