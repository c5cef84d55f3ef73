"""A container's end: its hook, its turn, SIGTERM, and SIGKILL when its time is up; all on the mock clock."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from emulator.apps.environment import Container
from emulator.runtime.machine.containers import ContainerLog, Exit, RunningContainer
from emulator.runtime.node.kubelet.termination import Termination
from tests.runtime.conftest import Pair

Act = Callable[[Container], Awaitable[int]]
LOG = logging.getLogger("test")


class Story:
    """Containers that are ended; `ends` has when each did, and how."""

    def __init__(self, pair: Pair, nursery: trio.Nursery) -> None:
        self.ends: dict[str, tuple[float, int]] = {}
        self._pair = pair
        self._nursery = nursery
        self._began = trio.current_time()

    async def start(self, name: str, act: Act) -> RunningContainer:
        task = RunningContainer(ContainerLog(lambda: 0.0))
        container = Container(
            name=name,
            image="i",
            pod_name="p",
            namespace="n",
            pod_ip="10.0.0.1",
            node_name="x",
            network=self._pair.a,
            log=task.log.write,
            on_terminate=task.on_terminate,
        )

        async def program(
            container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
        ) -> int:
            task_status.started()
            return await act(container)

        def note(exit_: Exit) -> None:
            self.ends[name] = (round(trio.current_time() - self._began, 3), exit_.status)

        self._nursery.start_soon(task.run, program, container, lambda: None, note, LOG)
        await trio.testing.wait_all_tasks_blocked()
        return task


async def ends_at_once(_container: Container) -> int:
    return await trio.sleep_forever()


async def ignores(container: Container) -> int:
    container.on_terminate(lambda: None)
    return await trio.sleep_forever()


async def finishes(container: Container) -> int:
    told = trio.Event()
    container.on_terminate(told.set)
    await told.wait()
    await trio.sleep(4)
    return 0


@pytest.mark.parametrize(
    ("act", "grace", "hook", "end"),
    [
        (ends_at_once, 30.0, 0.0, (0, 143)),
        (finishes, 30.0, 0.0, (4, 0)),
        (ignores, 30.0, 0.0, (30, 137)),
        (finishes, 3.0, 0.0, (3, 137)),
        (ends_at_once, 30.0, 5.0, (5, 143)),  # the hook comes first
        (finishes, 30.0, 5.0, (9, 0)),
        (ignores, 30.0, 5.0, (30, 137)),  # and its time counts
        (ignores, 10.0, 60.0, (12, 137)),  # a hook that takes all of it leaves two seconds between the signals
        (ignores, 0.0, 0.0, (2, 137)),
    ],
)
async def test_when_and_how_a_container_ends(
    pair: Pair, autojump_clock: MockClock, act: Act, grace: float, hook: float, end: tuple[float, int]
) -> None:
    async with trio.open_nursery() as nursery:
        story = Story(pair, nursery)
        task = await story.start("c", act)
        await Termination(task, grace).run(partial(trio.sleep, hook) if hook else None, ())
        assert story.ends == {"c": end}


async def test_a_sidecar_ends_after_those_that_it_serves(pair: Pair, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        story = Story(pair, nursery)
        main, sidecar = await story.start("main", finishes), await story.start("sidecar", ends_at_once)
        nursery.start_soon(Termination(sidecar, 30.0).run, None, (main,))
        await Termination(main, 30.0).run(None, ())
    assert story.ends == {"main": (4, 0), "sidecar": (4, 143)}


async def test_a_shorter_time_can_be_set_while_it_ends(pair: Pair, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        story = Story(pair, nursery)
        termination = Termination(await story.start("c", ignores), 30.0)
        nursery.start_soon(termination.run, None, ())
        await trio.sleep(5)
        termination.shorten(3.0)
    assert story.ends == {"c": (8, 137)}


async def test_a_container_that_ends_by_itself_needs_no_signal(pair: Pair, autojump_clock: MockClock) -> None:
    async def crashes(_container: Container) -> int:
        await trio.sleep(1)
        return 7

    async with trio.open_nursery() as nursery:
        story = Story(pair, nursery)
        await Termination(await story.start("c", crashes), 30.0).run(partial(trio.sleep, 20), ())
    assert story.ends == {"c": (1, 7)}


async def test_a_handler_that_fails_ends_the_program(pair: Pair) -> None:
    async def breaks(container: Container) -> int:
        container.on_terminate(lambda: 1 // 0)  # type: ignore[arg-type,return-value]
        return await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        story = Story(pair, nursery)
        task = await story.start("c", breaks)
        await Termination(task, 30.0).run(None, ())
        assert story.ends["c"][1] == 1
        assert "ZeroDivisionError" in task.log.tail()[-1].text
