"""A cluster's control sockets in this process: the real controller, nodes and a supervisor that tell what tests say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import trio

from emulator.api import messages
from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.api.messages import (
    PROTOCOL_VERSION,
    ExecOutput,
    ExecResult,
    FlowRecord,
    FlowsEvent,
    NodeStatusResult,
    OutputStream,
    ProcessStatus,
    SupervisorStatusResult,
    TraceOutcome,
    UnderlayCounters,
    VersionResult,
)
from emulator.runtime.control.client import open_client
from emulator.runtime.control.server import Methods, control_socket, serve
from emulator.runtime.controller.controller import run_controller

LOGGER = logging.Logger("test", logging.CRITICAL)


class NodeProcess:
    """What a node has to tell."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.flows: dict[str, FlowRecord] = {}
        self.watchers: set[trio.MemorySendChannel[FlowsEvent]] = set()
        self.conntrack = ""
        self.hangs = False
        self.commands: list[tuple[str, ...]] = []
        self.traces: list[messages.TraceStartParams] = []
        self.uptime = 5.0
        self.frames_per_second = 0

    def methods(self) -> Methods:
        methods = Methods(LOGGER)
        methods.add(messages.VERSION, self.version)
        methods.add(messages.NODE_STATUS, self.status)
        methods.add(messages.FLOWS_WATCH, self.watch_flows)
        methods.add(messages.EXEC, self.exec)
        methods.add(messages.TRACE_START, self.start_trace)
        methods.add(messages.TRACE_COLLECT, self.collect_trace)
        methods.add(messages.LOGS, self.send_logs)
        return methods

    async def version(self, _params: Any, _exchange: Any) -> VersionResult:
        return VersionResult(protocol=PROTOCOL_VERSION, version="0", role="node", name=self.name)

    async def status(self, _params: Any, _exchange: Any) -> NodeStatusResult:
        if self.hangs:
            await trio.sleep_forever()
        self.uptime += 1.0
        counters = UnderlayCounters(lost=3, received_frames=int(self.uptime) * self.frames_per_second)
        connected = {"controller_connected": True, "pods": 1, "drops": {"NO_SOCKET": 2}}
        return NodeStatusResult(
            name=self.name, pid=1, uptime=self.uptime, flows=len(self.flows), underlay=counters, **connected
        )

    async def watch_flows(self, _params: Any, exchange: Any) -> messages.Empty:
        sender, receiver = trio.open_memory_channel[FlowsEvent](1_000)
        await exchange.send(FlowsEvent(changed=tuple(self.flows.values())))
        self.watchers.add(sender)
        try:
            async for event in receiver:
                await exchange.send(event)
        finally:
            self.watchers.discard(sender)
        return messages.Empty()

    async def exec(self, params: messages.ExecParams, exchange: Any) -> ExecResult:
        self.commands.append(params.command)
        await exchange.send(ExecOutput(stream=OutputStream.STDOUT, data=self.conntrack.encode()))
        return ExecResult(exit_status=0)

    async def start_trace(self, params: messages.TraceStartParams, _exchange: Any) -> messages.TraceStartResult:
        await trio.lowlevel.checkpoint()
        self.traces.append(params)
        return messages.TraceStartResult(outcome=TraceOutcome.REPLIED, address=params.destination, message="0.3 ms")

    async def collect_trace(self, params: messages.TraceCollectParams, exchange: Any) -> messages.Empty:
        detail = {"protocol": "tcp", "socket": f"tcp {self.name}"}
        step = {"machine": self.name, "netns": "root", "kind": "deliver", "packet": "IP a > b", "detail": detail}
        await exchange.send(messages.TraceStep(trace=params.trace, number=1, time=0.0, **step))
        return messages.Empty()

    async def send_logs(self, params: messages.LogsParams, exchange: Any) -> messages.Empty:
        await exchange.send(messages.LogLine(time="2026-01-02T03:04:05.678901Z", text=f"hello from {params.pod}"))
        await trio.sleep_forever()
        return messages.Empty()

    def tell(self, changed: Iterable[FlowRecord], ended: Iterable[str]) -> None:
        event = FlowsEvent(changed=tuple(changed), ended=tuple(ended))
        for record in event.changed:
            self.flows[record.identity] = record
        for identity in event.ended:
            self.flows.pop(identity, None)
        for watcher in self.watchers:
            watcher.send_nowait(event)


