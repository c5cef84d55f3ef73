"""How long a change of endpoints takes to the rules of every node, and how long a node's first sync takes.

Real processes: pods change their labels, the EndpointSlice controller writes, the controller's watches tell all nodes,
each node's kube-proxy loads what changed and says so. The clock runs from before the request until that is heard.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio
from msgspec import Struct

from emulator.api import messages
from emulator.api.messages import ControlError, Empty, ProxySync
from emulator.kube.proxy import configuration
from emulator.runtime.bench.cluster import BenchCluster, BenchError, bench_cluster, cluster_file, node_names
from emulator.runtime.bench.memory import read_memory
from emulator.runtime.bench.spread import Spread
from emulator.runtime.control.client import ControlClient, open_client
from emulator.runtime.state_directory import StateDirectory
from emulator.runtime.tasks import tasks

ENDPOINTS = 2
"""Of each Service."""

_BATCH = 500  # objects in one request
_WITHIN = 600.0  # ten nodes on two busy processors take minutes to load ten thousand Services
_AGAIN = 0.02
_QUIET = 0.05  # seconds between two changes, so that each is measured by itself
_PROBE = "default/probe"

MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: probe}
spec: {selector: {app: probe}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: probe-stays, labels: {app: probe}}
spec: {containers: [{name: bench, image: podwire/bench}]}
---
apiVersion: v1
kind: Pod
metadata: {name: probe-changes, labels: {app: probe}}
spec: {containers: [{name: bench, image: podwire/bench}]}
"""


class ServicesPlan(Struct, frozen=True, kw_only=True):
    """What is measured: `changes` of one endpoint and `restarts` of a node, in each of `modes`."""

    services: int
    nodes: int
    changes: int
    restarts: int
    modes: tuple[str, ...]


class ModeReport(Struct, frozen=True, kw_only=True):
    """One mode; all in seconds.

    `all_nodes`: from before the request that changes an endpoint until the last node has the rules; `percentile` is the
    99th of these. `one_node`: the same for each node by itself. `sync`: what a node's kube-proxy took for one change.
    `first_sync`: what it took for everything, after a node's process was killed; `restart`: from that end until the
    rules are there, with the new process's start and its lists. `memory`: of each node, PSS in mebibytes.
    """

    mode: str
    all_nodes: Spread
    percentile: float
    one_node: Spread
    one_percentile: float
    sync: Spread
    first_sync: Spread | None
    restart: Spread | None
    memory: Spread | None


class ServicesReport(Struct, frozen=True, kw_only=True):
    """`created`: seconds until all nodes had the rules of all Services, which were made in batches."""

    services: int
    nodes: int
    changes: int
    load: float
    created: float
    modes: tuple[ModeReport, ...]


def measure_services(plan: ServicesPlan, say: Callable[[str], None]) -> ServicesReport:
    """Start a cluster and measure in it; `say` hears how it goes. Raises BenchError."""
    load = os.getloadavg()[0]
    with bench_cluster(cluster_file(plan.nodes), MANIFEST) as cluster:
        say(f"starting {plan.nodes} nodes …")
        cluster.start()
        created, modes = trio.run(partial(_measure, cluster, plan, say))
    return ServicesReport(
        services=plan.services,
        nodes=plan.nodes,
        changes=plan.changes,
        load=load,
        created=created,
        modes=modes,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(len(ordered) * share, 6)) - 1)]


def objects(services: int) -> Iterator[dict[str, Any]]:
    """Yield so many Services of one TCP port, and their EndpointSlices of `ENDPOINTS` addresses outside the cluster."""
    for number in range(services):
        name = f"s{number:05}"
        metadata = {"name": name, "namespace": "default"}
        port = {"name": "http", "port": 80, "protocol": "TCP"}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [port]}}
        addresses = [f"192.{168 + last}.{number // 250 % 250}.{number % 250 + 1}" for last in range(ENDPOINTS)]
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{**port, "port": 8080}],
            "endpoints": [{"addresses": [address]} for address in addresses],
        }


class _Syncs:
    """What the nodes' kube-proxies tell of their syncs, and when it was heard."""

    def __init__(self, directory: StateDirectory, nodes: Sequence[str]) -> None:
        self._directory = directory
        self.nodes = nodes
        self.last: dict[str, ProxySync] = {}
        self.probed = 0  # changes so far
        self.heard: dict[str, float] = {}
        self._wanted: Callable[[ProxySync], bool] = lambda _: False
        self._missing: set[str] = set()
        self._complete = trio.Event()

    async def follow(self, name: str) -> None:
        """Watch one node, also through its restarts, until cancelled."""
        while True:
            try:
                stream = await trio.open_unix_socket(str(self._directory.socket(name)))
                async with open_client(stream) as client, client.stream(messages.PROXY_WATCH, Empty()) as exchange:
                    while (report := await exchange.next_event()) is not None:
                        self._note(name, report)
            except (OSError, ControlError):
                await trio.sleep(_AGAIN)

    def expect(self, wanted: Callable[[ProxySync], bool], nodes: Sequence[str] = ()) -> None:
        """Begin to listen for a report of this sort from each of these nodes, or from all."""
        self._wanted = wanted
        self._missing = set(nodes or self.nodes)
        self.heard.clear()
        self._complete = trio.Event()

    async def arrive(self) -> dict[str, float]:
        """Wait until they all have come; return when each was heard. Raises BenchError."""
        with trio.move_on_after(_WITHIN):
            await self._complete.wait()
            return dict(self.heard)
        missing = ", ".join(sorted(self._missing))
        raise BenchError(f"no news of kube-proxy from {missing} within {_WITHIN:g} s")

    def _note(self, name: str, report: ProxySync) -> None:
        self.last[name] = report
        if name in self._missing and self._wanted(report):
            self._missing.discard(name)
            self.heard[name] = trio.current_time()
            if not self._missing:
                self._complete.set()


