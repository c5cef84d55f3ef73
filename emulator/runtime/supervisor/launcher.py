"""How the supervisor gets processes: `Launcher` is the interface, `LocalLauncher` forks them from a warm process."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec
import trio

from emulator.api.codec import FrameReader, encode_frame
from emulator.errors import PodwireError
from emulator.runtime.state_directory import StateDirectoryLock
from emulator.runtime.supervisor.launcher_process import PROGRAMS, SHARED, LauncherProcess, load_program
from emulator.runtime.supervisor.processes import (
    End,
    LauncherEvent,
    LauncherRequest,
    SignalProcess,
    StartProcess,
)
from emulator.runtime.supervisor.warm import warm_up

_RECEIVE_SIZE = 65_536


class LauncherLostError(PodwireError):
    """The launcher is gone, and with it every process that it had started."""


class Launcher(Protocol):
    """Starts the processes of a cluster, here or elsewhere, and tells of their ends."""

    async def start(self, request: StartProcess) -> None:
        """Ask for a process; ProcessStarted or ProcessFailed follows among the events."""

    async def signal(self, name: str, number: int) -> None:
        """Send a signal to a process."""

    async def next_event(self) -> LauncherEvent:
        """Wait for the next thing that happens to a process. Raises LauncherLostError when the launcher goes."""

    async def end(self, *, now: bool = False) -> None:
        """End everything and return when nothing is left; with `now` without asking anybody to end first."""

    async def hurry(self) -> None:
        """Called while `end` runs: wait no longer for anybody."""


class LocalLauncher:
    """A launcher on this machine: a process that was forked before trio started, or spawned to replace one."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self.pid = pid
        self._socket = channel
        self._stream: trio.SocketStream | None = None
        self._send_lock = trio.Lock()
        self._reader = FrameReader()
        self._events: deque[LauncherEvent] = deque()
        self._reaped = False

    @classmethod
    def fork(
        cls,
        lock: StateDirectoryLock,
        proxy_mode: str,
        container_programs: Sequence[str] = (),
        programs: Mapping[str, str] = PROGRAMS,
    ) -> LocalLauncher:
        """Import what the processes need, and fork. Call it in a process of one thread where trio does not run."""
        for name in SHARED:
            if name in programs:
                load_program(programs[name])
        _fillers = warm_up(proxy_mode, container_programs)  # kept for as long as the fork lives
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _run_forked(theirs, programs, lock)
        theirs.close()
        return cls(ours, pid)

    @classmethod
    def spawn(cls, lock: StateDirectoryLock, proxy_mode: str, container_programs: Sequence[str]) -> LocalLauncher:
        """Start a launcher as a fresh interpreter, which works while trio runs."""
        ours, theirs = socket.socketpair()
        with theirs:
            held = os.dup(lock.fileno())
            made = "made" if lock.made else "found"
            directory = lock.directory
            try:
                for descriptor in (theirs.fileno(), held):
                    os.set_inheritable(descriptor, True)
                arguments = [str(theirs.fileno()), str(held), made, str(directory.path), directory.name]
                arguments += [proxy_mode, *container_programs]
                command = [sys.executable, "-m", "emulator.runtime.supervisor.launcher_process", *arguments]
                pid = os.posix_spawn(sys.executable, command, os.environ, setpgroup=0)
            finally:
                os.close(held)
        return cls(ours, pid)

    async def start(self, request: StartProcess) -> None:
        """Ask for a process."""
        await self._send(request)

    async def signal(self, name: str, number: int) -> None:
        """Send a signal to a process."""
        await self._send(SignalProcess(name=name, signal=number))

    async def next_event(self) -> LauncherEvent:
        """Wait for the next thing that happens to a process."""
        while not self._events:
            try:
                data = await self._open().receive_some(_RECEIVE_SIZE)
            except trio.BrokenResourceError:
                data = b""
            if not data:
                raise LauncherLostError("the process that starts the others has ended")
            self._events.extend(msgspec.convert(message, LauncherEvent) for message in self._reader.feed(data))
        return self._events.popleft()

    async def end(self, *, now: bool = False) -> None:
        """End everything; returns when the launcher has gone and the state directory with it."""
        with trio.CancelScope(shield=True):
            with suppress(LauncherLostError):  # it may be gone already, and the kernel has ended its processes
                await self._send(End(now=now))
            await self.reap()
            await self._open().aclose()

    async def hurry(self) -> None:
        """Wait no longer for processes that were asked to end."""
        with suppress(LauncherLostError):
            await self._send(End(now=True))

    def close(self) -> None:
        """Let go of the launcher where trio does not run (any more); it ends everything by itself."""
        self._socket.close()

    async def reap(self) -> None:
        """Wait until the launcher has ended."""
        if not self._reaped:
            self._reaped = True
            await trio.to_thread.run_sync(os.waitpid, self.pid, 0)

    def _open(self) -> trio.SocketStream:
        if self._stream is None:
            self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))
        return self._stream

    async def _send(self, request: LauncherRequest) -> None:
        try:
            async with self._send_lock:
                await self._open().send_all(encode_frame(msgspec.to_builtins(request, builtin_types=(bytes,))))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise LauncherLostError("the process that starts the others has ended") from None


def _run_forked(channel: socket.socket, programs: Mapping[str, str], lock: StateDirectoryLock) -> None:
    """In the fork: leave the terminal's session, serve, and never return into the supervisor's code."""
    status = 1
    try:
        os.setsid()
        LauncherProcess(channel, programs, lock).run()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