class Processes:
    """The sockets of a cluster in `directory`, served by a trio thread; each process can be killed and started."""

    def __init__(self, directory: Path, nodes: Iterable[str] = ("node-a", "node-b")) -> None:
        self.directory = directory
        self.config = ClusterConfig(name="lab", nodes=tuple(NodeConfig(name) for name in nodes))
        self.nodes = {name: NodeProcess(name) for name in (*nodes, "cloud")}
        self.restarts = dict.fromkeys(self.nodes, 0)
        self._scopes: dict[str, trio.CancelScope] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main,))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._token.run_sync_soon(self._nursery.cancel_scope.cancel)
        self._thread.join(10)
        assert not self._thread.is_alive()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as self._nursery:
            for name in (*self.nodes, "controller", "supervisor"):
                await self._nursery.start(self._run, name)
            self._ready.set()
            await trio.sleep_forever()

    async def _run(self, name: str, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.CancelScope() as scope:
            self._scopes[name] = scope
            async with control_socket(self.directory / f"{name}.sock") as listener:
                if name == "controller":

                    async def controller(task_status: Any) -> None:
                        path = self.directory / "store"
                        await run_controller(self.config, [listener], path, logger=LOGGER, task_status=task_status)

                    async with trio.open_nursery() as nursery:
                        await nursery.start(controller)
                        task_status.started()
                else:
                    task_status.started()
                    await serve(listener, self._methods(name))

    def _methods(self, name: str) -> Methods:
        if name in self.nodes:
            return self.nodes[name].methods()
        methods = Methods(LOGGER)
        methods.add(messages.VERSION, NodeProcess("supervisor").version)
        methods.add(messages.SUPERVISOR_STATUS, self._supervisor_status)
        return methods

    async def _supervisor_status(self, _params: Any, _exchange: Any) -> SupervisorStatusResult:
        processes = [
            ProcessStatus(name=name, role="node", pid=1, state="running", restarts=restarts)
            for name, restarts in self.restarts.items()
        ]
        return SupervisorStatusResult(
            cluster="lab", pid=1, ready=True, uptime=1, state_directory="", processes=tuple(processes)
        )

    # --- what tests do, from their own thread ---

    def do(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Call `action`, async or not, in the trio thread."""

        async def call() -> Any:
            result = action(*arguments)
            return await result if hasattr(result, "__await__") else result

        return trio.from_thread.run(call, trio_token=self._token)

    def tell(self, node: str, *changed: FlowRecord, ended: Iterable[str] = ()) -> None:
        self.do(self.nodes[node].tell, changed, ended)

    def kill(self, name: str) -> None:
        self.do(self._scopes[name].cancel)

    def start(self, name: str) -> None:
        if name in self.nodes:
            self.nodes[name] = NodeProcess(name)
            self.restarts[name] += 1
        self.do(self._nursery.start, self._run, name)

    def ask(self, method: Any, params: Any) -> Any:
        """Ask the controller."""

        async def call() -> Any:
            stream = await trio.open_unix_socket(str(self.directory / "controller.sock"))
            async with open_client(stream) as client:
                return await client.call(method, params)

        return self.do(call)

    def add_pod(self, name: str, node: str, address: str, *, labels: dict[str, str] | None = None) -> None:
        metadata = {"name": name, "namespace": "default", "labels": labels or {}}
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "nginx"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.ask(messages.CREATE, messages.CreateParams(object=pod))
        containers = [{"name": "c", "image": "nginx", "ready": True, "restartCount": 0, "state": {"running": {}}}]
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": containers,
        }
        reference = {"kind": "Pod", "name": name, "namespace": "default"}
        self.ask(messages.UPDATE_STATUS, messages.UpdateStatusParams(**reference, status=status))

    def add_service(self, name: str, address: str, selector: dict[str, str]) -> None:
        spec = {"clusterIP": address, "selector": selector, "ports": [{"port": 80, "targetPort": 8080}]}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}}
        self.ask(messages.CREATE, messages.CreateParams(object={**service, "spec": spec}))

    def add_event(self, name: str, pod: str, reason: str, message: str) -> None:
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": "default"},
            "involvedObject": {"kind": "Pod", "name": pod},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": datetime.now(UTC).isoformat(),  # old ones are removed
            "count": 2,
        }
        self.ask(messages.CREATE, messages.CreateParams(object=event))