async def _measure(
    cluster: BenchCluster, plan: ServicesPlan, say: Callable[[str], None]
) -> tuple[float, tuple[ModeReport, ...]]:
    directory = StateDirectory(Path(cluster.state_directory), "bench")
    names = node_names(plan.nodes)
    syncs = _Syncs(directory, names)
    async with tasks() as nursery:
        syncs.expect(lambda _: True)
        for name in names:
            nursery.start_soon(syncs.follow, name)
        await syncs.arrive()
        async with open_client(await trio.open_unix_socket(str(directory.socket("controller")))) as client:
            created = await _create(client, syncs, plan, say)
            reports = [await _measure_mode(mode, client, cluster, syncs, plan, say) for mode in plan.modes]
    return created, tuple(reports)


async def _create(client: ControlClient, syncs: _Syncs, plan: ServicesPlan, say: Callable[[str], None]) -> float:
    began = trio.current_time()
    say(f"creating {plan.services:,} Services …")
    every = [*objects(plan.services)]
    for start in range(0, len(every), _BATCH):
        batch = every[start : start + _BATCH]
        await client.call(messages.APPLY, messages.ApplyParams(objects=batch))
        say(f"  {(start + len(batch)) // 2:,} of {plan.services:,}, {trio.current_time() - began:.1f} s")
    # Watches keep their order: who tells of a later change has all of these. A node that is behind tells of many at
    # once and names none, and is asked again.
    for _ in range(int(_WITHIN)):
        with trio.move_on_after(1.0):
            await _change(client, syncs)
            return trio.current_time() - began
    raise BenchError(f"not all nodes had the rules of {plan.services:,} Services within {_WITHIN:g} s")


async def _measure_mode(
    mode: str,
    client: ControlClient,
    cluster: BenchCluster,
    syncs: _Syncs,
    plan: ServicesPlan,
    say: Callable[[str], None],
) -> ModeReport:
    say(f"{mode} mode …")
    syncs.expect(lambda report: report.mode == mode)
    await client.call(messages.APPLY, messages.ApplyParams(objects=[configuration.config_map(mode)]))
    if any(report.mode != mode for report in syncs.last.values()):
        await syncs.arrive()
    say(f"  {plan.changes} changes of one endpoint …")
    changes = [await _change(client, syncs) for _ in range(plan.changes)]
    restarts = []
    for number in range(plan.restarts):
        say(f"  a node's first sync, {number + 1} of {plan.restarts} …")
        restarts.append(await _restart(cluster, syncs, syncs.nodes[number % len(syncs.nodes)]))
    slowest = [max(times.values()) for times, _ in changes]
    single = [value for times, _ in changes for value in times.values()]
    memory = [read_memory(name, pid) for name, pid in cluster.processes().items() if name in syncs.nodes]
    return ModeReport(
        mode=mode,
        all_nodes=Spread.of(slowest),
        percentile=percentile(slowest, 0.99),
        one_node=Spread.of(single),
        one_percentile=percentile(single, 0.99),
        sync=Spread.of(value for _, taken in changes for value in taken),
        first_sync=Spread.of(sync for sync, _ in restarts) if restarts else None,
        restart=Spread.of(whole for _, whole in restarts) if restarts else None,
        memory=Spread.of(each.pss for each in memory if each is not None) if any(memory) else None,
    )


async def _change(client: ControlClient, syncs: _Syncs) -> tuple[dict[str, float], list[float]]:
    """Take a pod out of its Service, or in again; return each node's time to it, and what its sync took."""
    await trio.sleep(_QUIET)
    patch = {"metadata": {"labels": {"app": "probe" if syncs.probed % 2 else "elsewhere"}}}
    syncs.probed += 1
    params = messages.PatchParams(kind="Pod", namespace="default", name="probe-changes", patch=patch)
    syncs.expect(lambda report: _PROBE in report.ports)
    began = trio.current_time()
    await client.call(messages.PATCH, params)
    heard = await syncs.arrive()
    return {name: when - began for name, when in heard.items()}, [report.seconds for report in syncs.last.values()]


async def _restart(cluster: BenchCluster, syncs: _Syncs, name: str) -> tuple[float, float]:
    """Kill a node's process; return what its successor's first sync took, and the whole time until it was heard of."""
    pid = cluster.processes()[name]
    syncs.expect(lambda report: report.number == 1, [name])
    began = trio.current_time()
    os.kill(pid, signal.SIGKILL)
    heard = await syncs.arrive()
    return syncs.last[name].seconds, heard[name] - began
