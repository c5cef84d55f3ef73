"""kube-proxy of one node: whenever Services or endpoints change, gives the node's kernel its new rules.

Each watch event changes one tracker, so that a sync looks at what changed and at nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import trio
from msgspec.structs import replace

from emulator.api.messages import ProxySync
from emulator.api.objects.meta import Object
from emulator.api.objects.node import ZONE_LABEL
from emulator.errors import PodwireError
from emulator.kernel.netfilter.conntrack.tuple import UDP
from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netns import Netns
from emulator.kube.proxy import configuration
from emulator.kube.proxy.apply import apply_writes
from emulator.kube.proxy.configuration_text import ConfigurationError
from emulator.kube.proxy.conntrack import UdpFrontends
from emulator.kube.proxy.health import ProxyHealth
from emulator.kube.proxy.modes import UnknownModeError
from emulator.kube.proxy.proxier import Proxier, Writes
from emulator.kube.proxy.service_port import ServicePortName
from emulator.kube.proxy.settings import SYNC_PERIOD, ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker
from emulator.runtime.machine.machine import Machine
from emulator.runtime.machine.object_cache import ObjectCache

WATCHED = ("Service", "EndpointSlice")
CONFIGURED_BY = "ConfigMap"

LONGEST_PAUSE = 0.1
"""Seconds between two syncs at most. kube-proxy has one second (`minSyncPeriod`), since each sync of its iptables mode
looks at all Services; ours cost what has changed, and after a long one, which is a full one, little is left to do."""

FLUSH_POLL, FLUSH_TIMEOUT = 0.1, 5.0
"""Seconds: while somebody flushes one table after the other, kube-proxy waits for the last of them."""

NAMED = 16
"""Service ports that a report names."""

MakeProxier = Callable[[str, ProxyNode, ProxySettings], Proxier]

OnSynced = Callable[[frozenset[ServicePortName], ServiceTracker], None]
"""Told after each sync that succeeded: which service ports are others than after the one before, and all there are."""


class ServiceProxy:
    """Keeps the rules of `root` true to the Services in `cache`.

    Changes of one loop turn are one sync. A sync is followed by a pause as long as it took, in which changes gather:
    else, with thousands of Services, a storm of changes would leave no time to read the rest of it. `mode` is what the
    node runs; another one is taken from the cluster's ConfigMap, if it has that, else it stays, and so it is with
    `settings`.
    """

    def __init__(
        self,
        machine: Machine,
        root: Netns,
        make: MakeProxier,
        mode: str,
        node: ProxyNode,
        cache: ObjectCache,
        log: logging.Logger,
        *,
        settings: ProxySettings,
        sysctls: tuple[tuple[str, int], ...] = (),
    ) -> None:
        self.mode = mode
        self.synced = trio.Event()
        self.reports: list[Callable[[ProxySync], None]] = []
        self.health = ProxyHealth(machine.wall_clock)
        self.on_synced: OnSynced = _nobody
        self.last_report: ProxySync | None = None
        self._machine = machine
        self._root = root
        self._make = make
        self._node = node
        self._base = self._settings = settings
        self._proxier = make(mode, node, settings)
        self._cache = cache
        self._log = log
        self._first = Writes(sysctls=sysctls)
        self._wanted_mode = mode
        self._tracker = ServiceTracker()
        self._frontends = UdpFrontends()
        self._canaries: tuple[tuple[str, str], ...] = ()
        self._retry_at: float | None = None
        self._altered = False  # another zone or other settings, for which all is to be made anew
        self._unsynced: set[ServicePortName] = set()
        self._syncs = 0
        self._changed = trio.Event()
        cache.follow((*WATCHED, CONFIGURED_BY, "Node"), self)

    # What the watches bring

    def put(self, kind: str, obj: Any) -> None:
        """Take a Service, an EndpointSlice, a Node or a ConfigMap that came or changed."""
        if kind == "Service":
            self._tracker.put_service(obj)
        elif kind == "EndpointSlice":
            self._tracker.put_slice(obj)
        elif not self._configure(kind, obj):
            return
        self._note()

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Forget one of these. Without its ConfigMap the node goes on in its mode."""
        if kind == "Service":
            self._tracker.remove_service(namespace, name)
        elif kind == "EndpointSlice":
            self._tracker.remove_slice(namespace, name)
        else:
            return
        self._note()

    def _note(self) -> None:
        self.health.queued()
        self._changed.set()

    def _configure(self, kind: str, obj: Object) -> bool:
        """Take the cluster's configuration and the own node's zone; return whether either is another than before."""
        if kind == CONFIGURED_BY and configuration.is_configuration(obj):
            return self._take(obj)
        zone = (obj["metadata"].get("labels") or {}).get(ZONE_LABEL, "")
        if kind != "Node" or obj["metadata"]["name"] != self._node.name or zone == self._node.zone:
            return False
        self._node = replace(self._node, zone=zone)
        self._altered = True
        return True

    def _take(self, obj: Object) -> bool:
        self._wanted_mode = configuration.mode_of(obj)
        try:
            settings = configuration.settings_of(obj, self._base)
        except ConfigurationError as error:
            self._log.error("kube-proxy keeps its settings", extra={"error": str(error)})
            settings = self._settings
        if settings != self._settings:
            self._settings, self._altered = settings, True
        return self._altered or self._wanted_mode != self.mode

    # Tasks

    async def run(self) -> None:
        """Sync at the start, after each change and when it is due, until cancelled."""
        await self._cache.wait_synced((*WATCHED, CONFIGURED_BY))
        self._machine.enter()
        apply_writes(self._root, self._first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_canaries)
            await self._sync_on_changes()

    async def _sync_on_changes(self) -> None:
        while True:
            self._changed = trio.Event()
            began = trio.current_time()
            self._sync()
            self.synced.set()
            await trio.sleep(min(LONGEST_PAUSE, trio.current_time() - began))
            with trio.move_on_at(self._due()):
                await self._changed.wait()

    def _due(self) -> float:
        """Return when the next sync is to be, whether something changes or not."""
        times = (self._proxier.next_sync(), self._retry_at)
        return min((time for time in times if time is not None), default=float("inf"))

    async def _watch_canaries(self) -> None:
        """Look now and then whether somebody flushed the tables (pkg/util/iptables/iptables.go, `Monitor`)."""
        while True:
            await trio.sleep(SYNC_PERIOD)
            if not self._canaries or self._alive(self._canaries[0]):
                continue
            with trio.move_on_after(FLUSH_TIMEOUT):
                while any(self._alive(canary) for canary in self._canaries):  # noqa: ASYNC110 - tables tell nobody
                    await trio.sleep(FLUSH_POLL)
            self._log.warning("kube-proxy's rules were flushed: all are written anew", extra={"mode": self.mode})
            self._proxier.forget()
            self._changed.set()

    def _alive(self, canary: tuple[str, str]) -> bool:
        name, chain = canary
        table = self._root.netfilter.tables.get(name)
        return table is not None and chain in table.chains

    # One sync

    def _sync(self) -> None:
        """Bring the kernel up to date. What it refuses is told, and all is written anew a little later."""
        began = trio.current_time()
        self._machine.enter()
        self._retry_at = None
        changed = self._tracker.changed
        self._unsynced |= changed
        writes = Writes()
        try:
            if self._wanted_mode != self.mode:
                self._change_mode()
            elif self._altered:
                self._proxier = self._make(self.mode, self._node, self._settings)
            self._altered = False
            writes = self._proxier.sync(self._tracker, began)
            apply_writes(self._root, writes)
        except PodwireError as error:
            lines = writes.iptables.splitlines()[error.line - 1 : error.line] if isinstance(error, RestoreError) else []
            extra = {"mode": self.mode, "error": str(error), "lines": lines}
            self._log.error("kube-proxy's rules were refused", extra=extra)
            self._fail()
            return
        except Exception:
            self._log.exception("a sync of kube-proxy failed", extra={"mode": self.mode})
            self._fail()
            return
        self._canaries = writes.canaries or self._canaries
        self._clear_stale()
        self.health.synced()
        self.on_synced(frozenset(self._unsynced), self._tracker)
        self._unsynced.clear()
        self._report(changed, began)

    def _fail(self) -> None:
        self._proxier.forget()
        self._retry_at = trio.current_time() + SYNC_PERIOD

    def _change_mode(self) -> None:
        """Take the old mode's rules away and begin anew, in one go for packets. Connections are not touched."""
        old, mode = self.mode, self._wanted_mode
        try:
            proxier = self._make(mode, self._node, self._settings)
        except UnknownModeError as error:
            self._log.error("kube-proxy stays in its mode", extra={"mode": old, "error": str(error)})
            self._wanted_mode = old
            return
        try:
            apply_writes(self._root, self._proxier.cleanup())
        except PodwireError as error:
            self._log.error("kube-proxy's old rules stay", extra={"mode": old, "error": str(error)})
        self._proxier, self.mode, self._canaries = proxier, mode, ()
        self._log.info("kube-proxy changed its mode", extra={"mode": mode, "before": old})

    def _clear_stale(self) -> None:
        """Delete the UDP entries that the new rules would not make, once they are in force."""
        changed = self._tracker.take_udp_changes()
        if not changed:
            return
        for name in changed:
            self._frontends.put(name, self._tracker.ports.get(name), self._tracker.endpoints.get(name, ()))
        conntrack, is_stale = self._root.netfilter.conntrack, self._frontends.is_stale
        for connection in conntrack:
            original = connection.original
            if original.protocol == UDP and is_stale(original.daddr, original.dport, connection.reply.saddr):
                conntrack.delete(connection, "kube-proxy")

    def _report(self, changed: frozenset[ServicePortName], began: float) -> None:
        self._syncs += 1
        names = tuple(str(name) for name in sorted(changed)) if len(changed) <= NAMED else ()
        self.last_report = ProxySync(
            mode=self.mode,
            number=self._syncs,
            changed=len(changed),
            ports=names,
            seconds=trio.current_time() - began,
        )
        for tell in self.reports:
            tell(self.last_report)


def _nobody(changed: frozenset[ServicePortName], services: ServiceTracker) -> None:
    """Nobody wants to be told."""
