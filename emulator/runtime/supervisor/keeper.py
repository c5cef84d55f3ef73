"""The process that sees to it that a cluster leaves no file behind, whoever of supervisor and launcher is killed when.

It holds nothing and listens to nobody: it waits for the lock of the state directory, which it gets when the last of
those that hold it has ended. What is left by then, it removes. It is forked as soon as the directory is made, a second
of imports before there is a launcher.
"""

from __future__ import annotations

import os
import select
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from setproctitle import setproctitle

from emulator.runtime.state_directory import StateDirectoryLock
from emulator.runtime.supervisor.interruptions import SIGNALS

_PATIENCE = 5.0
"""Seconds that `wait` waits: a launcher that is stuck holds the lock on, and is left to the keeper."""


@contextmanager
def kept(lock: StateDirectoryLock) -> Iterator[None]:
    """Have a keeper watch over the state directory; at the block's end the directory is removed, and the keeper gone.

    Enter it in a process of one thread where trio does not run. Raises OSError where the system has no room for it.
    """
    try:
        keeper = Keeper(lock)
    except BaseException:
        lock.remove()
        raise
    try:
        yield
    finally:
        lock.remove()  # what a launcher that was killed could not
        keeper.wait()


class Keeper:
    """Keeps watch over a state directory from the moment it is made."""

    def __init__(self, lock: StateDirectoryLock) -> None:
        self._life, theirs = os.pipe()
        watched = lock.reopen()
        self.pid = os.fork()
        if self.pid == 0:
            _keep(lock, watched, theirs)
        os.close(theirs)
        os.close(watched)

    def wait(self) -> None:
        """Wait until it has ended, as it does when nobody holds the lock any more."""
        ended, _, _ = select.select([self._life], [], [], _PATIENCE)
        os.close(self._life)
        if ended:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)


def _keep(lock: StateDirectoryLock, watched: int, life: int) -> NoReturn:
    """In the fork: let go of all that was inherited, wait, remove; never return into the supervisor's code."""
    try:
        os.setsid()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # they are meant for those that it outlives
        setproctitle(f"podwire: keeper ({lock.directory.name})")
        _let_go(watched, life)
        lock.succeed(watched).remove()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _let_go(*kept: int) -> None:
    """Close all descriptors but `kept`: a pipe that somebody reads from the supervisor must end with it."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    begin = 3
    for descriptor in sorted(kept):
        os.closerange(begin, descriptor)
        begin = descriptor + 1
    os.closerange(begin, os.sysconf("SC_OPEN_MAX"))
