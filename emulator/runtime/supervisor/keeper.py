"""The process that sees to it that a cluster leaves no file behind, whoever of supervisor and launcher is killed when.

It holds nothing and listens to nobody: it waits for the lock of the state directory, which it gets when the last of
those that hold it has ended. What is left by then, it removes. It is there as soon as the directory is made, a second
of imports before there is a launcher.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from emulator.runtime.state_directory import StateDirectoryLock
from emulator.runtime.supervisor import keeper_process
from emulator.runtime.supervisor.interruptions import SIGNALS

_PATIENCE = 5.0
"""Seconds that `wait` waits: a launcher that is stuck holds the lock on, and is left to the keeper."""


@contextmanager
def kept(lock: StateDirectoryLock) -> Iterator[None]:
    """Have a keeper watch over the state directory; at the block's end the directory is removed, and the keeper gone.

    Raises OSError where the system has no room for it.
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
        try:
            self.pid = _spawn(lock, watched, theirs)
        finally:
            os.close(theirs)
            os.close(watched)

    def wait(self) -> None:
        """Wait until it has ended, as it does when nobody holds the lock any more."""
        ended, _, _ = select.select([self._life], [], [], _PATIENCE)
        os.close(self._life)
        if ended:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)


def _spawn(lock: StateDirectoryLock, watched: int, life: int) -> int:
    """Start it, out of the terminal's reach and with none of our files: what reads our output must see its end."""
    for descriptor in (watched, life):
        os.set_inheritable(descriptor, True)
    made = "made" if lock.made else "found"
    default = "default" if lock.is_default else "chosen"
    program = [sys.executable, "-I", "-S", keeper_process.__file__]
    return os.posix_spawn(
        sys.executable,
        [*program, str(watched), str(life), str(lock.directory.path), made, default],
        {},
        file_actions=[(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)],
        setpgroup=0,
        setsigmask=SIGNALS,  # they are meant for those that it outlives
    )
