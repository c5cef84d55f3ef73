import contextlib
import itertools
import logging
import random

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from emulator.api import messages
from emulator.api.messages import ControlError, ErrorCode, ListParams
from emulator.runtime.control import Methods, serve_connection
from emulator.runtime.control_client import ConnectionLostError, open_client
from emulator.runtime.memory_listener import MemoryListener
from emulator.runtime.reflector import LONGEST_DELAY, Reflector, keep_connected, stay_registered
from tests.runtime.lab import LOGGER, config_map, lab

WANTED = [ListParams(kind="ConfigMap"), ListParams(kind="Node")]


class Copy:
    """A sink that notes each change and refuses what must not happen."""

    def __init__(self):
        self.objects = {}
        self.lists = 0
        self.revisions = []

    def key(self, kind, obj):
        return kind, obj["metadata"]["name"]

    def replace(self, kind, objects):
        self.lists += 1
        self.objects = {key: obj for key, obj in self.objects.items() if key[0] != kind}
        self.objects |= {self.key(kind, obj): obj for obj in objects}

    def put(self, kind, obj):
        self.note(kind, obj)
        self.objects[self.key(kind, obj)] = obj

    def remove(self, kind, obj):
        self.note(kind, obj)
        del self.objects[self.key(kind, obj)]  # KeyError: doubled, or lost before

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


def follow(nursery, line, sink, wanted=WANTED):
    reflector = Reflector(sink, wanted)

    async def use(client, version):
        await reflector.follow(client, version.epoch)

    async def run():
        await keep_connected(line.connect, use, random=random.Random(1), logger=LOGGER)

    nursery.start_soon(run)


async def stored(client):
    result = {}
    for kind in ("ConfigMap", "Node"):
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
        assert sink.objects == await stored(client)
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
        assert sink.objects == expected  # nothing is taken back while the controller is away
        async with lab(path) as cluster, cluster.client() as client:
            await client.call(messages.DELETE, messages.DeleteParams(kind="ConfigMap", name="a"))
            line.cluster = cluster
            await trio.sleep(LONGEST_DELAY)
            assert sink.objects == await stored(client)
            assert ("ConfigMap", "a") not in sink.objects
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
        assert ("ConfigMap", "a0") not in sink.objects
        line.down = False
        await trio.sleep(10)
        assert sink.objects == await stored(client)
        assert sink.lists > len(WANTED)


class Refusing:
    """A server that answers `version` and refuses the rest with one code."""

    def __init__(self, code):
        self.code = code
        self.attempts = 0
        self.methods = Methods(logging.Logger("test", logging.CRITICAL))
        self.methods.add(messages.VERSION, self.version)
        self.methods.add(messages.LIST, self.refuse)

    async def version(self, _params, _exchange):
        return messages.VersionResult(protocol=messages.PROTOCOL_VERSION, version="1", role="controller", name="x")

    async def refuse(self, _params, _exchange):
        self.attempts += 1
        raise ControlError(self.code, "no")


@pytest.mark.parametrize(
    ("code", "attempts"), [(ErrorCode.VERSION_MISMATCH, 1), (ErrorCode.UNAVAILABLE, 5), (ErrorCode.INTERNAL, 5)]
)
async def test_refusals_that_pass_are_tried_again_less_and_less_often(code, attempts, autojump_clock):
    server = Refusing(code)
    times = []
    listener = MemoryListener()

    async def connect():
        times.append(trio.current_time())
        return await listener.connect()

    async def use(client, version):
        await Reflector(Copy(), WANTED[:1]).follow(client, version.epoch)

    async def serve():
        while True:
            stream = await listener.accept()
            nursery.start_soon(serve_connection, stream, server.methods)

    failure = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.move_on_after(1.0):
            try:
                await keep_connected(connect, use, random=random.Random(1), logger=LOGGER)
            except ExceptionGroup as error:
                failure = error
        nursery.cancel_scope.cancel()
    assert server.attempts == len(times) == attempts
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses == sorted(pauses)
    assert (failure is not None) == (attempts == 1)


async def test_a_controller_that_does_not_answer_counts_as_gone(autojump_clock):
    class Silent(Refusing):
        async def register(self, params, exchange):
            registered = messages.Registered(node={}, epoch=1, lease_duration=4.0, renew_interval=1.0)
            await exchange.send(registered)
            await trio.sleep_forever()

        async def renew(self, _params, _exchange):
            await trio.sleep_forever()

    server = Silent(ErrorCode.INTERNAL)
    server.methods.add(messages.REGISTER, server.register)
    server.methods.add(messages.RENEW, server.renew)
    listener = MemoryListener()
    registration = messages.NodeRegistration(
        name="a", instance="1", underlay_host="127.0.0.1", underlay_port=1, mac="02:00:00:00:00:01"
    )
    told = []
    async with trio.open_nursery() as nursery:
        stream = await listener.connect()
        nursery.start_soon(serve_connection, await listener.accept(), server.methods)
        began = trio.current_time()
        with pytest.raises(ConnectionLostError, match="did not answer for 4 s"):
            async with open_client(stream) as client:
                await stay_registered(client, registration, told.append)
        assert trio.current_time() - began == pytest.approx(4)
        assert len(told) == 1
        nursery.cancel_scope.cancel()
