"""What every machine answers on its control socket, a node as well as what is outside: exec, traces, lent sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from functools import partial
from typing import NamedTuple

import trio

from emulator.api import messages
from emulator.api.messages import (
    ControlError,
    Empty,
    ErrorCode,
    ExecInterruptParams,
    ExecOutput,
    ExecParams,
    ExecResult,
    OutputStream,
    TcpConnectParams,
    TcpData,
    TraceCollectParams,
    TraceStartParams,
    TraceStartResult,
    TraceStep,
    UdpOpenParams,
    UdpReceived,
)
from emulator.apps.environment import Command
from emulator.runtime.control.server import Exchange, Methods
from emulator.runtime.machine.command import run_command, while_open
from emulator.runtime.machine.inside import Inside, of_host
from emulator.runtime.machine.lent_sockets import carry_tcp, carry_udp
from emulator.runtime.machine.machine import Machine
from emulator.runtime.machine.probe import probe
from emulator.runtime.machine.traces import TraceBoard
from emulator.runtime.programs import command_names
from emulator.runtime.sockets.network import NetnsNetwork

_LONGEST_TRACE = 60.0


class Place(NamedTuple):
    """What users name to have something done there: a pod, a node, a host outside."""

    network: NetnsNetwork
    hostname: str
    closed: trio.Event | None = None
    """Set when the place goes away, as a pod does; None: it is there as long as the machine."""
    insides: Mapping[str, Inside] | None = None
    """Of a pod: what commands see in each container, the first one first."""

    def inside(self, container: str) -> Inside:
        """Return what commands see in a container; without a name in the first one. ControlError (NOT_FOUND)."""
        if self.insides is None:
            return of_host(self.hostname)
        if not container:
            return next(iter(self.insides.values()), of_host(self.hostname))
        if container not in self.insides:
            message = f"container {container} not found in pod {self.hostname}"
            raise ControlError(ErrorCode.NOT_FOUND, message)
        return self.insides[container]


class MachineServices:
    """Handlers that need a machine and its namespaces. Who derives says by `place` what names mean."""

    def __init__(self, machine: Machine, traces: TraceBoard, find_command: Callable[[str], Command | None]) -> None:
        self._machine = machine
        self._traces = traces
        self._find_command = find_command
        self._interruptible: dict[str, Exchange[ExecOutput]] = {}

    def place(self, namespace: str, name: str) -> Place:
        """Return what a namespace and a name mean. ControlError (NOT_FOUND)."""
        raise NotImplementedError

    def add_to(self, methods: Methods) -> None:
        """Offer them."""
        methods.add(messages.EXEC, self.exec)
        methods.add(messages.EXEC_INTERRUPT, self.interrupt_exec)
        methods.add(messages.TRACE_START, self.start_trace)
        methods.add(messages.TRACE_COLLECT, self.collect_trace)
        methods.add(messages.TCP_CONNECT, self.connect_tcp)
        methods.add(messages.UDP_OPEN, self.open_udp)

    def drops(self) -> dict[str, int]:
        """Count what was dropped in all namespaces, by reason."""
        drops: dict[str, int] = {}
        for netns in self._machine.kernel.namespaces.values():
            for reason, count in netns.drops.items():
                drops[reason.name] = drops.get(reason.name, 0) + count
        return drops

    async def exec(self, params: ExecParams, exchange: Exchange[ExecOutput]) -> ExecResult:
        """Run a command in a pod or on the node. Output streams as it comes; cancelling ends the command."""
        place = self.place(params.namespace, params.pod)
        if not params.command:
            raise ControlError(ErrorCode.INVALID, "no command was given")
        command = self._find_command(params.command[0])
        if command is None:
            text = (
                f'exec: "{params.command[0]}": executable file not found in $PATH\n'
                f"the commands are: {', '.join(command_names())}\n"
            )
            await exchange.send(ExecOutput(stream=OutputStream.STDERR, data=text.encode()))
            return ExecResult(exit_status=127)
        inside = place.inside(params.container)
        with self._interruptible_by(params.key, exchange):
            status = await run_command(
                command,
                params,
                exchange,
                network=place.network.owned_by(inside.owner),
                wall_clock=self._machine.wall_clock,
                hostname=place.hostname,
                closed=place.closed,
                inside=inside,
            )
        return ExecResult(exit_status=status)

    async def interrupt_exec(self, params: ExecInterruptParams, _exchange: Exchange[Empty]) -> Empty:
        """Press Ctrl-C for a command; one that has ended meanwhile needs none."""
        await trio.lowlevel.checkpoint()
        if params.key in self._interruptible:
            self._interruptible[params.key].on_interrupt()
        return Empty()

    @contextmanager
    def _interruptible_by(self, key: str, exchange: Exchange[ExecOutput]) -> Iterator[None]:
        if key in self._interruptible:
            raise ControlError(ErrorCode.INVALID, "the key is in use")
        if key:
            self._interruptible[key] = exchange
        try:
            yield
        finally:
            self._interruptible.pop(key, None)

    async def start_trace(self, params: TraceStartParams, _exchange: Exchange[Empty]) -> TraceStartResult:
        """Send one traced packet, and wait for what comes back."""
        network = self.place(params.namespace, params.pod).network
        trace = self._machine.kernel.open_trace(params.trace, considered=params.considered)
        timeout = min(max(params.timeout, 0.0), _LONGEST_TRACE)
        return await probe(network, trace, params.protocol, params.destination, params.port, timeout)

    async def collect_trace(self, params: TraceCollectParams, exchange: Exchange[TraceStep]) -> Empty:
        """Send the steps of a trace on this machine, until cancelled if they are followed."""
        if not params.follow:
            for step in self._traces.recorded(params.trace):
                await exchange.send(step)
            return Empty()
        async with aclosing(self._traces.collect(params.trace)) as steps:
            async for step in steps:
                await exchange.send(step)
        return Empty()

    async def connect_tcp(self, params: TcpConnectParams, exchange: Exchange[TcpData]) -> Empty:
        """Connect from a pod, and carry bytes both ways."""
        place = self.place(params.namespace, params.pod)
        await while_open(place.closed, partial(carry_tcp, place.network, params.host, params.port, exchange))
        return Empty()

    async def open_udp(self, params: UdpOpenParams, exchange: Exchange[UdpReceived]) -> Empty:
        """Open a UDP socket in a pod, and carry datagrams both ways."""
        place = self.place(params.namespace, params.pod)
        await while_open(place.closed, partial(carry_udp, place.network, params.port, exchange, params.peer))
        return Empty()
