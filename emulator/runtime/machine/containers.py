"""Runs the programs of containers: each is a task of one nursery, with its own end, log and failures."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime

import trio
from msgspec import Struct

from emulator.api.messages import LogLine
from emulator.apps.environment import Container, Program, ProgramFailure

LOG_LINES = 1_000
LOG_LINE_LENGTH = 16_384  # as container runtimes cut lines
LOG_SIZE = 1 << 20  # characters of a container's log that are kept
_KILLED = 137  # 128 + SIGKILL
_TERMINATED = 143  # 128 + SIGTERM
_FAILED = 1


class ContainerLog:
    """The latest lines of one container."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._lines: deque[LogLine] = deque()
        self._size = 0
        self._written = 0
        self._changed = trio.Event()
        self._ended = False

    def write(self, text: str) -> None:
        """Add what a program printed."""
        time = rfc3339_nano(self._wall_clock())
        for line in encodable(text).splitlines() or [""]:
            self._lines.append(LogLine(time=time, text=line[:LOG_LINE_LENGTH]))
            self._written += 1
            self._size += min(len(line), LOG_LINE_LENGTH)
            while len(self._lines) > LOG_LINES or self._size > LOG_SIZE:
                self._size -= len(self._lines.popleft().text)
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._wake()

    def tail(self, count: int | None = None) -> list[LogLine]:
        """Return the last `count` lines, or all that are kept."""
        lines = list(self._lines)
        return lines if count is None else lines[len(lines) - min(count, len(lines)) :]

    def count_since(self, seconds: float | None, tail: int | None = None) -> int | None:
        """How many of the latest lines are no older than so many seconds, `tail` at most (None: any number)."""
        if seconds is None:
            return tail
        since = rfc3339_nano(self._wall_clock() - seconds)
        kept = sum(line.time >= since for line in self._lines)
        return kept if tail is None else min(tail, kept)

    async def follow(self, tail: int | None = None) -> AsyncGenerator[LogLine, None]:
        """Yield the last `tail` lines, then each that comes, until the container ends."""
        pending = self.tail(tail)
        seen = self._written
        while True:
            for line in pending:
                yield line
            if seen == self._written:
                if self._ended:
                    return
                await self._changed.wait()
            pending = self.tail(self._written - seen)
            seen = self._written

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Exit(Struct, frozen=True):
    """How a program ended; `message` says why, for what did not end by itself."""

    status: int
    message: str = ""


class RunningContainer:
    """One run of one program."""

    def __init__(self, log: ContainerLog, predecessor: RunningContainer | None = None) -> None:
        self.log = log
        self.ended = trio.Event()
        self._predecessor = predecessor
        self._settled = trio.Event()  # it serves, or has ended
        self._scope = trio.CancelScope()
        self._signal = _TERMINATED
        self._handler: Callable[[], None] | None = None

    def on_terminate(self, act: Callable[[], None]) -> None:
        """Have SIGTERM call `act`, in place of ending the program."""
        self._handler = act

    def terminate(self) -> None:
        """Send SIGTERM: a program that does not handle it ends at once."""
        if self._handler is None:
            self._end(_TERMINATED)
            return
        try:
            self._handler()
        except Exception as error:
            self.log.write(f"{type(error).__name__}: {error}")
            self._end(_FAILED)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._end(_KILLED)

    def _end(self, status: int) -> None:
        self._signal = status
        self._scope.cancel()

    async def run(
        self,
        program: Program,
        container: Container,
        on_started: Callable[[], None],
        on_exit: Callable[[Exit], None],
        log: logging.Logger,
    ) -> None:
        """Run the program to its end. Its failures are its own: they end in its log and its exit, nowhere else.

        When the node itself ends, that is no exit: nobody is to start the program again.
        """
        outcome: Exit | None = None
        try:
            with self._scope:
                if self._predecessor is not None:  # the containers of a pod start in their order
                    await self._predecessor._settled.wait()
                status = await program(container, task_status=_Started(self._settled.set, on_started))
                outcome = Exit(status)
        except Exception as error:
            outcome = self._failure(error, container, log)
        finally:
            self._settled.set()
            self.log.end()
            self.ended.set()
        on_exit(outcome or Exit(self._signal))

    def _failure(self, error: Exception, container: Container, log: logging.Logger) -> Exit:
        error = _single(error)
        if isinstance(error, ProgramFailure):
            return Exit(error.status, encodable(str(error)))
        if isinstance(error, OSError) and error.strerror:
            message = error.strerror[:1].lower() + error.strerror[1:]
            self.log.write(f"{container.name}: {message}")
        else:
            message = f"{type(error).__name__}: {error}"
            self.log.write(message)
            fields = {"pod": f"{container.namespace}/{container.pod_name}", "container": container.name}
            log.error("a program failed", exc_info=error, extra=fields)
        return Exit(_FAILED, encodable(message))


class _Started(trio.TaskStatus[None]):
    """Tells whoever runs a program that its ports are bound."""

    def __init__(self, *listeners: Callable[[], None]) -> None:
        self._listeners = listeners

    def started(self, value: None = None) -> None:
        """Called by the program, once."""
        del value  # programs have nothing to hand over
        listeners, self._listeners = self._listeners, ()
        for listener in listeners:
            listener()


def encodable(text: str) -> str:
    """Return a text as messages can carry it: lone surrogates, which a program may well print, become "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _single(error: Exception) -> Exception:
    """The one exception in a group of groups that hold nothing else."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def rfc3339(wall: float) -> str:
    """Write a time as objects have it: UTC, whole seconds."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_nano(wall: float) -> str:
    """Write a time as logs have it: UTC, microseconds."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
