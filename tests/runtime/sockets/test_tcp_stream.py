"""Emulated TCP as trio streams: trio's own contract, Linux's errors."""

import errno
from functools import partial
from random import Random

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from emulator.runtime.sockets.tcp_stream import TcpStream
from tests.runtime.conftest import Pair, connected


async def test_bytes_cross_both_ways_intact(pair: Pair, autojump_clock: MockClock) -> None:
    client, server = await connected(pair)
    data = Random(1).randbytes(3_000_000)

    async def send(stream: TcpStream) -> None:
        await stream.send_all(data)
        await stream.send_eof()

    async def receive(stream: TcpStream) -> None:
        received = bytearray()
        while more := await stream.receive_some():
            received += more
        assert received == data

    async with trio.open_nursery() as nursery:
        for stream in (client, server):
            nursery.start_soon(send, stream)
            nursery.start_soon(receive, stream)
    await client.aclose()
    await server.aclose()


async def test_closed_port_refuses(pair: Pair, autojump_clock: MockClock) -> None:
    with pytest.raises(ConnectionRefusedError) as caught:
        await pair.a.open_tcp_stream("10.0.0.2", 81)
    assert caught.value.strerror == "Connection refused"


async def test_absent_host_is_unreachable_after_arp_gave_up(pair: Pair, autojump_clock: MockClock) -> None:
    start = trio.current_time()
    with pytest.raises(OSError, match="No route to host") as caught:
        await pair.a.open_tcp_stream("10.0.0.99", 80)
    assert caught.value.errno == errno.EHOSTUNREACH
    assert 2.9 < trio.current_time() - start < 4.1


async def test_no_route_fails_at_once(pair: Pair, autojump_clock: MockClock) -> None:
    with pytest.raises(OSError, match="unreachable") as caught:
        await pair.a.open_tcp_stream("192.0.2.1", 80)
    assert caught.value.errno == errno.ENETUNREACH


async def test_port_in_use(pair: Pair, autojump_clock: MockClock) -> None:
    async with await pair.b.open_tcp_listener(80):
        with pytest.raises(OSError, match="Address already in use"):
            await pair.b.open_tcp_listener(80)


async def test_cancelled_connect_leaves_no_socket(pair: Pair, autojump_clock: MockClock) -> None:
    with trio.move_on_after(0.5):
        await pair.a.open_tcp_stream("10.0.0.99", 80)
    assert list(pair.a.netns.sockets.listing()) == []


async def test_reset_breaks_the_other_end(pair: Pair, autojump_clock: MockClock) -> None:
    client, server = await connected(pair)
    client.abort()
    with pytest.raises(trio.BrokenResourceError) as caught:
        await server.receive_some()
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    await server.aclose()


async def test_after_a_reset_sending_is_a_broken_pipe(pair: Pair, autojump_clock: MockClock) -> None:
    """As on Linux: ECONNRESET once, to whoever calls first, then EPIPE."""
    client, server = await connected(pair)
    client.abort()
    await trio.sleep(1)
    causes = []
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError) as caught:
            await server.send_all(b"x")
        causes.append(type(caught.value.__cause__))
    assert causes == [ConnectionResetError, BrokenPipeError]
    await server.aclose()


@pytest.mark.parametrize(("drops", "error"), [(True, TimeoutError), (False, OSError)])
async def test_a_peer_that_goes_silent_ends_in_what_was_heard_of_it(
    pair: Pair, autojump_clock: MockClock, drops: bool, error: type[OSError]
) -> None:
    """A quarter of an hour without an answer is ETIMEDOUT; EHOSTUNREACH where ARP has failed meanwhile."""
    client, server = await connected(pair)
    if drops:
        pair.b.netns.netfilter.restore("*filter\n:INPUT DROP\nCOMMIT\n")
    else:
        pair.b.netns.links["eth0"].set_up(False)
    await client.send_all(b"x")
    with pytest.raises(trio.BrokenResourceError) as caught:
        await client.receive_some()
    assert isinstance(caught.value.__cause__, error)
    assert caught.value.__cause__.errno == (errno.ETIMEDOUT if drops else errno.EHOSTUNREACH)
    assert 900 < trio.current_time() < 1100
    await server.aclose()


async def test_closing_wakes_a_receiver(pair: Pair, autojump_clock: MockClock) -> None:
    client, server = await connected(pair)

    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await client.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.sleep(0.1)
        await client.aclose()
    await server.aclose()


async def test_two_tasks_in_one_method_are_refused(pair: Pair, autojump_clock: MockClock) -> None:
    client, server = await connected(pair)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(_receive_until_closed, client))
        await trio.sleep(0.1)
        with pytest.raises(trio.BusyResourceError):
            await client.receive_some()
        await client.aclose()
    await server.aclose()


async def _receive_until_closed(stream: TcpStream) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()


async def test_serve_listeners_and_h11_like_code_run_on_it(pair: Pair, autojump_clock: MockClock) -> None:
    async def echo(stream: trio.abc.HalfCloseableStream) -> None:
        async with stream:
            while data := await stream.receive_some():
                await stream.send_all(data.upper())

    async with trio.open_nursery() as nursery:
        listener = await pair.b.open_tcp_listener(7)
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        for _ in range(50):
            async with await pair.a.open_tcp_stream("10.0.0.2", 7) as stream:
                await stream.send_all(b"hello")
                await stream.send_eof()
                assert await _read_all(stream) == b"HELLO"
        nursery.cancel_scope.cancel()


async def _read_all(stream: trio.abc.ReceiveStream) -> bytes:
    data = b""
    while more := await stream.receive_some():
        data += more
    return data
