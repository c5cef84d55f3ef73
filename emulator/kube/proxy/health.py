"""What kube-proxy answers to load balancers and probes: per Service on its healthCheckNodePort, for itself on 10256.

Pure; `runtime/node/health_server.py` listens.
Source: pkg/proxy/healthcheck/service_health.go, proxy_health.go, v1.35.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from emulator.kube.proxy.service_port import ServicePortName
from emulator.kube.proxy.settings import SYNC_PERIOD
from emulator.kube.proxy.tracker import Name, ServiceTracker

HEALTH_PORT = 10256
TIMEOUT = 2 * SYNC_PERIOD
"""Seconds that a change may wait for its sync before kube-proxy counts as unhealthy."""
TO_BE_DELETED_TAINT = "ToBeDeletedByClusterAutoscaler"


class HealthAnswer(Struct, frozen=True):
    """One HTTP answer: its status, its body, and the headers beside those of every answer."""

    status: int
    body: str
    headers: tuple[tuple[str, str], ...]


_HEADERS = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))


class ServiceChecks:
    """The Services with a healthCheckNodePort, and how many ready endpoints each has on this node.

    Terminating endpoints do not count, though they still get traffic: that is what drains a load balancer.
    """

    def __init__(self, node_name: str) -> None:
        self.ports: dict[Name, int] = {}
        self._node_name = node_name
        self._counts: dict[Name, int] = {}

    def update(self, changed: Iterable[ServicePortName], services: ServiceTracker) -> bool:
        """Take up what a sync brought in force; true if a port came, changed or went."""
        before = dict(self.ports)
        for name in {(port.namespace, port.name) for port in changed}:
            numbers = {port.health_check_node_port for port in services.ports_of(*name)} - {0}
            if not numbers:
                self.ports.pop(name, None)
                self._counts.pop(name, None)
                continue
            self.ports[name] = numbers.pop()
            endpoints = services.endpoints_of(*name)
            here = {e.ip for e in endpoints if e.ready and e.node_name == self._node_name}
            self._counts[name] = len(here)
        return self.ports != before

    def answer(self, name: Name, *, healthy: bool) -> HealthAnswer:
        """Return what a load balancer is told that asks for this Service; `healthy` is kube-proxy's own state."""
        count = self._counts.get(name, 0)
        body = {
            "service": {"namespace": name[0], "name": name[1]},
            "localEndpoints": count,
            "serviceProxyHealthy": healthy,
        }
        headers = (*_HEADERS, ("X-Load-Balancing-Endpoint-Weight", str(count)))
        return HealthAnswer(200 if count and healthy else 503, json.dumps(body, indent="\t"), headers)


class ProxyHealth:
    """Whether kube-proxy keeps up with its changes. `clock` is the wall clock in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.eligible = True
        self._clock = clock
        self._updated: float | None = None
        self._pending_since: float | None = None

    def queued(self) -> None:
        """Note that a change came which is not in force yet."""
        if self._pending_since is None:
            self._pending_since = self._clock()

    def synced(self) -> None:
        """Note that all changes are in force."""
        self._pending_since = None
        self._updated = self._clock()

    @property
    def healthy(self) -> bool:
        """Whether no change waits for too long. Before the first sync it is."""
        waits = 0.0 if self._pending_since is None else self._clock() - self._pending_since
        return self._updated is None or waits < TIMEOUT

    def take_node(self, node: Mapping[str, object] | None) -> None:
        """Take the Node object: one that goes, or is to go, is to get no more new connections."""
        metadata, spec = (_mapping(node, "metadata"), _mapping(node, "spec")) if node is not None else ({}, {})
        taints = spec.get("taints") or ()
        assert isinstance(taints, list | tuple)
        going = bool(metadata.get("deletionTimestamp")) or any(t.get("key") == TO_BE_DELETED_TAINT for t in taints)
        self.eligible = node is not None and not going

    def answer(self, path: str) -> HealthAnswer | None:
        """Return the answer to GET `path`; None for what is not there."""
        if path not in ("/healthz", "/livez"):
            return None
        healthy, now = self.healthy, _rfc3339(self._clock())
        updated = _rfc3339(self._updated) if self._updated is not None else "0001-01-01T00:00:00Z"
        eligible = {"nodeEligible": self.eligible} if path == "/healthz" else {}
        fine = healthy and (self.eligible or path == "/livez")
        status = {"status": {"IPv4": {"lastUpdated": updated, "healthy": healthy}}} if self._updated is not None else {}
        body = {"lastUpdated": now if fine else updated, "currentTime": now} | eligible | {"healthy": healthy} | status
        return HealthAnswer(200 if fine else 503, json.dumps(body, separators=(",", ":")), _HEADERS)


def _mapping(obj: Mapping[str, object] | None, name: str) -> Mapping[str, object]:
    value = (obj or {}).get(name)
    return value if isinstance(value, Mapping) else {}


def _rfc3339(seconds: float) -> str:
    """Write a time as Go's JSON has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
