"""The processes that hold a cluster's state directory: how `stop` finds what does not answer any more.

The lock file's open descriptor is the proof: a process number may be another's by now, an open lock file cannot.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from emulator.runtime.state_directory import StateDirectory, StateDirectoryError, create

LOCK = "lock"
PROC = "/proc"
GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""


def holders(directory: StateDirectory) -> list[int]:
    """Return the processes that have the directory's lock file open, the supervisor (which made it) first."""
    path = directory.path / LOCK
    try:
        lock = path.stat()
    except OSError:
        return []
    first = directory.holder().pid
    found = [pid for pid in _own_processes() if pid != os.getpid() and _has_open(pid, lock)]
    return sorted(found, key=lambda pid: (pid != first, pid))


def _own_processes() -> Iterator[int]:
    user = os.geteuid()
    if not os.path.isdir(PROC):  # not Linux: only the supervisor itself can be asked
        return
    for entry in os.scandir(PROC):
        if entry.name.isdecimal():
            with suppress(OSError):
                if entry.stat().st_uid == user:
                    yield int(entry.name)


def _has_open(pid: int, lock: os.stat_result) -> bool:
    try:
        names = os.listdir(f"{PROC}/{pid}/fd")
    except OSError:  # it has ended
        return False
    for name in names:
        with suppress(OSError):
            if os.path.samestat(os.stat(f"{PROC}/{pid}/fd/{name}"), lock):
                return True
    return False


def end_holders(directory: StateDirectory) -> None:
    """End all of them and remove what they leave. Raises StateDirectoryError if one cannot be ended.

    The supervisor is asked, then killed; the others end by themselves then, or are killed too.
    """
    supervisor, *_ = [*holders(directory), 0]
    if supervisor and not _ends(supervisor, signal.SIGTERM):
        _ends(supervisor, signal.SIGKILL)
    for pid in holders(directory):
        if not _ends(pid) and not _ends(pid, signal.SIGKILL):
            raise StateDirectoryError(f"process {pid} of cluster {directory.name} cannot be ended; end it yourself")
    remove_leftovers(directory)


def is_left_over(directory: StateDirectory) -> bool:
    """Whether a cluster was here whose processes were all killed, so that nobody could remove its files."""
    return directory.holder().pid != 0 and not holders(directory)


def remove_leftovers(directory: StateDirectory) -> None:
    """Remove the files of a cluster of which no process is left."""
    if is_left_over(directory):
        create(directory).remove()


class Watched:
    """A process that is watched by a descriptor (pidfd_open(2)), since its number may be another's by and by."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor  # -1: there is none

    def send(self, number: int) -> None:
        """Send it a signal, and let it run: a stopped one would not see it."""
        if self._descriptor < 0:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)
            signal.pidfd_send_signal(self._descriptor, signal.SIGCONT)

    def wait(self, timeout: float) -> bool:
        """Wait for its end; whether it came in time."""
        if self._descriptor < 0:
            return True
        ended, _, _ = select.select([self._descriptor], [], [], timeout)
        return bool(ended)


@contextmanager
def watched(pid: int) -> Iterator[Watched]:
    """Watch a process; one that is not there (0 too), or that this system cannot watch, has ended already."""
    descriptor = -1
    with suppress(ProcessLookupError):
        if pid > 0 and hasattr(os, "pidfd_open"):
            descriptor = os.pidfd_open(pid)
    try:
        yield Watched(descriptor)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _ends(pid: int, number: int = 0) -> bool:
    """Send a signal (0: none) and wait; whether the process ended."""
    with watched(pid) as process:
        if number:
            process.send(number)
        return process.wait(GRACE)
