"""What the cloud's process answers on its control socket: exec, logs, traces and sockets of hosts, its own state."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import aclosing

import trio

import emulator
from emulator.api import messages
from emulator.api.messages import (
    ControlError,
    Empty,
    ErrorCode,
    FlowsEvent,
    FlowsWatchParams,
    LogLine,
    LogsParams,
    NodeStatusResult,
    VersionResult,
)
from emulator.api.problem import closest
from emulator.apps.environment import Command
from emulator.runtime.cloud.hosts import RunningHost
from emulator.runtime.control.server import Exchange, Methods
from emulator.runtime.machine.flow_table import FlowTable
from emulator.runtime.machine.flows import LEAST_INTERVAL, FlowWatch
from emulator.runtime.machine.machine import Machine
from emulator.runtime.machine.services import MachineServices, Place
from emulator.runtime.machine.traces import TraceBoard
from emulator.runtime.state_directory import CLOUD


class CloudServices(MachineServices):
    """The handlers of one cloud. Where a node's have a pod, these have a host's name, and no namespace."""

    def __init__(
        self,
        machine: Machine,
        traces: TraceBoard,
        find_command: Callable[[str], Command | None],
        places: Mapping[str, RunningHost],
        *,
        epoch: int,
        is_connected: Callable[[], bool],
    ) -> None:
        super().__init__(machine, traces, find_command)
        self.places = places
        self._epoch = epoch
        self._is_connected = is_connected
        self._flows = FlowTable(machine)
        self._started_at = trio.current_time()

    def methods(self, log: logging.Logger | None = None) -> Methods:
        """Return what the socket offers; what fails there goes to `log`."""
        methods = Methods(log)
        methods.add(messages.VERSION, self.version)
        methods.add(messages.NODE_STATUS, self.status)
        methods.add(messages.LOGS, self.logs)
        methods.add(messages.FLOWS_WATCH, self.watch_flows)
        self.add_to(methods)
        return methods

    def place(self, namespace: str, name: str) -> Place:
        """Return the network of a host, or of a part of the network. ControlError (NOT_FOUND)."""
        del namespace
        found = self._find(name)
        return Place(found.network, found.name)

    async def version(self, _params: Empty, _exchange: Exchange[Empty]) -> VersionResult:
        """Say who answers."""
        await trio.lowlevel.checkpoint()
        return VersionResult(
            protocol=messages.PROTOCOL_VERSION,
            version=emulator.__version__,
            role=CLOUD,
            name=CLOUD,
            epoch=self._epoch,
            pid=os.getpid(),
        )

    async def status(self, _params: Empty, _exchange: Exchange[Empty]) -> NodeStatusResult:
        """Say how the process is: as a node, without pods and kube-proxy."""
        await trio.lowlevel.checkpoint()
        return NodeStatusResult(
            name=CLOUD,
            pid=os.getpid(),
            uptime=trio.current_time() - self._started_at,
            controller_connected=self._is_connected(),
            pods=0,
            flows=self._flows.count(),
            flow_limit=self._flows.limit(),
            drops=self.drops(),
            faults=self._machine.kernel.fault_count,
            underlay=self._machine.underlay.counters(),
        )

    async def logs(self, params: LogsParams, exchange: Exchange[LogLine]) -> Empty:
        """Send what a host's program wrote, and with `follow` what comes."""
        log = self._find(params.pod).log
        tail = log.count_since(params.since, params.tail)
        if not params.follow:
            for line in log.tail(tail):
                await exchange.send(line)
            return Empty()
        async with aclosing(log.follow(tail)) as lines:
            async for line in lines:
                await exchange.send(line)
        return Empty()

    async def watch_flows(self, params: FlowsWatchParams, exchange: Exchange[FlowsEvent]) -> Empty:
        """Send all flows that the gateway tracks, then at each interval what changed, until cancelled."""
        watch = FlowWatch(self._flows)
        while True:
            for event in watch.changes():
                await exchange.send(event)
            await trio.sleep(max(params.interval, LEAST_INTERVAL))

    def _find(self, name: str) -> RunningHost:
        found = self.places.get(name)
        if found is None:
            close = closest(name, self.places)
            hint = f"did you mean {close}?" if close else f"there are {', '.join(self.places)}"
            raise ControlError(ErrorCode.NOT_FOUND, f'host "{name}" not found outside the nodes; {hint}')
        return found
