"""What `logs` gives: of which container, from when on, and how far it is followed."""

from collections.abc import Awaitable

import pytest
import trio

from emulator.api.messages import ControlError, LogLine, LogsParams
from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.runtime.machine.containers import ContainerLog, RunningContainer
from emulator.runtime.node.kubelet.log_reader import send_logs
from emulator.runtime.node.kubelet.running_pod import RunningPod
from tests.runtime.conftest import Pair

NAMES = ("init", "main", "side")


class World:
    """A pod of an init container and two others, whose clock is set by hand."""

    def __init__(self, pair: Pair) -> None:
        self.now = 1000.0
        spec = {"initContainers": [{"name": "init"}], "containers": [{"name": "main"}, {"name": "side"}]}
        pod = view({"kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": spec}, Pod)
        self.running = RunningPod(pod, "10.0.0.1", pair.a)
        self.logs = {name: ContainerLog(lambda: self.now) for name in NAMES}
        self.running.containers = {name: RunningContainer(log) for name, log in self.logs.items()}
        self.sent: list[LogLine] = []

    def write(self, name: str, *texts: str) -> None:
        for text in texts:
            self.logs[name].write(text)

    async def ask(self, **asked: object) -> list[str]:
        self.sent = []

        async def send(line: LogLine) -> None:
            await trio.lowlevel.checkpoint()
            self.sent.append(line)

        waiting: Awaitable[None] = send_logs(LogsParams(pod="p", **asked), self.running, send)  # type: ignore[arg-type]
        await waiting
        return [line.text for line in self.sent]


@pytest.fixture
def world(pair: Pair) -> World:
    world = World(pair)
    world.write("init", "prepared")
    world.write("main", "one", "two")
    world.now += 60
    world.write("main", "three")
    world.write("side", "beside")
    return world


async def test_one_container_and_how_much_of_it(world: World) -> None:
    assert await world.ask() == ["one", "two", "three"]
    assert await world.ask(container="side") == ["beside"]
    assert await world.ask(tail=2) == ["two", "three"]
    assert await world.ask(tail=0) == []
    assert await world.ask(since=30.0) == ["three"]
    assert await world.ask(since=90.0, tail=2) == ["two", "three"]


async def test_all_containers_say_which(world: World) -> None:
    assert await world.ask(all_containers=True) == ["prepared", "one", "two", "three", "beside"]
    assert [line.container for line in world.sent] == ["init", "main", "main", "main", "side"]


async def test_all_containers_are_followed_until_all_have_ended(world: World) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: world.ask(all_containers=True, follow=True, since=0.5))
        await trio.testing.wait_all_tasks_blocked()
        world.write("side", "more")
        world.write("main", "and more")
        await trio.testing.wait_all_tasks_blocked()
        for log in world.logs.values():
            log.end()
    assert sorted(line.text for line in world.sent) == ["and more", "beside", "more", "three"]


async def test_what_is_not_there_is_named(world: World) -> None:
    with pytest.raises(ControlError, match="container no is not valid for pod p; its containers are: init, main, side"):
        await world.ask(container="no")
    with pytest.raises(ControlError, match='previous terminated container "main" in pod "p" not found'):
        await world.ask(previous=True)
    del world.running.containers["side"]
    with pytest.raises(ControlError, match='container "side" in pod "p" is waiting to start'):
        await world.ask(container="side")
