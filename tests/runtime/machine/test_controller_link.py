import contextlib
import random

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from emulator.api import messages
from emulator.api.messages import ControlError, ListParams
from emulator.runtime.control.memory_listener import MemoryListener
from emulator.runtime.control.server import Methods, serve_connection
from emulator.runtime.machine.controller_link import LAST_DELAY, ControllerLink, Subscription
from emulator.runtime.machine.object_cache import ObjectCache
from tests.runtime.lab import LOGGER, config_map, lab

WANTED = [Subscription("ConfigMap"), Subscription("Service")]
REGISTRATION = messages.NodeRegistration(
    name="node-a", instance="1", underlay_host="127.0.0.1", underlay_port=1, mac="02:00:00:00:00:01"
)


class Copy(ObjectCache):
    """A node's cache that notes each change and refuses what must not happen."""

    def __init__(self):
        super().__init__()
        self.copied = {}
        self.lists = 0
        self.revisions = []

    def key(self, kind, obj):
        return kind, obj["metadata"]["name"]

    def replace(self, kind, objects):
        self.lists += 1
        self.copied = {key: obj for key, obj in self.copied.items() if key[0] != kind}
        self.copied |= {self.key(kind, obj): obj for obj in objects}

    def put(self, kind, obj):
        self.note(kind, obj)
        self.copied[self.key(kind, obj)] = obj

    def remove(self, kind, obj):
        self.note(kind, obj)
        del self.copied[self.key(kind, obj)]  # KeyError: doubled, or lost before

    def note(self, kind, obj):
        if kind == "ConfigMap":
            self.revisions.append(int(obj["metadata"]["resourceVersion"]))


class Line:
    """Connections to a controller that can be cut."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.stream = None
        self.down = False
        self.attempts = 0

    async def connect(self):
        self.attempts += 1
        if self.down:
            raise ConnectionRefusedError("down")
        self.stream = await self.cluster.listener.connect()
        return self.stream

    async def cut(self):
        if self.stream is not None:
            await self.stream.aclose()


def follow(nursery, line, sink):
    link = ControllerLink(line.connect, REGISTRATION, WANTED, sink, random.Random(1), LOGGER)
    nursery.start_soon(link.run)
    return link


async def stored(client):
    result = {}
    for kind in ("ConfigMap", "Service"):
        listed = await client.call(messages.LIST, ListParams(kind=kind))
        result |= {(kind, obj["metadata"]["name"]): obj for obj in listed.items}
    return result


@pytest.mark.parametrize("seed", range(8))
async def test_no_event_is_lost_doubled_or_reordered_when_the_line_is_cut(seed, autojump_clock):
    choose = random.Random(seed)
    sink = Copy()
    async with lab() as cluster, cluster.client() as client:
        line = Line(cluster)
        follow(cluster.nursery, line, sink)
        await wait_all_tasks_blocked()
        for number in range(300):
            name = f"a{choose.randrange(10)}"
            with contextlib.suppress(ControlError):  # one that is there or not, as the draw has it
                match choose.randrange(4):
                    case 0:
                        await client.call(messages.CREATE, messages.CreateParams(object=config_map(name)))
                    case 1:
                        await client.call(messages.DELETE, messages.DeleteParams(kind="ConfigMap", name=name))
                    case _:
                        obj = config_map(name, x=str(number))
                        await client.call(messages.REPLACE, messages.ReplaceParams(object=obj))
            if choose.random() < 0.05:
                await line.cut()
            if choose.random() < 0.1:
                await trio.sleep(choose.random())
        await trio.sleep(10)
        assert sink.copied == await stored(client)
        assert line.attempts > 3
        assert sink.lists == len(WANTED)  # every cut was resumed
        assert sink.revisions == sorted(set(sink.revisions))


async def test_a_restarted_controller_is_listed_again(tmp_path, autojump_clock):
    path = tmp_path / "store.sqlite"
    sink = Copy()
    async with trio.open_nursery() as nursery:
        line = Line(None)
        async with lab(path) as cluster, cluster.client() as client:
            line.cluster = cluster
            follow(nursery, line, sink)
            await client.call(messages.CREATE, messages.CreateParams(object=config_map("a")))
            await client.call(messages.CREATE, messages.CreateParams(object=config_map("b")))
            await wait_all_tasks_blocked()
            expected = await stored(client)
        await wait_all_tasks_blocked()
        assert sink.copied == expected  # nothing is taken back while the controller is away
        async with lab(path) as cluster, cluster.client() as client:
            await client.call(messages.DELETE, messages.DeleteParams(kind="ConfigMap", name="a"))
            line.cluster = cluster
            await trio.sleep(LAST_DELAY)
            assert sink.copied == await stored(client)
            assert ("ConfigMap", "a") not in sink.copied
            assert sink.lists == 2 * len(WANTED)
            nursery.cancel_scope.cancel()


async def test_too_late_to_resume_lists_again(autojump_clock):
    sink = Copy()
    async with lab(history=5) as cluster, cluster.client() as client:
        line = Line(cluster)
        follow(cluster.nursery, line, sink)
        await wait_all_tasks_blocked()
        line.down = True
        await line.cut()
        for number in range(40):
            await client.call(messages.CREATE, messages.CreateParams(object=config_map(f"a{number}")))
        assert ("ConfigMap", "a0") not in sink.copied
        line.down = False
        await trio.sleep(10)
        assert sink.copied == await stored(client)
        assert sink.lists > len(WANTED)


class Silent:
    """A controller that takes a node in and then says nothing more."""

    def __init__(self):
        self.registrations = []
        self.methods = Methods(LOGGER)
        self.methods.add(messages.VERSION, self.version)
        self.methods.add(messages.REGISTER, self.register)
        self.methods.add(messages.RENEW, self.wait)
        self.methods.add(messages.WATCH, self.wait)

    async def version(self, _params, _exchange):
        return messages.VersionResult(protocol=messages.PROTOCOL_VERSION, version="1", role="controller", name="x")

    async def register(self, _params, exchange):
        self.registrations.append(trio.current_time())
        await exchange.send(messages.Registered(node={}, epoch=1, lease_duration=4.0, renew_interval=1.0))
        await trio.sleep_forever()

    async def wait(self, _params, _exchange):
        await trio.sleep_forever()


async def test_a_controller_that_does_not_answer_counts_as_gone(autojump_clock, nursery):
    server = Silent()
    listener = MemoryListener()

    async def serve():
        while True:
            nursery.start_soon(serve_connection, await listener.accept(), server.methods)

    nursery.start_soon(serve)
    link = ControllerLink(listener.connect, REGISTRATION, WANTED, Copy(), random.Random(1), LOGGER)
    nursery.start_soon(link.run)
    await trio.sleep(4.9)
    assert link.connected
    assert len(server.registrations) == 1
    await trio.sleep(1.0)
    assert len(server.registrations) == 2
    assert server.registrations[1] - server.registrations[0] > 5.0
