"""What a node answers on its control socket: exec, logs, traces, flows, its own state."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress

import trio
from msgspec import Struct

import emulator
from emulator.api import messages
from emulator.api.messages import (
    ControlError,
    Empty,
    ErrorCode,
    FlowsEvent,
    FlowsWatchParams,
    LoadClient,
    LoadNews,
    LoadParams,
    LogLine,
    LogsParams,
    NodeStatusResult,
    ProxySync,
    VersionResult,
)
from emulator.apps.environment import Command
from emulator.runtime.control.server import Exchange, Methods
from emulator.runtime.machine.flow_table import FlowTable
from emulator.runtime.machine.flows import LEAST_INTERVAL, FlowWatch
from emulator.runtime.machine.machine import Machine
from emulator.runtime.machine.services import MachineServices, Place
from emulator.runtime.machine.traces import TraceBoard
from emulator.runtime.node.endpoints import EndpointNames
from emulator.runtime.node.kubelet.container_owner import owner_of
from emulator.runtime.node.kubelet.log_reader import send_logs
from emulator.runtime.node.kubelet.pods import PodRunner
from emulator.runtime.node.service_proxy import ServiceProxy
from emulator.runtime.sockets.network import NetnsNetwork

_SYNCS = 256  # of kube-proxy that wait for who watches them


class NodeParts(Struct, frozen=True):
    """The parts of a running node that its control socket shows."""

    name: str
    epoch: int
    machine: Machine
    pods: PodRunner
    network: NetnsNetwork
    traces: TraceBoard
    flows: FlowTable
    endpoints: EndpointNames
    proxy: ServiceProxy
    is_connected: Callable[[], bool]
    find_command: Callable[[str], Command | None]
    started_at: float


class NodeServices(MachineServices):
    """The handlers of one node."""

    def __init__(self, parts: NodeParts) -> None:
        super().__init__(parts.machine, parts.traces, parts.find_command)
        self._parts = parts

    def methods(self, log: logging.Logger | None = None) -> Methods:
        """Return what the socket offers; what fails there goes to `log`."""
        methods = Methods(log)
        methods.add(messages.VERSION, self.version)
        methods.add(messages.NODE_STATUS, self.status)
        methods.add(messages.LOGS, self.logs)
        self.add_to(methods)
        methods.add(messages.FLOWS_WATCH, self.watch_flows)
        methods.add(messages.PROXY_WATCH, self.watch_proxy)
        methods.add(messages.LOAD_RUN, self.run_load)
        return methods

    async def version(self, _params: Empty, _exchange: Exchange[Empty]) -> VersionResult:
        """Say who answers."""
        await trio.lowlevel.checkpoint()
        return VersionResult(
            protocol=messages.PROTOCOL_VERSION,
            version=emulator.__version__,
            role="node",
            name=self._parts.name,
            epoch=self._parts.epoch,
            pid=os.getpid(),
        )

    async def status(self, _params: Empty, _exchange: Exchange[Empty]) -> NodeStatusResult:
        """Say how the node is."""
        await trio.lowlevel.checkpoint()
        parts = self._parts
        return NodeStatusResult(
            name=parts.name,
            pid=os.getpid(),
            uptime=trio.current_time() - parts.started_at,
            controller_connected=parts.is_connected(),
            pods=len(parts.pods.pods),
            flows=parts.flows.count(),
            flow_limit=parts.flows.limit(),
            drops=self.drops(),
            faults=parts.machine.kernel.fault_count,
            underlay=parts.machine.underlay.counters(),
            proxy_mode=parts.proxy.mode,
        )

    async def logs(self, params: LogsParams, exchange: Exchange[LogLine]) -> Empty:
        """Send a container's log, and with `follow` what comes."""
        running = self._parts.pods.find(params.namespace, params.pod)
        if running is None:
            message = f'pods "{params.pod}" not found on node {self._parts.name}'
            raise ControlError(ErrorCode.NOT_FOUND, message)
        await send_logs(params, running, exchange.send)
        return Empty()

    async def watch_flows(self, params: FlowsWatchParams, exchange: Exchange[FlowsEvent]) -> Empty:
        """Send all flows, then at each interval what changed, until cancelled."""
        watch = FlowWatch(self._parts.flows)
        while True:
            for event in watch.changes():
                await exchange.send(event)
            await trio.sleep(max(params.interval, LEAST_INTERVAL))

    async def watch_proxy(self, _params: Empty, exchange: Exchange[ProxySync]) -> Empty:
        """Tell of the last of kube-proxy's syncs, then of each, until cancelled; who is slow misses some."""
        sender, receiver = trio.open_memory_channel[ProxySync](_SYNCS)

        def tell(report: ProxySync) -> None:
            with suppress(trio.WouldBlock):
                sender.send_nowait(report)

        proxy = self._parts.proxy
        if proxy.last_report is not None:
            tell(proxy.last_report)
        proxy.reports.append(tell)
        try:
            async for report in receiver:
                await exchange.send(report)
        finally:
            proxy.reports.remove(tell)
        return Empty()

    async def run_load(self, params: LoadParams, exchange: Exchange[LoadNews]) -> LoadNews:
        """Make a load from pods; its news stream, and Ctrl-C ends it with the last of them."""
        from emulator.runtime.node.load import NodeLoad  # a node of which nobody wants it does without

        def find(client: LoadClient) -> Place:
            return self.place(client.namespace, client.pod)

        return await NodeLoad(params, find, self._parts.endpoints).run(exchange)

    def place(self, namespace: str, name: str) -> Place:
        """Return the network and host name of a pod, or of the node where no pod is named."""
        if not name:
            return Place(self._parts.network, self._parts.name)
        running = self._parts.pods.find(namespace, name)
        if running is None:
            message = f'pods "{name}" not found on node {self._parts.name} in namespace {namespace}'
            raise ControlError(ErrorCode.NOT_FOUND, message)
        containers = running.pod.spec.containers
        network = running.network.owned_by(owner_of(running.pod, containers[0]))
        names = [container.name for container in containers]
        own = {name: running.insides[name] for name in names if name in running.insides}
        return Place(network, running.hostname, running.closed, own | running.insides)
