import errno
import logging
import os
import resource
import socket
import stat

import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from emulator.api import messages
from emulator.api.codec import FrameReader, encode_frame
from emulator.api.messages import ControlError, Empty, ErrorCode
from emulator.errors import PodwireError
from emulator.runtime.control.client import ConnectionLostError, check_version, open_client
from emulator.runtime.control.memory_listener import MemoryListener
from emulator.runtime.control.server import RESERVE, Methods, control_socket, serve, serve_connection

LOGGER = logging.Logger("test")
VERSION = messages.VersionResult(protocol=messages.PROTOCOL_VERSION, version="1", role="node", name="a")


def refused(code):
    return pytest.raises(ControlError, check=lambda error: error.code is code)


async def answer_version(_params, _exchange):
    return VERSION


async def echo(params, exchange):
    """Send standard input back; the exit status is the number of chunks."""
    chunks = 0
    async for data in exchange.inputs:
        chunks += 1
        await exchange.send(messages.ExecOutput(stream=messages.OutputStream.STDOUT, data=data))
    return messages.ExecResult(exit_status=chunks)


def make_methods(logger=LOGGER):
    methods = Methods(logger)
    methods.add(messages.VERSION, answer_version)
    methods.add(messages.EXEC, echo)
    return methods


@pytest.fixture
async def client(nursery):
    ours, theirs = memory_stream_pair()
    nursery.start_soon(serve_connection, theirs, make_methods())
    async with open_client(ours) as client:
        yield client


async def test_call(client):
    assert await client.call(messages.VERSION, Empty()) == VERSION
    assert await check_version(client) == VERSION


async def test_events_and_input(client):
    async with client.stream(messages.EXEC, messages.ExecParams(command=("cat",))) as exchange:
        for data in (b"one", b"\x00\xff"):
            await exchange.send_input(data)
            event = await exchange.next_event()
            assert event.data == data
        await exchange.end_input()
        assert (await exchange.result()).exit_status == 2


async def test_exchanges_do_not_disturb_each_other(client, autojump_clock):
    results = {}

    async def run(number):
        async with client.stream(messages.EXEC, messages.ExecParams(command=("cat",))) as exchange:
            for _ in range(number):
                await exchange.send_input(bytes([number]))
                await trio.sleep(0.1)
            await exchange.end_input()
            results[number] = [event.data async for event in exchange]
            assert (await exchange.result()).exit_status == number

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(run, number)
    assert results == {number: [bytes([number])] * number for number in range(20)}


async def test_unknown_method_and_bad_parameters(client):
    with refused(ErrorCode.UNKNOWN_METHOD) as caught:
        await client.call(messages.LIST, messages.ListParams(kind="Pod"))
    assert "exec, version" in str(caught.value)
    bad = messages.Method("exec", messages.ListParams, Empty, Empty)
    with refused(ErrorCode.INVALID):
        await client.call(bad, messages.ListParams(kind="Pod"))
    assert await client.call(messages.VERSION, Empty()) == VERSION


async def test_both_versions_are_named_when_they_differ():
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, make_methods())
        reader = FrameReader()

        async def ask(method):
            await ours.send_all(encode_frame({"id": 1, "method": method, "protocol": 99}))
            (response,) = reader.feed(await ours.receive_some())
            return response

        response = await ask("exec")
        assert response["error"]["code"] == "version_mismatch"
        assert "99" in response["error"]["message"]
        assert f"process {messages.PROTOCOL_VERSION}" in response["error"]["message"]
        assert (await ask("version"))["result"]["protocol"] == messages.PROTOCOL_VERSION
        await ours.aclose()


