"""The Python API: a cluster to start, attach to, change and drive from tests and scripts.

`async with emulator.Cluster.start("configs/3node.toml") as cluster:` runs real processes; with `simulate=True` the same
cluster runs inside this process, on trio's clock, mock clocks included.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec
import trio
from msgspec import Struct

from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig, read_cluster_file
from emulator.api.manifest import parse_manifest, read_manifests
from emulator.api.messages import (
    ApplyOutcome,
    ApplyParams,
    ClusterOverview,
    DeleteParams,
    Empty,
    EventType,
    ExecParams,
    GetParams,
    ListParams,
    Method,
    Object,
    OutputStream,
    TcpConnectParams,
    TraceCollectParams,
    TraceStartParams,
    TraceStartResult,
    TraceStep,
    UdpOpenParams,
    WatchParams,
)
from emulator.errors import PodwireError
from emulator.kube import cloud_lease
from emulator.runtime import state_directory
from emulator.runtime.cluster.backend import Backend, UnixBackend
from emulator.runtime.cluster.lists import list_all
from emulator.runtime.cluster.outside import observed, with_hosts
from emulator.runtime.cluster.remote_sockets import RemoteStream, RemoteUdp, os_error
from emulator.runtime.cluster.simulation import Simulation, simulated
from emulator.runtime.control.client import ConnectionLostError, ControlClient
from emulator.runtime.state_directory import CLOUD
from emulator.runtime.supervisor.readiness import wait_ready
from emulator.runtime.supervisor.supervised import supervised
from emulator.runtime.tasks import tasks
from emulator.runtime.underlay.memory import Conditions

P = TypeVar("P", bound=Struct)
E = TypeVar("E", bound=Struct)
R = TypeVar("R", bound=Struct)

READY_WITHIN = 60.0


class ExecOutcome(Struct, frozen=True):
    """What a command printed, and its exit status."""

    stdout: str
    stderr: str
    exit_status: int


class TraceOutcome(Struct, frozen=True):
    """How a traced packet fared, and every decision about it and its reply, in order."""

    result: TraceStartResult
    steps: tuple[TraceStep, ...]


class Cluster:
    """A running cluster. Get one from `Cluster.start` or `Cluster.attach`."""

    def __init__(self, config: ClusterConfig, backend: Backend, nursery: trio.Nursery) -> None:
        self.config = config
        self.simulation: Simulation | None = None
        self._backend = backend
        self._nursery = nursery
        self._controller: ControlClient | None = None
        self._random = Random()

    @staticmethod
    @asynccontextmanager
    async def start(
        config: ClusterConfig | str | Path,
        *,
        simulate: bool = False,
        seed: int | None = None,
        conditions: Conditions | None = None,
        hosts: Sequence[str] = (),
        state_dir: str | None = None,
        wait: bool = True,
    ) -> AsyncIterator[Cluster]:
        """Start a cluster, and end it with the block; with `wait` the block begins when all is ready.

        `conditions` spoil the underlay of a simulated cluster. `hosts` are on the node network in place of the
        internet, the first with the gateway's address. Raises ManifestError or StartError.
        """
        if not isinstance(config, ClusterConfig):
            config = read_cluster_file(config)
        if seed is not None:
            config = msgspec.structs.replace(config, seed=seed)
        config = with_hosts(config, hosts)
        objects = [item.object for item in read_manifests(config.manifests)] if config.manifests else []
        if simulate:
            async with (
                simulated(config, conditions) as simulation,
                _opened(config, simulation.backend) as cluster,
            ):
                cluster.simulation = simulation
                if objects:
                    await cluster.apply(objects)
                if wait:
                    await cluster.wait_ready()
                cluster.start_traffic()
                yield cluster
            return
        directory = state_directory.locate(config.name, state_dir)
        async with (
            supervised(config, objects, directory, wait=wait),
            _opened(config, UnixBackend(directory)) as cluster,
        ):
            if wait:
                await cluster.wait_ready()
            yield cluster

    @staticmethod
    @asynccontextmanager
    async def attach(name: str | None = None, *, state_dir: str | None = None) -> AsyncIterator[Cluster]:
        """Use a cluster that runs already: the named one, or the only one. Raises StateDirectoryError."""
        directory = state_directory.find(name, state_dir)
        config = ClusterConfig(name=directory.name)
        async with _opened(config, UnixBackend(directory)) as cluster:
            nodes = await cluster.objects("Node")
            names = [node["metadata"]["name"] for node in nodes]
            cluster.config = observed(config, names, (await cluster.status()).hosts)
            yield cluster

    # Objects

    async def apply(self, objects: str | Sequence[Object]) -> tuple[ApplyOutcome, ...]:
        """Apply Kubernetes objects, or the text of a manifest: all or none. Raises ManifestError or ControlError."""
        if isinstance(objects, str):
            objects = [item.object for item in parse_manifest(objects, "manifest")]
        result = await self._call(messages.APPLY, ApplyParams(objects=list(objects)))
        return result.outcomes

    async def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """Return one object. ControlError (NOT_FOUND)."""
        return (await self._call(messages.GET, GetParams(kind=kind, name=name, namespace=namespace))).object

    async def objects(self, kind: str, namespace: str | None = None, *, selector: str = "") -> list[Object]:
        """Return the objects of a kind, of one namespace or of all."""
        params = ListParams(kind=kind, namespace=namespace, label_selector=selector)
        return await list_all(await self._controller_client(), params)

    async def update_status(self, kind: str, name: str, namespace: str, status: Object) -> None:
        """Replace an object's status, as whoever implements it does. ControlError (NOT_FOUND)."""
        params = messages.UpdateStatusParams(kind=kind, name=name, namespace=namespace, status=status)
        await self._call(messages.UPDATE_STATUS, params)

    async def patch(self, kind: str, name: str, namespace: str, patch: Object) -> None:
        """Change an object by a JSON merge patch (RFC 7386). ControlError (NOT_FOUND)."""
        await self._call(messages.PATCH, messages.PatchParams(kind=kind, name=name, namespace=namespace, patch=patch))

    async def delete(self, kind: str, name: str, namespace: str = "", *, grace: int | None = None) -> None:
        """Delete an object. ControlError (NOT_FOUND)."""
        await self._call(messages.DELETE, DeleteParams(kind=kind, name=name, namespace=namespace, grace=grace))

    async def scale(self, kind: str, name: str, replicas: int, namespace: str = "default") -> None:
        """Set how many pods a workload has."""
        params = messages.ScaleParams(kind=kind, name=name, namespace=namespace, replicas=replicas)
        await self._call(messages.SCALE, params)

    async def status(self) -> ClusterOverview:
        """Return the cluster at a glance."""
        return await self._call(messages.CONTROLLER_STATUS, Empty())

    async def wait_ready(self, within: float = READY_WITHIN) -> None:
        """Wait until all nodes, pods, workloads and what is outside are ready. trio.TooSlowError after `within` s."""
        with trio.fail_after(within):
            await wait_ready(await self._controller_client(), len(self.config.nodes))
            if self.config.cloud.exists:
                await self.wait_for("Lease", cloud_lease.is_held, cloud_lease.NAMESPACE)

    async def wait_for(
        self,
        kind: str,
        condition: Callable[[Sequence[Object]], bool],
        namespace: str | None = None,
        *,
        selector: str = "",
    ) -> list[Object]:
        """Wait until the objects of a kind are as wanted, and return them; told by a watch, not by asking again."""
        objects: dict[tuple[str, str], Object] = {}
        listed = False
        params = WatchParams(kind=kind, namespace=namespace, label_selector=selector)
        client = await self._controller_client()
        async with client.stream(messages.WATCH, params) as exchange:
            while (event := await exchange.next_event()) is not None:
                if event.type is EventType.BOOKMARK:
                    listed = True
                elif event.type is EventType.DELETED:
                    objects.pop(_name(event.object), None)
                else:
                    objects[_name(event.object)] = event.object
                if listed and condition([*objects.values()]):
                    return [*objects.values()]
        raise ConnectionLostError(client.lost)

    # What is in it

    def pod(self, name: str) -> Place:
        """Return a pod by `name` (in namespace default) or `namespace/name`."""
        namespace, _, rest = name.rpartition("/")
        return Place(self, namespace or "default", rest)

    def node(self, name: str) -> Place:
        """Return a node, as a place to run commands and open sockets in."""
        return Place(self, "", "", node=name)

    def host(self, name: str) -> Place:
        """Return a host outside the nodes, or a part of their network (`gateway`, `internet`, `node-network`)."""
        return Place(self, "", name, node=CLOUD)

    async def trace(
        self, source: str, destination: str, *, protocol: str = "tcp", port: int = 0, patience: float = 5.0
    ) -> TraceOutcome:
        """Send one traced packet from a pod, `node/NAME` or `host/NAME`; return all steps of it and of its reply."""
        kind, _, rest = source.partition("/")
        places = {"node": self.node, "host": self.host}
        place = places[kind](rest) if kind in places and rest else self.pod(source)
        identity = self._random.getrandbits(62)
        params = TraceStartParams(
            trace=identity,
            destination=destination,
            protocol=protocol,
            port=port,
            namespace=place.namespace,
            pod=place.name,
            timeout=patience,
        )
        async with self.connect_node(await place.node_name()) as client:
            result = await client.call(messages.TRACE_START, params)
        steps: list[TraceStep] = []
        machines = [node.name for node in self.config.nodes] + ([CLOUD] if self.config.cloud.exists else [])
        for machine in machines:
            async with (
                self.connect_node(machine) as client,
                client.stream(messages.TRACE_COLLECT, TraceCollectParams(trace=identity, follow=False)) as exchange,
            ):
                steps += [step async for step in exchange]
        return TraceOutcome(result, tuple(sorted(steps, key=lambda step: (step.number, step.time))))

    # Connections

    @asynccontextmanager
    async def connect_node(self, name: str) -> AsyncIterator[ControlClient]:
        """Open a control connection to a node's process for the block."""
        client, scope = await self.open_node(name)
        try:
            yield client
        finally:
            scope.cancel()

    async def open_node(self, name: str) -> tuple[ControlClient, trio.CancelScope]:
        """Open a control connection to a node's process; cancelling the scope closes it."""
        return self._carry(await self._backend.node(name))

    def start_traffic(self) -> None:
        """Start the cluster file's traffic in this process, where no supervisor does."""
        if self.config.traffic:
            from emulator.runtime.traffic.background import run_background

            self._nursery.start_soon(run_background, self, self.config.traffic, logging.getLogger(__name__))

    async def _controller_client(self) -> ControlClient:
        if self._controller is None or self._controller.lost:
            self._controller, _ = self._carry(await self._backend.controller())
        return self._controller

    async def _call(self, method: Method[P, E, R], params: P) -> R:
        return await (await self._controller_client()).call(method, params)

    def _carry(self, stream: trio.abc.Stream) -> tuple[ControlClient, trio.CancelScope]:
        client, scope = ControlClient(stream), trio.CancelScope()

        async def run() -> None:
            with scope:
                async with stream:
                    await client.run()

        self._nursery.start_soon(run)
        return client, scope


