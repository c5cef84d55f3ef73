from __future__ import annotations

import errno

import pytest

from emulator.kernel.drop import DropReason
from emulator.packet.address import ipv4_to_int

from .socket_world import CLIENT, SERVER, World

SERVER_INT = ipv4_to_int(SERVER)


def test_an_echo_comes_back_with_what_ping_prints() -> None:
    world = World()
    socket = world.client.sockets.ping()
    socket.send_echo(SERVER_INT, 7, b"0123456789" * 5 + b"abcdef")
    world.run()
    reply = socket.receive()
    assert reply is not None
    assert (reply.source, reply.sequence, reply.ttl, reply.size, reply.error) == (SERVER, 7, 64, 64, None)
    assert reply.payload == b"0123456789" * 5 + b"abcdef"
    assert socket.receive() is None


def test_each_socket_hears_its_own_replies() -> None:
    world = World()
    one, other = world.client.sockets.ping(), world.client.sockets.ping()
    assert one.identifier != other.identifier
    one.send_echo(SERVER_INT, 1, b"")
    world.run()
    assert one.readable
    assert not other.readable


def test_an_identifier_is_taken_once() -> None:
    sockets = World().client.sockets
    sockets.ping(77).close()
    sockets.ping(77)
    with pytest.raises(OSError, match="Address already in use"):
        sockets.ping(77)


def test_nobody_answers_arp() -> None:
    world = World()
    socket = world.client.sockets.ping()
    socket.send_echo(ipv4_to_int("10.0.0.9"), 3, b"x")
    world.run(5)
    reply = socket.receive()
    assert reply is not None
    assert reply.error is not None
    assert (reply.sequence, reply.source, reply.error.errno, reply.error.type, reply.error.code) == (
        3,
        CLIENT,
        errno.EHOSTUNREACH,
        3,
        1,
    )


def test_what_the_mtu_forbids_is_refused() -> None:
    socket = World().client.sockets.ping()
    with pytest.raises(OSError, match="Message too long"):
        socket.send_echo(SERVER_INT, 1, bytes(1473), dont_fragment=True)


@pytest.mark.parametrize("size", [1472, 1473, 65_507])
def test_large_echoes_come_back(size: int) -> None:
    world = World()
    socket = world.client.sockets.ping()
    socket.send_echo(SERVER_INT, 1, bytes(size))
    world.run()
    reply = socket.receive()
    assert reply is not None
    assert reply.size == size + 8


def test_a_reply_after_close_is_dropped() -> None:
    world = World()
    socket = world.client.sockets.ping()
    socket.send_echo(SERVER_INT, 1, b"x")
    socket.close()
    world.run()
    assert world.client.drops[DropReason.NO_SOCKET] == 1
