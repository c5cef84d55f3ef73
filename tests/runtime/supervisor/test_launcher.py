"""The launcher as a real process: forks, ends, replacements, and what is left when its owner goes."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from emulator.runtime import state_directory
from emulator.runtime.state_directory import StateDirectory, StateDirectoryLock
from emulator.runtime.supervisor.launcher import LauncherLostError, LocalLauncher
from emulator.runtime.supervisor.processes import ProcessExited, ProcessFailed, ProcessStarted, StartProcess

PROGRAMS = """
import os, signal

def serve(inherited):
    inherited.listener.setblocking(True)
    while True:
        connection, _ = inherited.listener.accept()
        with connection:
            connection.sendall(f"{inherited.name} {os.getpid()}".encode())

def stubborn(inherited):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(inherited)

def umask(inherited):
    raise SystemExit(os.umask(0))

def fail(inherited):
    raise RuntimeError("no such luck")
"""

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def lock(tmp_path: Path) -> StateDirectoryLock:
    return state_directory.create(StateDirectory(tmp_path / "c", "c"))


@pytest.fixture
def launcher(tmp_path: Path, lock: StateDirectoryLock, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalLauncher]:
    (tmp_path / "launched_programs.py").write_text(PROGRAMS)
    monkeypatch.syspath_prepend(str(tmp_path))
    programs = {name: f"launched_programs:{name}" for name in ("serve", "stubborn", "umask", "fail")}
    launcher = LocalLauncher.fork(lock, "iptables", (), programs)
    yield launcher
    launcher.close()
    with contextlib.suppress(ProcessLookupError):
        os.kill(launcher.pid, signal.SIGTERM)
    lock.release()


def request(lock: StateDirectoryLock, program: str = "serve", name: str = "node-a") -> StartProcess:
    directory = lock.directory
    path = str(directory.socket(name))
    return StartProcess(name=name, program=program, arguments=b"", log=str(directory.log(name)), socket=path)


def ask(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(path)
        return client.recv(100).decode()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_replaced_process_keeps_its_socket(launcher: LocalLauncher, lock: StateDirectoryLock) -> None:
    async def scenario() -> None:
        await launcher.start(request(lock))
        first = await launcher.next_event()
        assert isinstance(first, ProcessStarted)
        path = str(lock.directory.socket("node-a"))
        assert await trio.to_thread.run_sync(ask, path) == f"node-a {first.pid}"
        assert os.stat(path).st_mode & 0o777 == 0o600
        os.kill(first.pid, signal.SIGKILL)
        assert await launcher.next_event() == ProcessExited(name="node-a", pid=first.pid, status=-signal.SIGKILL)
        await launcher.start(request(lock))
        second = await launcher.next_event()
        assert isinstance(second, ProcessStarted)
        assert await trio.to_thread.run_sync(ask, path) == f"node-a {second.pid}"
        await launcher.end()
        assert not is_alive(second.pid)
        assert not lock.directory.path.exists()

    trio.run(scenario)


def test_failing_program_leaves_its_reason_in_the_log(launcher: LocalLauncher, lock: StateDirectoryLock) -> None:
    async def scenario() -> None:
        await launcher.start(request(lock, "fail"))
        started = await launcher.next_event()
        assert await launcher.next_event() == ProcessExited(name="node-a", pid=started.pid, status=1)
        assert "RuntimeError: no such luck" in lock.directory.log("node-a").read_text()
        await launcher.end()

    trio.run(scenario)


def test_underlay_port_in_use_is_told_with_its_address(launcher: LocalLauncher, lock: StateDirectoryLock) -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            start = StartProcess(
                name="node-a",
                program="serve",
                arguments=b"",
                log=str(lock.directory.log("node-a")),
                underlay=("127.0.0.1", port),
            )
            await launcher.start(start)
            event = await launcher.next_event()
        expected = f"node-a: the underlay cannot use 127.0.0.1:{port}: Address already in use"
        assert event == ProcessFailed(name="node-a", message=expected)
        await launcher.end()

    trio.run(scenario)


def test_end_now_does_not_wait_for_a_stubborn_process(launcher: LocalLauncher, lock: StateDirectoryLock) -> None:
    async def scenario() -> None:
        await launcher.start(request(lock, "stubborn"))
        started = await launcher.next_event()
        with trio.fail_after(1):
            await launcher.end(now=True)
        assert not is_alive(started.pid)
        assert not lock.directory.path.exists()

    trio.run(scenario)


def test_launcher_that_somebody_else_ends_leaves_the_directory_to_its_owner(
    launcher: LocalLauncher, lock: StateDirectoryLock
) -> None:
    async def scenario() -> None:
        await launcher.start(request(lock))
        started = await launcher.next_event()
        os.kill(launcher.pid, signal.SIGTERM)
        assert isinstance(await launcher.next_event(), ProcessExited)
        with pytest.raises(LauncherLostError):
            await launcher.next_event()
        await launcher.end()
        assert not is_alive(started.pid)

    trio.run(scenario)
    assert lock.directory.path.exists()
    lock.remove()
    assert not lock.directory.path.exists()


def test_what_processes_write_is_for_their_user_alone(launcher: LocalLauncher, lock: StateDirectoryLock) -> None:
    async def scenario() -> None:
        await launcher.start(request(lock, "umask"))
        await launcher.next_event()
        assert str(await launcher.next_event()) == f"exit status {0o077}"
        await launcher.end()

    trio.run(scenario)


def test_owner_that_vanishes_leaves_nothing(launcher: LocalLauncher, lock: StateDirectoryLock) -> None:
    pids: list[int] = []

    async def scenario() -> None:
        for name in ("node-a", "node-b"):
            await launcher.start(request(lock, name=name))
            pids.append((await launcher.next_event()).pid)

    trio.run(scenario)
    launcher.close()
    wait_until(lambda: not lock.directory.path.exists())
    assert not any(map(is_alive, pids))


def test_killed_launcher_takes_its_processes_along_and_is_replaced(
    launcher: LocalLauncher, lock: StateDirectoryLock
) -> None:
    async def scenario() -> None:
        await launcher.start(request(lock))
        started = await launcher.next_event()
        os.kill(launcher.pid, signal.SIGKILL)
        with pytest.raises(LauncherLostError):
            await launcher.next_event()
        await launcher.reap()
        await trio.to_thread.run_sync(wait_until, lambda: not is_alive(started.pid))
        assert lock.directory.path.exists()

    trio.run(scenario)
    lock.remove()
