"""The keeper as a real process: whoever holds a state directory may be killed at any moment, and no file is left."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.runtime import state_directory
from emulator.runtime.state_directory import StateDirectory, StateDirectoryLock
from emulator.runtime.supervisor.keeper import Keeper, kept

from .test_launcher import is_alive, wait_until

pytestmark = pytest.mark.end_to_end


def in_a_process(work: Callable[[], None]) -> int:
    """Do it in a fork, which then waits to be killed; return its process number when it has been done."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(theirs, b".")
            signal.pause()
        finally:
            os._exit(1)
    os.close(theirs)
    assert os.read(ours, 1) == b"."
    os.close(ours)
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "c", "c")


def test_supervisor_that_is_killed_before_it_has_a_launcher_leaves_nothing(directory: StateDirectory) -> None:
    def supervisor() -> None:
        lock = state_directory.create(directory)
        Keeper(lock)

    pid = in_a_process(supervisor)
    assert directory.path.exists()
    kill(pid)
    wait_until(lambda: not directory.path.exists())


def test_the_last_holder_counts_and_its_signals_do_not(directory: StateDirectory) -> None:
    """As when supervisor and launcher are both killed, after a signal to the whole group."""
    lock = state_directory.create(directory)
    keeper = Keeper(lock)
    pid = in_a_process(lambda: None)  # it has inherited the lock, as a launcher does
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(keeper.pid, number)
    lock.release()
    assert directory.path.exists()
    kill(pid)
    wait_until(lambda: not directory.path.exists())
    keeper.wait()
    assert not is_alive(keeper.pid)


def test_what_was_removed_and_made_anew_is_another_clusters(directory: StateDirectory) -> None:
    with kept(state_directory.create(directory)):
        assert directory.path.exists()
    assert not directory.path.exists()
    first = state_directory.create(directory)
    keeper = Keeper(first)
    first.remove()
    second = state_directory.create(directory)
    keeper.wait()
    assert sorted(entry.name for entry in directory.path.iterdir()) == ["lock", "logs"]
    second.remove()


def test_a_keeper_that_cannot_be_made_leaves_nothing(
    directory: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_self: StateDirectoryLock) -> int:
        raise OSError(24, "Too many open files")

    lock = state_directory.create(directory)
    monkeypatch.setattr(StateDirectoryLock, "reopen", refused)
    with pytest.raises(OSError, match="Too many"), kept(lock):
        pass
    assert not directory.path.exists()


def test_a_keeper_holds_no_pipe_open(directory: StateDirectory) -> None:
    """Whoever reads what a supervisor prints sees its end, also while the keeper waits."""
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)  # as a shell leaves descriptors to what it starts
    lock = state_directory.create(directory)
    keeper = Keeper(lock)
    os.close(theirs)
    assert os.read(ours, 1) == b""
    os.close(ours)
    lock.remove()
    keeper.wait()
