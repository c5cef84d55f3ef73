"""SCTP for trio: messages that wait, errors as programs get them, and the end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.runtime.conftest import Pair


async def test_messages_cross_and_the_end_is_seen(pair: Pair, autojump_clock: MockClock) -> None:
    listener = pair.b.open_sctp_listener(9000)
    async with await pair.a.open_sctp("10.0.0.2", 9000) as client:
        server = await listener.accept()
        assert server.remote_address == client.local_address
        await client.send(b"question", 3, ppid=7)
        message = await server.receive()
        assert (message.payload, message.stream, message.ppid) == (b"question", 3, 7)
        await server.send(b"answer")
        assert (await client.receive()).payload == b"answer"
        await server.send_eof()
        assert (await client.receive()).payload == b""
    await server.aclose()
    await listener.aclose()


async def test_a_full_buffer_makes_the_sender_wait(pair: Pair, autojump_clock: MockClock) -> None:
    listener = pair.b.open_sctp_listener(9000)
    client = await pair.a.open_sctp("10.0.0.2", 9000)
    server = await listener.accept()
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(60):
            await client.send(bytes(10_000))
            sent += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.sleep(10)
        assert 0 < sent < 60
        for _ in range(60):
            assert len((await server.receive()).payload) == 10_000
    assert sent == 60


async def test_errors_are_those_of_linux(pair: Pair, autojump_clock: MockClock) -> None:
    listener = pair.b.open_sctp_listener(9000)
    with pytest.raises(ConnectionRefusedError):
        await pair.a.open_sctp("10.0.0.2", 9001)
    with pytest.raises(OSError, match="unreachable"):
        await pair.a.open_sctp("192.0.2.1", 9000)
    client = await pair.a.open_sctp("10.0.0.2", 9000)
    server = await listener.accept()
    server.socket.abort()
    with pytest.raises(ConnectionResetError):
        await client.receive()
    with pytest.raises(BrokenPipeError):
        await client.send(b"x")


async def test_closing_a_listener_wakes_who_waits(pair: Pair, autojump_clock: MockClock) -> None:
    listener = pair.b.open_sctp_listener(9000)

    async def accept() -> None:
        with pytest.raises(OSError, match="Invalid argument"):
            await listener.accept()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await trio.testing.wait_all_tasks_blocked()
        await listener.aclose()


async def test_a_cancelled_connect_leaves_nothing(pair: Pair, autojump_clock: MockClock) -> None:
    with trio.move_on_after(0.5):
        await pair.a.open_sctp("10.0.0.99", 9000)
    assert pair.a.netns.sockets.listing() == []
