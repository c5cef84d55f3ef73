"""Libraries that know nothing of pods, unchanged over both kinds of streams: h11, trio's TLS, trio's servers."""

import errno
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import h11
import pytest
import trio
from trio.testing import MockClock

from emulator.runtime.sockets import pod_network
from tests.runtime.conftest import Pair

TLS = Path(__file__).parents[2] / "data" / "tls"  # self-signed for server.test, until 2126
Handler = Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]
Connect = Callable[[], Awaitable[trio.abc.HalfCloseableStream]]


@asynccontextmanager
async def by_trio_functions(pair: Pair, handler: Handler) -> AsyncIterator[Connect]:
    """Plain trio, in both pods."""

    async def serve(task_status: trio.TaskStatus[object]) -> None:
        with pod_network.inside(pair.b):
            await trio.serve_tcp(handler, 80, task_status=task_status)

    async def connect() -> trio.abc.HalfCloseableStream:
        with pod_network.inside(pair.a):
            return await trio.open_tcp_stream("10.0.0.2", 80)

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        yield connect
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def by_network(pair: Pair, handler: Handler) -> AsyncIterator[Connect]:
    """The streams of `container.network`."""
    async with trio.open_nursery() as nursery, await pair.b.open_tcp_listener(80) as listener:
        nursery.start_soon(trio.serve_listeners, handler, [listener])
        yield partial(pair.a.open_tcp_stream, "10.0.0.2", 80)
        nursery.cancel_scope.cancel()


@pytest.fixture(params=[by_trio_functions, by_network], ids=["trio", "network"])
def serving(request: pytest.FixtureRequest) -> object:
    return request.param


async def next_event(connection: h11.Connection, stream: trio.abc.ReceiveStream) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await stream.receive_some())
    return event


async def answer(stream: trio.abc.HalfCloseableStream) -> None:
    connection = h11.Connection(h11.SERVER)
    body = bytearray()
    while not isinstance(event := await next_event(connection, stream), h11.EndOfMessage):
        body += event.data if isinstance(event, h11.Data) else b""
    for part in (h11.Response(status_code=200, headers=[]), h11.Data(data=bytes(body[::-1])), h11.EndOfMessage()):
        await stream.send_all(connection.send(part))


async def ask(stream: trio.abc.HalfCloseableStream, body: bytes) -> bytes:
    connection = h11.Connection(h11.CLIENT)
    request = h11.Request(method="POST", target="/", headers=[("Host", "b"), ("Content-Length", str(len(body)))])
    for part in (request, h11.Data(data=body), h11.EndOfMessage()):
        await stream.send_all(connection.send(part))
    received = bytearray()
    while not isinstance(event := await next_event(connection, stream), h11.EndOfMessage):
        received += event.data if isinstance(event, h11.Data) else b""
    return bytes(received)


async def test_h11(pair: Pair, serving: object, autojump_clock: MockClock) -> None:
    async with serving(pair, answer) as connect, await connect() as stream:
        assert await ask(stream, bytes(range(256)) * 1000) == (bytes(range(256)) * 1000)[::-1]


async def test_tls_with_h11_inside(pair: Pair, serving: object, autojump_clock: MockClock) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(TLS / "server.crt", TLS / "server.key")
    client = ssl.create_default_context(cafile=TLS / "server.crt")

    async def answer_tls(stream: trio.abc.HalfCloseableStream) -> None:
        async with trio.SSLStream(stream, server, server_side=True) as inner:
            await answer(inner)

    async with serving(pair, answer_tls) as connect:
        async with trio.SSLStream(await connect(), client, server_hostname="server.test") as stream:
            assert await ask(stream, b"secret" * 10_000) == (b"secret" * 10_000)[::-1]
            assert stream.selected_alpn_protocol() is None
        stream = trio.SSLStream(await connect(), client, server_hostname="other.test")
        with pytest.raises(trio.BrokenResourceError) as caught:
            await stream.do_handshake()
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        await trio.aclose_forcefully(stream)


async def test_a_server_that_is_gone_refuses(pair: Pair, autojump_clock: MockClock) -> None:
    with pod_network.inside(pair.a), pytest.raises(OSError, match="all attempts to connect") as caught:
        await trio.open_tcp_stream("10.0.0.2", 81)
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert [error.errno for error in caught.value.__cause__.exceptions] == [errno.ECONNREFUSED]
    with pytest.raises(ConnectionRefusedError):
        await pair.a.open_tcp_stream("10.0.0.2", 81)
