"""One run of a command of `emulator exec`: its input, its output, Ctrl-C, and the end of the place where it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from emulator.api.messages import ExecOutput, ExecParams, OutputStream
from emulator.apps.environment import Command, Invocation
from emulator.apps.invocations import NoInput
from emulator.runtime.control.server import Exchange
from emulator.runtime.machine.inside import Inside
from emulator.runtime.sockets.network import NetnsNetwork

CHUNK = 65_536
"""Bytes of output in one event at most."""

BEHIND = 1_048_576
"""Bytes that may wait for a slow client before a command that can wait does."""

_KILLED = 137  # 128 + SIGKILL
_INTERRUPTED = 130  # 128 + SIGINT


async def run_command(
    command: Command,
    params: ExecParams,
    exchange: Exchange[ExecOutput],
    *,
    network: NetnsNetwork,
    wall_clock: Callable[[], float],
    hostname: str,
    closed: trio.Event | None,
    inside: Inside,
) -> int:
    """Run a command and return its exit status: 130 where Ctrl-C ended it, 137 where its place was `closed`."""
    status = _INTERRUPTED
    scope = trio.CancelScope()
    exchange.on_interrupt = scope.cancel

    def on_interrupt(act: Callable[[], None]) -> None:
        exchange.on_interrupt = act

    async with _output(exchange) as output:
        invocation = Invocation(
            argv=params.command,
            network=network,
            stdin=_Input(exchange) if params.stdin else NoInput(),
            write=lambda text: output.write(OutputStream.STDOUT, text),
            write_error=lambda text: output.write(OutputStream.STDERR, text),
            wall_clock=wall_clock,
            hostname=hostname,
            drain=output.drain,
            on_interrupt=on_interrupt,
            terminal=params.tty,
            environ={**inside.environ, "TERM": "xterm"} if params.tty else inside.environ,
            files=inside.files,
            directory=inside.directory,
        )
        with scope:
            status = await _until_closed(command, invocation, closed)
    return status


class _Input:
    """Standard input as the client sends it."""

    def __init__(self, exchange: Exchange[ExecOutput]) -> None:
        self._inputs = exchange.inputs

    async def read(self) -> bytes:
        try:
            return await self._inputs.receive()
        except trio.EndOfChannel:
            return b""


async def _until_closed(command: Command, invocation: Invocation, closed: trio.Event | None) -> int:
    """Run a command to its end, or until its place is closed: then it exits as if it was killed."""
    status = _KILLED

    async def run() -> None:
        nonlocal status
        status = await command(invocation)

    await while_open(closed, run)
    return status


async def while_open(closed: trio.Event | None, act: Callable[[], Awaitable[None]]) -> None:
    """Do something in a namespace to its end, or until it is closed; None: it is there as long as the machine."""
    try:
        async with trio.open_nursery() as nursery:
            if closed is not None:
                nursery.start_soon(_cancel_when, closed, nursery.cancel_scope)
            await act()
            nursery.cancel_scope.cancel()
    except Exception:
        if closed is None or not closed.is_set():
            raise  # else its sockets went away under it


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


class _Reader(Protocol):
    async def send(self, event: ExecOutput) -> None: ...


class _Output:
    """What a command printed and the client has not yet: in order, joined while the client is slow."""

    def __init__(self) -> None:
        self._pending: deque[tuple[OutputStream, bytearray]] = deque()
        self._size = 0
        self._written = trio.Event()
        self._taken = trio.Event()
        self._ended = False

    def write(self, stream: OutputStream, text: str) -> None:
        """Take text; never waits."""
        data = text.encode("utf-8", "surrogateescape")
        self._size += len(data)
        if self._pending and self._pending[-1][0] is stream and len(self._pending[-1][1]) < CHUNK:
            self._pending[-1][1].extend(data)
        else:
            self._pending.append((stream, bytearray(data)))
        self._written.set()

    async def drain(self) -> None:
        """Wait until no more than `BEHIND` bytes are left."""
        await trio.lowlevel.checkpoint()
        while self._size > BEHIND:
            await self._taken.wait()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._written.set()

    async def send(self, reader: _Reader) -> None:
        """Send until the end."""
        while True:
            await self._written.wait()
            self._written = trio.Event()
            while self._pending:
                stream, data = self._pending.popleft()
                for start in range(0, len(data), CHUNK):
                    await reader.send(ExecOutput(stream=stream, data=bytes(data[start : start + CHUNK])))
                self._size -= len(data)
                self._taken.set()
                self._taken = trio.Event()
            if self._ended:
                return


@asynccontextmanager
async def _output(exchange: Exchange[ExecOutput]) -> AsyncIterator[_Output]:
    """Give an output for the block; all of it is sent before the block is through."""
    output = _Output()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(output.send, exchange)
        yield output
        output.end()
