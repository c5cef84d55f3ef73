import logging
import random
import socket

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from emulator.api import messages
from emulator.api.codec import encode_frame
from emulator.api.messages import ControlError, ErrorCode, EventType
from emulator.api.store.history import Reference
from emulator.api.store.store import Store
from emulator.runtime.control.client import open_client
from emulator.runtime.control.server import Methods, serve_connection
from emulator.runtime.controller.committer import Committer
from emulator.runtime.controller.database import Database
from emulator.runtime.controller.watches import Watches
from tests.runtime.lab import config_map


class Server:
    """Watches over a store, without the rest of a controller."""

    def __init__(self, nursery, *, history=10_000):
        self.nursery = nursery
        self.database = Database(None)
        self.store = Store(random=random.Random(1), clock=lambda: 0.0, history=history)
        self.watches = Watches(self.store)
        self.committer = Committer(self.store, self.database, self.watches.publish)
        self.methods = Methods(logging.Logger("test", logging.CRITICAL))
        self.methods.add(messages.WATCH, self.watch)
        self.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
        nursery.start_soon(self.committer.run)

    async def watch(self, params, exchange):
        return await self.watches.watch(params, exchange, self.committer)

    def connect(self):
        ours, theirs = socket.socketpair()
        ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in (ours, theirs))
        self.nursery.start_soon(serve_connection, theirs, self.methods)
        return ours


@pytest.fixture
async def server(nursery):
    return Server(nursery)


async def take(exchange, number):
    return [await exchange.next_event() for _ in range(number)]


def told(events):
    return [(event.type, event.object.get("metadata", {}).get("name", "")) for event in events]


async def test_without_a_revision_a_watch_begins_with_what_there_is(server):
    for name in ("a", "b"):
        server.store.create(config_map(name))
    async with (
        open_client(server.connect()) as client,
        client.stream(messages.WATCH, messages.WatchParams(kind="ConfigMap")) as exchange,
    ):
        events = await take(exchange, 3)
        assert told(events) == [(EventType.ADDED, "a"), (EventType.ADDED, "b"), (EventType.BOOKMARK, "")]
        assert events[-1].revision == str(server.store.revision)
        server.store.create(config_map("c"))
        assert told(await take(exchange, 1)) == [(EventType.ADDED, "c")]


async def test_a_watch_resumes_after_its_revision(server):
    revisions = [server.store.create(config_map(name))["metadata"]["resourceVersion"] for name in "abc"]
    async with open_client(server.connect()) as client:
        params = messages.WatchParams(kind="ConfigMap", revision=revisions[0])
        async with client.stream(messages.WATCH, params) as exchange:
            events = await take(exchange, 2)
            assert told(events) == [(EventType.ADDED, "b"), (EventType.ADDED, "c")]
            assert [event.revision for event in events] == revisions[1:]


async def test_objects_that_cease_to_match_are_deleted(server):
    labelled = config_map("a")
    labelled["metadata"]["labels"] = {"app": "web"}
    async with open_client(server.connect()) as client:
        params = messages.WatchParams(kind="cm", namespace="default", label_selector="app=web")
        async with client.stream(messages.WATCH, params) as exchange:
            await take(exchange, 1)
            server.store.create(config_map("a"))
            server.store.replace(labelled)
            server.store.replace(labelled | {"data": {"x": "1"}})
            server.store.replace(config_map("a"))
            server.store.replace(labelled)
            server.store.delete(Reference("ConfigMap", "default", "a"))
            assert [event.type for event in await take(exchange, 5)] == [
                EventType.ADDED,
                EventType.MODIFIED,
                EventType.DELETED,
                EventType.ADDED,
                EventType.DELETED,
            ]


async def test_nothing_is_told_before_it_is_committed(server):
    async with (
        open_client(server.connect()) as client,
        client.stream(messages.WATCH, messages.WatchParams(kind="ConfigMap")) as exchange,
    ):
        await take(exchange, 1)
        for number in range(30):
            server.store.create(config_map(f"a{number}"))
            if number % 3 == 0:
                await trio.lowlevel.checkpoint()
        for event in await take(exchange, 30):
            committed = {obj["metadata"]["name"] for obj in server.database.begin_epoch().objects}
            assert event.object["metadata"]["name"] in committed


async def test_a_forgotten_revision_is_expired(nursery):
    server = Server(nursery, history=10)
    for number in range(50):
        server.store.create(config_map(f"a{number}"))
    async with open_client(server.connect()) as client:
        with pytest.raises(ControlError, check=lambda error: error.code is ErrorCode.EXPIRED):
            async with client.stream(messages.WATCH, messages.WatchParams(kind="cm", revision="3")) as exchange:
                await exchange.next_event()


async def test_a_watcher_that_does_not_read_is_cut_off_and_the_others_are_not(nursery):
    server = Server(nursery, history=200)
    slow = server.connect()
    await slow.send_all(encode_frame({"id": 1, "method": "watch", "params": {"kind": "ConfigMap"}}))
    async with (
        open_client(server.connect()) as client,
        client.stream(messages.WATCH, messages.WatchParams(kind="ConfigMap")) as exchange,
    ):
        await take(exchange, 1)
        await wait_all_tasks_blocked()
        names = [f"a{number}" for number in range(1_000)]
        seen = []
        for name in names:
            server.store.create(config_map(name, text="x" * 20_000))
            seen += await take(exchange, 1)
        assert told(seen) == [(EventType.ADDED, name) for name in names]
    received = 0
    async with slow:
        with trio.fail_after(5):  # its connection ends long before all was sent
            while data := await slow.receive_some(1_000_000):
                received += len(data)
    assert received < 1_000 * 20_000


async def test_a_large_apply_does_not_cut_anybody_off(server):
    async with (
        open_client(server.connect()) as client,
        client.stream(messages.WATCH, messages.WatchParams(kind="ConfigMap")) as exchange,
    ):
        await take(exchange, 1)
        with server.store.transaction():
            for number in range(5_000):
                server.store.create(config_map(f"a{number}"))
        assert len(told(await take(exchange, 5_000))) == 5_000
