"""What supervisor and launcher say to each other about processes, as frozen values; frames are `api.codec`'s."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

from msgspec import Struct


class StartProcess(Struct, frozen=True, kw_only=True, tag="start"):
    """To the launcher: fork the process `name`.

    `socket` is the path of its control socket; `underlay` the address of its UDP socket. The launcher binds both at
    the first start and keeps them, so what comes in while the process is replaced waits in the kernel.
    """

    name: str
    program: str
    arguments: bytes
    log: str
    socket: str = ""
    underlay: tuple[str, int] | None = None


class SignalProcess(Struct, frozen=True, kw_only=True, tag="signal"):
    """To the launcher: send a signal to the process `name`."""

    name: str
    signal: int


class End(Struct, frozen=True, kw_only=True, tag="end"):
    """To the launcher: end all processes, remove the state directory, exit; with `now` nobody is asked to end first."""

    now: bool = False


class ProcessStarted(Struct, frozen=True, kw_only=True, tag="started"):
    """From the launcher: the process runs."""

    name: str
    pid: int


class ProcessExited(Struct, frozen=True, kw_only=True, tag="exited"):
    """From the launcher: the process has ended, with an exit status or, negative, by a signal."""

    name: str
    pid: int
    status: int

    def __str__(self) -> str:
        if self.status >= 0:
            return f"exit status {self.status}"
        return f"killed by {signal.Signals(-self.status).name}"


class ProcessFailed(Struct, frozen=True, kw_only=True, tag="failed"):
    """From the launcher: the process could not be started; `message` is one line for the user."""

    name: str
    message: str


LauncherRequest = StartProcess | SignalProcess | End
LauncherEvent = ProcessStarted | ProcessExited | ProcessFailed


class Inherited(Struct, frozen=True):
    """What a forked process starts with. The sockets are bound; the listener listens."""

    name: str
    arguments: bytes
    listener: socket.socket | None
    underlay: socket.socket | None


ProcessMain = Callable[[Inherited], None]
"""What a forked process runs until its end."""