async def test_a_client_names_both_versions_too():
    async def answer(_params, _exchange):
        return messages.VersionResult(protocol=99, version="9", role="controller", name="lab")

    methods = Methods(LOGGER)
    methods.add(messages.VERSION, answer)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, methods)
        async with open_client(ours) as client:
            with refused(ErrorCode.VERSION_MISMATCH) as caught:
                await check_version(client)
    assert "controller lab speaks version 99" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ControlError(ErrorCode.CONFLICT, "changed"), ErrorCode.CONFLICT, "changed"),
        (PodwireError("bad"), ErrorCode.INVALID, "bad"),
        (ZeroDivisionError("oops"), ErrorCode.INTERNAL, "version failed: ZeroDivisionError: oops"),
        (ExceptionGroup("", [PodwireError("in a nursery")]), ErrorCode.INVALID, "in a nursery"),
    ],
)
async def test_errors_of_handlers_reach_the_client(error, code, words):
    async def fail(_params, _exchange):
        raise error

    methods = Methods(LOGGER)
    methods.add(messages.VERSION, fail)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, methods)
        async with open_client(ours) as client:
            for _ in range(2):
                with refused(code) as caught:
                    await client.call(messages.VERSION, Empty())
                assert words in str(caught.value)


class Waiting:
    """A method that waits for ever and notes how it ended."""

    def __init__(self):
        self.methods = Methods(LOGGER)
        self.methods.add(messages.TRACE_COLLECT, self.wait)
        self.methods.add(messages.VERSION, answer_version)
        self.started = trio.Event()
        self.cancelled = trio.Event()

    async def wait(self, _params, _exchange):
        self.started.set()
        try:
            await trio.sleep_forever()
        finally:
            self.cancelled.set()


async def test_leaving_a_stream_cancels_it_and_nothing_else():
    waiting = Waiting()
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, waiting.methods)
        async with open_client(ours) as client:
            async with client.stream(messages.TRACE_COLLECT, messages.TraceCollectParams(trace=1)):
                await waiting.started.wait()
            await waiting.cancelled.wait()
            assert await client.call(messages.VERSION, Empty()) == VERSION


async def test_a_client_that_goes_leaves_nothing_behind():
    waiting = Waiting()
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, waiting.methods)
        async with open_client(ours) as client, trio.open_nursery() as inner:
            inner.start_soon(client.call, messages.TRACE_COLLECT, messages.TraceCollectParams(trace=1))
            await waiting.started.wait()
            inner.cancel_scope.cancel()
    assert waiting.cancelled.is_set()


async def test_a_server_that_goes_is_told_to_every_waiting_task(nursery):
    waiting = Waiting()
    ours, theirs = memory_stream_pair()
    async with open_client(ours) as client, trio.open_nursery() as inner:
        lost = []

        async def wait():
            with pytest.raises(ConnectionLostError):
                await client.call(messages.TRACE_COLLECT, messages.TraceCollectParams(trace=1))
            lost.append(1)

        inner.start_soon(wait)
        inner.start_soon(wait)
        async with trio.open_nursery() as server:
            server.start_soon(serve_connection, theirs, waiting.methods)
            await waiting.started.wait()
            server.cancel_scope.cancel()
    assert lost == [1, 1]
    with pytest.raises(ConnectionLostError):
        await client.call(messages.VERSION, Empty())


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x01\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        encode_frame({"id": "x", "method": "version"}),
        encode_frame({"id": 1, "method": "exec", "params": {"command": ["cat"]}}) * 2,
    ],
)
async def test_a_client_that_breaks_the_protocol_is_told_and_cut_off(data):
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, make_methods())
        await ours.send_all(data)
        received = b"".join([chunk async for chunk in ours])
    (response,) = FrameReader().feed(received)
    assert response["id"] == 0
    assert response["error"]["code"] == "invalid"


async def test_a_client_that_asks_and_does_not_read_is_heard_no_further():
    asked = 0

    async def count(_params, _exchange):
        nonlocal asked
        asked += 1
        await trio.lowlevel.checkpoint()
        return VERSION

    methods = Methods(LOGGER)
    methods.add(messages.VERSION, count)
    ours, theirs = lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, methods)
        requests = [encode_frame({"id": number, "method": "version"}) for number in range(1, 1001)]
        nursery.start_soon(ours.send_all, b"".join(requests))
        await trio.testing.wait_all_tasks_blocked()
        assert asked < 200
        reader, answered = FrameReader(), 0
        while answered < 1000:  # it reads after all, and nothing was lost
            answered += len(list(reader.feed(await ours.receive_some(65_536))))
        assert asked == 1000
        await ours.aclose()


