import errno

import pytest
import trio
from trio.testing import MockClock

from tests.runtime.conftest import Pair


async def test_datagrams_cross_and_name_their_sender(pair: Pair, autojump_clock: MockClock) -> None:
    with pair.a.open_udp() as a, pair.b.open_udp(53) as b:
        await a.send_to(b"question", ("10.0.0.2", 53))
        datagram = await b.receive()
        assert (datagram.payload, datagram.source) == (b"question", ("10.0.0.1", a.local_address[1]))
        await b.send_to(b"answer", datagram.source)
        assert (await a.receive()).payload == b"answer"


async def test_connected_socket_hears_of_a_closed_port(pair: Pair, autojump_clock: MockClock) -> None:
    with pair.a.open_udp() as endpoint:
        endpoint.connect(("10.0.0.2", 9))
        await endpoint.send_to(b"x")
        with pytest.raises(ConnectionRefusedError):
            await endpoint.receive()


async def test_port_in_use(pair: Pair, autojump_clock: MockClock) -> None:
    with pair.a.open_udp(53), pytest.raises(OSError, match="Address already in use") as caught:
        pair.a.open_udp(53)
    assert caught.value.errno == errno.EADDRINUSE


async def test_error_reports_wake_a_waiter(pair: Pair, autojump_clock: MockClock) -> None:
    with pair.a.open_udp() as endpoint:
        await endpoint.send_to(b"x", ("10.0.0.2", 33434))
        with trio.fail_after(1):
            await endpoint.wait_readable()
        assert endpoint.socket.errors[0].offender == "10.0.0.2"


async def test_echo_request_is_answered(pair: Pair, autojump_clock: MockClock) -> None:
    with pair.a.open_ping() as endpoint:
        endpoint.send_echo("10.0.0.2", 1, b"payload")
        reply = await endpoint.receive()
        assert (reply.source, reply.sequence, reply.ttl, reply.size) == ("10.0.0.2", 1, 64, 15)


async def test_closing_wakes_a_receiver(pair: Pair, autojump_clock: MockClock) -> None:
    endpoint = pair.a.open_udp()

    async def receive() -> None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            await endpoint.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.sleep(0.1)
        endpoint.close()
