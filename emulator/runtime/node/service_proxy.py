"""kube-proxy of one node: whenever Services or endpoints change, gives the node's netfilter its new rules."""

from __future__ import annotations

import trio

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.kernel.netfilter.tuple import UDP
from emulator.kernel.netns import Netns
from emulator.kube.proxy.apply import apply_writes
from emulator.kube.proxy.conntrack import UdpFrontends, udp_frontends
from emulator.kube.proxy.proxier import Proxier
from emulator.kube.proxy.tracker import ServiceTracker
from emulator.runtime.machine import Machine
from emulator.runtime.node.object_cache import ObjectCache

WATCHED = ("Service", "EndpointSlice")

LONGEST_PAUSE = 1.0
"""Seconds between two loads at most (kube-proxy's `minSyncPeriod`); where a load is quick, so is the next one."""


class ServiceProxy:
    """Keeps the rules of `root` true to the Services in `cache`.

    Changes of one loop turn are one load. A load is followed by a pause as long as it took, in which changes gather:
    else, with thousands of Services, a storm of changes would leave no time to read the rest of it.
    """

    def __init__(self, machine: Machine, root: Netns, proxy: Proxier, cache: ObjectCache) -> None:
        self._machine = machine
        self._root = root
        self._proxy = proxy
        self._cache = cache
        self._changed = trio.Event()
        self._frontends = UdpFrontends({}, {})
        self.synced = trio.Event()
        cache.subscribe(WATCHED, self._note)

    def _note(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Load the rules at the start and after each change, until cancelled."""
        await self._cache.wait_synced(WATCHED)
        while True:
            self._changed = trio.Event()
            began = trio.current_time()
            self._sync()
            self.synced.set()
            await trio.sleep(min(LONGEST_PAUSE, trio.current_time() - began))
            await self._changed.wait()

    def _sync(self) -> None:
        services = ServiceTracker(
            self._cache.views("Service", Service), self._cache.views("EndpointSlice", EndpointSlice)
        )
        writes = self._proxy.sync(services, trio.current_time())
        self._machine.enter()
        apply_writes(self._root, writes)
        self._clear_stale(udp_frontends(services.ports, services.endpoints))

    def _clear_stale(self, frontends: UdpFrontends) -> None:
        """Delete the UDP entries that the new rules would not make, once they are in force."""
        if frontends == self._frontends:
            return
        self._frontends = frontends
        conntrack = self._root.netfilter.conntrack
        for connection in conntrack:
            original = connection.original
            if original.protocol == UDP and frontends.is_stale(original.daddr, original.dport, connection.reply.saddr):
                conntrack.delete(connection, "kube-proxy")