async def test_a_result_that_is_too_large_is_an_error():
    async def too_much(_params, exchange):
        return messages.ObjectResult(object={"a": "x" * (17 * 1024 * 1024)})

    methods = Methods(LOGGER)
    methods.add(messages.GET, too_much)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, methods)
        async with open_client(ours) as client:
            with refused(ErrorCode.INVALID):
                await client.call(messages.GET, messages.GetParams(kind="Pod", name="a"))


async def test_unix_socket(tmp_path, nursery):
    path = tmp_path / "control.sock"
    async with control_socket(path) as listener, trio.open_nursery() as inner:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        inner.start_soon(serve, listener, make_methods())
        for _ in range(3):
            async with open_client(await trio.open_unix_socket(str(path))) as client:
                assert await client.call(messages.VERSION, Empty()) == VERSION
        inner.cancel_scope.cancel()
    assert not path.exists()


async def test_the_socket_of_a_killed_process_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    async with control_socket(path):
        assert path.is_socket()


async def test_a_file_in_the_way_is_kept(tmp_path):
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        async with control_socket(path):
            raise AssertionError("not reached")
    assert path.read_text() == "mine"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_is_refused(tmp_path, nursery):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:-2]:
        parent.chmod(0o755)
    path = tmp_path / "control.sock"
    async with control_socket(path) as listener, trio.open_nursery() as inner:
        inner.start_soon(serve, listener, make_methods())
        path.chmod(0o666)
        os.seteuid(65534)
        try:
            stream = await trio.open_unix_socket(str(path))
        finally:
            os.seteuid(0)
        async with open_client(stream) as client:
            with pytest.raises(ConnectionLostError):
                await client.call(messages.VERSION, Empty())
        inner.cancel_scope.cancel()


class FullSystem(trio.abc.Listener):
    """Has no descriptor for the first clients."""

    def __init__(self, listener, failures):
        self.listener = listener
        self.failures = failures

    async def accept(self):
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return await self.listener.accept()

    async def aclose(self):
        await self.listener.aclose()


async def test_system_without_descriptors_is_told_of_once_and_waited_for(nursery, caplog, autojump_clock):
    listener = MemoryListener()
    nursery.start_soon(serve, FullSystem(listener, 100), make_methods(logging.getLogger("server")))
    async with open_client(await listener.connect()) as client:
        assert await client.call(messages.VERSION, Empty()) == VERSION
    assert [record.getMessage() for record in caplog.records] == ["no client can be accepted: Too many open files"]


async def test_clients_leave_descriptors_to_the_process(nursery, autojump_clock, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (RESERVE + 2, RESERVE + 2))
    listener = MemoryListener()
    nursery.start_soon(serve, listener, make_methods())
    streams = [await listener.connect() for _ in range(3)]
    async with open_client(streams[0]) as first, open_client(streams[1]) as second:
        assert await first.call(messages.VERSION, Empty()) == await second.call(messages.VERSION, Empty())
        async with open_client(streams[2]) as third:
            with trio.move_on_after(5) as scope:
                await third.call(messages.VERSION, Empty())
            assert scope.cancelled_caught
    async with open_client(await listener.connect()) as fourth:
        assert await fourth.call(messages.VERSION, Empty()) == VERSION


async def test_memory_listener(nursery):
    listener = MemoryListener()
    nursery.start_soon(serve, listener, make_methods())
    async with open_client(await listener.connect()) as client:
        assert await client.call(messages.VERSION, Empty()) == VERSION
    nursery.cancel_scope.cancel()


async def test_memory_listener_that_is_closed():
    listener = MemoryListener()
    waiting = await listener.connect()
    await listener.aclose()
    with pytest.raises(ConnectionRefusedError):
        await listener.connect()
    assert await waiting.receive_some() == b""
