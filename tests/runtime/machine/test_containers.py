"""One program's life and end: what it prints, how it fails, what is told of it."""

import errno
import io
import json
import os
from collections.abc import Awaitable, Callable

import pytest
import trio

from emulator.apps.environment import Container
from emulator.runtime.logging import open_log
from emulator.runtime.machine.containers import (
    LOG_LINE_LENGTH,
    LOG_LINES,
    LOG_SIZE,
    ContainerLog,
    Exit,
    RunningContainer,
)
from tests.runtime.conftest import Pair

Act = Callable[[Container], Awaitable[int]]


class Story:
    """Runs programs, and notes what is told of them."""

    def __init__(self, pair: Pair) -> None:
        self.events: list[str | Exit] = []
        self.output = io.StringIO()
        self.log = ContainerLog(lambda: 0.0)
        self.container = Container(
            name="c",
            image="i",
            pod_name="p",
            namespace="n",
            pod_ip="10.0.0.1",
            node_name="x",
            network=pair.a,
            log=self.log.write,
        )

    async def run(self, running: RunningContainer, act: Act) -> None:
        async def program(
            container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
        ) -> int:
            task_status.started()
            return await act(container)

        log = open_log("node-a", self.output)
        await running.run(program, self.container, lambda: self.events.append("started"), self.events.append, log)


@pytest.fixture
def story(pair: Pair) -> Story:
    return Story(pair)


async def test_exit_status_is_told(story: Story) -> None:
    async def act(container: Container) -> int:
        container.log("hello\nworld")
        await trio.lowlevel.checkpoint()
        return 3

    await story.run(RunningContainer(story.log), act)
    assert story.events == ["started", Exit(3)]
    assert [line.text for line in story.log.tail()] == ["hello", "world"]


async def test_port_in_use_reads_as_programs_print_it(story: Story) -> None:
    async def act(container: Container) -> int:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    await story.run(RunningContainer(story.log), act)
    assert story.events[-1] == Exit(1, "address already in use")
    assert story.output.getvalue() == ""


async def test_bug_in_a_program_is_its_own_and_is_logged(story: Story) -> None:
    async def act(container: Container) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
        return 0

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError("x")

    await story.run(RunningContainer(story.log), act)
    assert story.events[-1] == Exit(1, "KeyError: 'x'")
    assert json.loads(story.output.getvalue())["pod"] == "n/p"


async def test_stopped_program_exits_as_by_sigterm(story: Story) -> None:
    running = RunningContainer(story.log)

    async def act(container: Container) -> int:
        await trio.sleep_forever()
        return 0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(story.run, running, act)
        await trio.testing.wait_all_tasks_blocked()
        running.terminate()
    assert story.events == ["started", Exit(143)]


async def test_a_program_that_ends_with_its_node_has_not_exited(story: Story) -> None:
    async def act(container: Container) -> int:
        await trio.sleep_forever()
        return 0

    async with trio.open_nursery() as node:
        node.start_soon(story.run, RunningContainer(story.log), act)
        await trio.testing.wait_all_tasks_blocked()
        node.cancel_scope.cancel()
    assert story.events == ["started"], "else the kubelet would start it again"
    assert [line async for line in story.log.follow()] == [], "the log has ended"


async def test_second_container_starts_after_the_first_serves(story: Story) -> None:
    first = RunningContainer(story.log)
    second = RunningContainer(story.log, first)

    async def act(container: Container) -> int:
        await trio.lowlevel.checkpoint()
        return 0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(story.run, second, act)
        await trio.testing.wait_all_tasks_blocked()
        assert story.events == []
        nursery.start_soon(story.run, first, act)
    assert story.events.count("started") == 2


async def test_log_is_bounded_and_can_be_followed() -> None:
    log = ContainerLog(lambda: 0.0)
    for number in range(LOG_LINES + 5):
        log.write(f"line {number}")
    assert len(log.tail()) == LOG_LINES
    assert [line.text for line in log.tail(2)] == [f"line {LOG_LINES + 3}", f"line {LOG_LINES + 4}"]
    assert log.tail(0) == []
    followed: list[str] = []

    async def follow() -> None:
        followed.extend([line.text async for line in log.follow(1)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked()
        log.write("more")
        await trio.testing.wait_all_tasks_blocked()
        log.write("last")
        log.end()
    assert followed == [f"line {LOG_LINES + 4}", "more", "last"]


async def test_a_log_of_long_lines_keeps_fewer_of_them() -> None:
    log = ContainerLog(lambda: 0.0)
    for number in range(200):
        log.write(f"{number:05}" * (LOG_LINE_LENGTH // 5 + 1))
    kept = log.tail()
    assert sum(len(line.text) for line in kept) <= LOG_SIZE < (len(kept) + 1) * LOG_LINE_LENGTH
    assert kept[-1].text.startswith("00199")
    log.write("short")
    assert [line.text for line in log.tail(1)] == ["short"]
