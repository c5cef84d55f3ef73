"""The supervisor with a launcher that the test plays: who is started again when, and how often."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.runtime import state_directory
from emulator.runtime.state_directory import StateDirectory, StateDirectoryLock
from emulator.runtime.supervisor.interruptions import Interruptions
from emulator.runtime.supervisor.launcher import LauncherLostError
from emulator.runtime.supervisor.processes import LauncherEvent, ProcessExited, ProcessStarted, StartProcess
from emulator.runtime.supervisor.supervisor import StartError, Supervisor

CONFIG = ClusterConfig(name="c", nodes=(NodeConfig("node-a"),))


class PlayedLauncher:
    """Says that what it was asked to start runs; tells what the test sends."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.used = trio.Event()
        self.ended = 0
        self.events: trio.MemorySendChannel[LauncherEvent]
        self.events, self._next = trio.open_memory_channel[LauncherEvent](100)

    async def start(self, request: StartProcess) -> None:
        self.started.append(request.name)
        self.used.set()
        await self.events.send(ProcessStarted(name=request.name, pid=len(self.started)))

    async def signal(self, name: str, number: int) -> None:
        raise NotImplementedError

    async def next_event(self) -> LauncherEvent:
        try:
            return await self._next.receive()
        except trio.EndOfChannel:
            raise LauncherLostError("the process that starts the others has ended") from None

    async def end(self, *, now: bool = False) -> None:
        self.ended += 1
        await trio.lowlevel.checkpoint()

    async def hurry(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[StateDirectoryLock]:
    lock = state_directory.create(StateDirectory(tmp_path / "c", "c"))
    with socket.socket(socket.AF_UNIX) as controller:  # it never answers
        controller.bind(str(lock.directory.socket("controller")))
        controller.listen()
        yield lock
    lock.remove()


@asynccontextmanager
async def supervised(
    lock: StateDirectoryLock, launchers: list[PlayedLauncher]
) -> AsyncIterator[tuple[Supervisor, list[object]]]:
    """Run a supervisor that counts as ready and has started everything with the first of `launchers`."""
    reports: list[object] = []
    following = iter(launchers[1:])
    supervisor = Supervisor(
        CONFIG, [], lock.directory, launchers[0], reports.append, Interruptions(), lambda: next(following)
    )
    supervisor._ready = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.testing.wait_all_tasks_blocked()
        yield supervisor, reports
        supervisor.stop()


async def test_lost_launcher_is_let_go_of_and_replaced_later_and_later(
    lock: StateDirectoryLock, autojump_clock: trio.testing.MockClock
) -> None:
    launchers = [PlayedLauncher() for _ in range(5)]
    times: list[float] = []
    async with supervised(lock, launchers):
        for number, launcher in enumerate(launchers[:-1]):
            assert launcher.started == ["controller", "node-a", "cloud"]
            began = trio.current_time()
            launcher.events.close()
            await launchers[number + 1].used.wait()
            times.append(round(trio.current_time() - began, 1))
            assert launcher.ended == 1
            await trio.testing.wait_all_tasks_blocked()
    assert times == [0.0, 0.1, 0.2, 0.4]


async def test_process_that_waits_for_its_time_is_started_once_by_the_next_launcher(
    lock: StateDirectoryLock, autojump_clock: trio.testing.MockClock
) -> None:
    first, second = PlayedLauncher(), PlayedLauncher()
    async with supervised(lock, [first, second]):
        for _ in range(6):  # by now it waits for some seconds before it is started again
            await first.events.send(ProcessExited(name="node-a", pid=2, status=1))
            await trio.testing.wait_all_tasks_blocked()
        first.events.close()
        await trio.sleep(60)
        assert second.started == ["controller", "node-a", "cloud"]


async def test_socket_that_cannot_be_made_ends_the_start_with_one_line(lock: StateDirectoryLock) -> None:
    launcher = PlayedLauncher()
    lock.directory.socket("supervisor").mkdir()
    supervisor = Supervisor(CONFIG, [], lock.directory, launcher, lambda _: None, Interruptions())
    with pytest.raises(StartError, match="the supervisor's socket cannot be made"):
        await supervisor.run()
    assert launcher.ended == 1
