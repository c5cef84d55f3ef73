"""What an app prints goes to its container's log: `sys.stdout` and `sys.stderr` look up whose task writes."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

import trio

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LONGEST_LINE = 16_384  # bytes; container runtimes cut there
_current: ContextVar[TextIO | None] = ContextVar("podwire_output", default=None)


class _Lines(io.BufferedIOBase):
    """Bytes in, whole lines out."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__()
        self._log = log
        self._begun = bytearray()
        self._run = trio.lowlevel.current_trio_token()
        self._loop = threading.get_ident()
        self._lock = threading.Lock()

    def writable(self) -> bool:
        """Whether it takes bytes: yes."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Take bytes, and log the lines that are whole now."""
        chunk = bytes(data)
        with self._lock:
            self._begun += chunk
            *lines, rest = self._begun.split(b"\n")
            whole = max(0, len(rest) - 1) // _LONGEST_LINE * _LONGEST_LINE
            lines += [rest[at : at + _LONGEST_LINE] for at in range(0, whole, _LONGEST_LINE)]
            self._begun = rest[whole:]
        for line in lines:
            self._put(line.decode("utf-8", "replace").removesuffix("\r"))
        return len(chunk)

    def _put(self, line: str) -> None:
        if threading.get_ident() == self._loop:
            self._log(line)
            return
        with suppress(trio.RunFinishedError):  # from a thread of `trio.to_thread`, for which the loop must do it
            self._run.run_sync_soon(self._log, line)

    def end(self) -> None:
        """Write down a last line that no newline ended."""
        if self._begun:
            self.write(b"\n")


class _Redirected:
    """Stands where `sys.stdout` or `sys.stderr` stood: each use of it is one of the output of the task that asks."""

    def __init__(self, own: TextIO) -> None:
        self.own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(_current.get() or self.own, name)


@contextmanager
def to(log: Callable[[str], None]) -> Iterator[None]:
    """Have what this task, and those that it starts, print go to `log`, line by line."""
    lines = _Lines(log)
    # `write_through`: it keeps nothing back, so what is printed is logged at once.
    output = io.TextIOWrapper(lines, encoding="utf-8", errors="surrogateescape", write_through=True)  # type: ignore[type-var]
    token = _current.set(output)
    try:
        yield
    finally:
        _current.reset(token)
        lines.end()
        with suppress(ValueError):  # the app closed it
            output.detach()


@contextmanager
def redirected() -> Iterator[None]:
    """Look up whose task prints, as long as the block lasts; other tasks print where they did."""
    before = sys.stdout, sys.stderr
    stdout, stderr = _Redirected(before[0]), _Redirected(before[1])
    sys.stdout, sys.stderr = stdout, stderr
    try:
        yield
    finally:
        if (sys.stdout, sys.stderr) == (stdout, stderr):  # else somebody has put his own on top, and takes it off
            sys.stdout, sys.stderr = before
