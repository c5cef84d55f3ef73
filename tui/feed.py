"""What keeps the model up to date: watches of the controller, flows and state of nodes, the supervisor's processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

from emulator.api import messages
from emulator.api.messages import (
    Empty,
    ExecParams,
    FlowRecord,
    FlowsWatchParams,
    LogLine,
    LogsParams,
    OutputStream,
    TraceCollectParams,
    TraceStartResult,
    TraceStep,
    WatchParams,
)
from emulator.errors import PodwireError
from tui.client import CALL_TIMEOUT, Connection, connect, keep_connected
from tui.model.cluster import CLOUD, CONTROLLER, KINDS, SUPERVISOR, ClusterModel
from tui.model.flow_row import INTERVAL
from tui.model.trace import TraceRequest

STATUS_INTERVAL = 1.0
"""Seconds between two questions for the state of a process: nobody offers to tell of its changes."""


class Feed:
    """The connections of one TUI to one cluster. What is lost is connected again, for ever."""

    def __init__(self, directory: Path, model: ClusterModel) -> None:
        self._directory = directory
        self._model = model
        self._nodes: dict[str, asyncio.Task[None]] = {}
        self._nodes_changed = asyncio.Event()

    async def run(self) -> None:
        """Feed the model until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in KINDS:
                group.create_task(self._keep(CONTROLLER, partial(self._watch, kind)))
            group.create_task(self._keep(SUPERVISOR, self._ask_supervisor))
            while True:
                await self._nodes_changed.wait()
                self._nodes_changed.clear()
                self._follow_nodes(group)

    async def trace(self, request: TraceRequest) -> tuple[TraceStartResult, list[TraceStep], list[str]]:
        """Send a packet; return how it fared, its steps on all machines, and which machines did not tell theirs.

        Raises PodwireError and OSError.
        """
        params = request.params
        async with connect(self._socket(request.node)) as connection:
            result = await connection.call(messages.TRACE_START, params, params.timeout + CALL_TIMEOUT)
        machines = self._model.machines()
        told = await asyncio.gather(*(self._steps(name, params.trace) for name in machines), return_exceptions=True)
        steps, missing = [], []
        for name, answer in zip(machines, told, strict=True):
            if isinstance(answer, list):
                steps += answer
            elif isinstance(answer, OSError | PodwireError):
                missing.append(f"the steps on {name} are missing: {failure_text(answer)}")
            else:
                raise answer
        return result, steps, missing

    async def _steps(self, machine: str, trace: int) -> list[TraceStep]:
        async with connect(self._socket(machine)) as connection, asyncio.timeout(CALL_TIMEOUT):
            events = connection.events(messages.TRACE_COLLECT, TraceCollectParams(trace=trace, follow=False))
            return [step async for step in events]

    async def logs(self, node: str, params: LogsParams) -> AsyncIterator[LogLine]:
        """Yield a pod's log as it comes. Raises PodwireError and OSError."""
        async with connect(self._socket(node)) as connection:
            async for line in connection.events(messages.LOGS, params):
                yield line

    async def conntrack(self, record: FlowRecord) -> list[str]:
        """Return a connection's entries as `conntrack -L` prints them on its node. Raises PodwireError and OSError."""
        original = record.original
        command = ("conntrack", "-L", "-p", record.protocol, "-s", original.source, "-d", original.destination)
        async with connect(self._socket(record.node)) as connection:
            place = record.netns if record.node == CLOUD else ""  # a node's pods track no connections
            events = connection.events(messages.EXEC, ExecParams(command=command, pod=place))
            output = [event.data async for event in events if event.stream is OutputStream.STDOUT]
        lines = b"".join(output).decode("utf-8", "replace").splitlines()
        ports = f"sport={original.source_port} dport={original.destination_port} "
        return [line for line in lines if not original.source_port or ports in line]

    def _socket(self, process: str) -> Path:
        return self._directory / f"{process}.sock"

    async def _keep(self, process: str, use: Callable[[Connection], Awaitable[None]]) -> None:
        def lost(reason: str) -> None:
            self._model.lost(process, reason, time.time())

        await keep_connected(self._socket(process), use, lost)

    async def _watch(self, kind: str, connection: Connection) -> None:
        if kind == "Node":
            self._model.hosts_told((await connection.call(messages.CONTROLLER_STATUS, Empty())).hosts)
        self._model.begin_objects(kind, time.time())
        async for event in connection.events(messages.WATCH, WatchParams(kind=kind)):
            self._model.object_changed(kind, event)
            if kind == "Node":
                self._nodes_changed.set()

    async def _ask_supervisor(self, connection: Connection) -> None:
        while True:
            status = await connection.call(messages.SUPERVISOR_STATUS, Empty())
            self._model.supervisor_status(status, time.time())
            await asyncio.sleep(STATUS_INTERVAL)

    def _follow_nodes(self, group: asyncio.TaskGroup) -> None:
        names = set(self._model.machines())
        for name in names - self._nodes.keys():
            self._nodes[name] = group.create_task(self._follow_node(name))
        for name in self._nodes.keys() - names:
            self._nodes.pop(name).cancel()
            self._model.forget_node(name)

    async def _follow_node(self, name: str) -> None:
        async def flows(connection: Connection) -> None:
            self._model.begin_flows(name, time.time())
            params = FlowsWatchParams(interval=INTERVAL)
            async for event in connection.events(messages.FLOWS_WATCH, params):
                self._model.flows_changed(name, event, time.time())

        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(name, flows))
            group.create_task(self._keep(name, self._ask_node))

    async def _ask_node(self, connection: Connection) -> None:
        while True:
            status = await connection.call(messages.NODE_STATUS, Empty())  # a node that hangs is lost by this
            self._model.node_status(status, time.time())
            await asyncio.sleep(STATUS_INTERVAL)


def failure_text(error: OSError | PodwireError) -> str:
    """Return in one line why a node did not answer."""
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
