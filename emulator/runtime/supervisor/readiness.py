"""Whether the cluster is as it should be: told by the controller whenever something that matters has changed."""

from __future__ import annotations

from collections.abc import Callable

import trio
from msgspec import Struct

from emulator.api import messages
from emulator.api.messages import ClusterOverview, ControlError, Empty, EventType, NotReady, WatchParams
from emulator.runtime.control.client import ControlClient
from emulator.runtime.tasks import tasks

WATCHED = ("Node", "Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicationController")


class Progress(Struct, frozen=True):
    """How far the cluster has come up; `waiting_for` has one line for each thing that is not ready."""

    nodes: int
    ready_nodes: int
    pods: int
    ready_pods: int
    waiting_for: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing is waited for."""
        return not self.waiting_for


def progress_of(overview: ClusterOverview, expected_nodes: int) -> Progress:
    """Return what an overview says, seen from how many nodes there should be."""
    waiting = [_describe(item) for item in overview.not_ready]
    waiting += [
        f"{load.kind} {load.namespace}/{load.name}: {load.ready} of {load.wanted} pods are ready"
        for load in overview.workloads
        if load.ready < load.wanted
    ]
    ready_nodes = sum(node.ready for node in overview.nodes)
    if len(overview.nodes) < expected_nodes:
        waiting.append(f"{expected_nodes - len(overview.nodes)} of {expected_nodes} nodes have not registered")
    elif ready_nodes < expected_nodes and not waiting:
        waiting.append(f"{ready_nodes} of {expected_nodes} nodes are ready")
    if not waiting and not overview.ready:
        waiting.append("the controller")
    return Progress(expected_nodes, ready_nodes, overview.pods, overview.ready_pods, tuple(waiting))


def _describe(item: NotReady) -> str:
    name = f"{item.namespace}/{item.name}" if item.namespace else item.name
    return f"{item.kind} {name}: {item.reason} {item.message}".rstrip()


async def wait_ready(
    client: ControlClient, expected_nodes: int, report: Callable[[Progress], None] | None = None
) -> Progress:
    """Wait until all nodes, pods and workloads are ready; `report` hears each change. Raises ControlError."""
    changed = _Signal()
    last: Progress | None = None
    async with tasks() as nursery:
        for kind in WATCHED:
            nursery.start_soon(_watch, client, kind, changed)
        while True:
            overview = await client.call(messages.CONTROLLER_STATUS, Empty())
            progress = progress_of(overview, expected_nodes)
            if report is not None and progress != last:
                report(progress)
            last = progress
            if progress.ready:
                return progress
            await changed.wait()


class _Signal:
    """Says that something changed since the last look, or that nothing more will be heard; many changes are one."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._failure: ControlError | None = None

    def set(self, failure: ControlError | None = None) -> None:
        self._failure = failure or self._failure
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = trio.Event()
        if self._failure is not None:
            raise self._failure


async def _watch(client: ControlClient, kind: str, changed: _Signal) -> None:
    try:
        async with client.stream(messages.WATCH, WatchParams(kind=kind)) as exchange:
            while (event := await exchange.next_event()) is not None:
                if event.type is not EventType.BOOKMARK:
                    changed.set()
    except ControlError as error:
        changed.set(error)