class Place:
    """Where commands run and sockets open: a pod, a node's own namespace, or a host outside the nodes."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, *, node: str = "") -> None:
        self.namespace = namespace
        self.name = name
        self._cluster = cluster
        self._node = node

    async def node_name(self) -> str:
        """The node that it is on. Raises ControlError (NOT_FOUND), or PodwireError before it has one."""
        if self._node:
            return self._node
        pod = await self._cluster.get("Pod", self.name, self.namespace)
        node = pod.get("spec", {}).get("nodeName", "")
        if not node:
            raise PodwireError(f"pod {self.namespace}/{self.name} is on no node yet; wait until it is ready")
        return str(node)

    async def located(self) -> Place:
        """The same place with its node found once and for all: whoever opens many sockets asks no more."""
        return Place(self._cluster, self.namespace, self.name, node=await self.node_name())

    async def address(self) -> str:
        """The pod's or host's address; empty before it has one."""
        if self._node == CLOUD:
            hosts = (await self._cluster.status()).hosts
            return next((host.address for host in hosts if host.name == self.name), "")
        pod = await self._cluster.get("Pod", self.name, self.namespace)
        return str(pod.get("status", {}).get("podIP", ""))

    async def exec(self, *command: str, stdin: bytes | None = None) -> ExecOutcome:
        """Run a command to its end."""
        written = {OutputStream.STDOUT: b"", OutputStream.STDERR: b""}
        params = ExecParams(command=command, namespace=self.namespace, pod=self.name, stdin=stdin is not None)
        async with (
            self._cluster.connect_node(await self.node_name()) as client,
            client.stream(messages.EXEC, params) as exchange,
        ):
            if stdin is not None:
                await exchange.send_input(stdin)
                await exchange.end_input()
            async for output in exchange:
                written[output.stream] += output.data
            result = await exchange.result()
        stdout, stderr = (written[stream].decode("utf-8", "replace") for stream in written)
        return ExecOutcome(stdout, stderr, result.exit_status)

    async def open_tcp_stream(self, host: str, port: int) -> RemoteStream:
        """Connect to a name or address. OSError as Linux gives it."""
        params = TcpConnectParams(host=host, port=port, namespace=self.namespace, pod=self.name)
        client, scope = await self._cluster.open_node(await self.node_name())
        try:
            exchange = await client.begin(messages.TCP_CONNECT, params)
            await exchange.next_event()
        except messages.ControlError as error:
            scope.cancel()
            raise os_error(error) from None
        except BaseException:
            scope.cancel()
            raise
        return RemoteStream(exchange, scope)

    async def udp_socket(self, port: int = 0, *, peer: tuple[str, int] | None = None) -> RemoteUdp:
        """Bind a UDP socket; port 0 draws a free one. OSError as Linux gives it.

        One with a `peer` is connected: only such sockets hear that a peer refuses (`receive` raises it).
        """
        params = UdpOpenParams(port=port, peer=peer, namespace=self.namespace, pod=self.name)
        client, scope = await self._cluster.open_node(await self.node_name())
        try:
            exchange = await client.begin(messages.UDP_OPEN, params)
            bound = await exchange.next_event()
        except messages.ControlError as error:
            scope.cancel()
            raise os_error(error) from None
        except BaseException:
            scope.cancel()
            raise
        assert bound is not None
        return RemoteUdp(exchange, (bound.host, bound.port), scope)


def _name(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


@asynccontextmanager
async def _opened(config: ClusterConfig, backend: Backend) -> AsyncIterator[Cluster]:
    async with tasks() as nursery:
        yield Cluster(config, backend, nursery)
