from __future__ import annotations

import errno

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.route import Route
from emulator.kernel.skb import Skb
from emulator.kernel.trace import StepKind
from emulator.packet.address import ipv4_to_int

from .socket_world import CLIENT, MAC_SERVER, SERVER, World


def test_a_datagram_arrives_with_its_addresses_and_the_answer_comes_back() -> None:
    world = World()
    server = world.server.sockets.udp()
    server.bind(("0.0.0.0", 53))
    client = world.client.sockets.udp()
    client.send_to(b"question", (SERVER, 53))
    world.run()
    datagram = server.receive()
    assert datagram is not None
    assert (datagram.payload, datagram.source[0], datagram.destination, datagram.ttl) == (
        b"question",
        CLIENT,
        (SERVER, 53),
        64,
    )
    assert datagram.source[1] == client.local_address[1]
    assert 32768 <= datagram.source[1] <= 60999
    server.send_to(b"answer", datagram.source)
    world.run()
    answer = client.receive()
    assert answer is not None
    assert answer.payload == b"answer"
    assert client.receive() is None


@pytest.mark.parametrize("size", [0, 1, 1472, 1473, 65_507])
def test_every_size_arrives(size: int) -> None:
    world = World()
    server = world.server.sockets.udp()
    server.bind((SERVER, 9))
    payload = bytes(index & 0xFF for index in range(size))
    world.client.sockets.udp().send_to(payload, (SERVER, 9))
    world.run()
    datagram = server.receive()
    assert datagram is not None
    assert datagram.payload == payload


def test_too_large_is_refused() -> None:
    world = World()
    socket = world.client.sockets.udp()
    with pytest.raises(OSError, match="Message too long") as caught:
        socket.send_to(bytes(65_508), (SERVER, 9))
    assert caught.value.errno == errno.EMSGSIZE
    with pytest.raises(OSError, match="Message too long"):
        socket.send_to(bytes(1473), (SERVER, 9), dont_fragment=True)


def test_no_route_is_an_error_at_once() -> None:
    with pytest.raises(OSError, match="Network is unreachable"):
        World().client.sockets.udp().send_to(b"x", ("192.0.2.1", 9))


def test_nobody_there_refuses_a_connected_socket_once() -> None:
    world = World()
    socket = world.client.sockets.udp()
    socket.connect((SERVER, 9))
    socket.send_to(b"x")
    world.run()
    assert socket.readable
    with pytest.raises(ConnectionRefusedError):
        socket.receive()
    assert socket.receive() is None
    assert world.server.drops[DropReason.NO_SOCKET] == 1


def test_nobody_there_is_told_to_an_unconnected_socket_beside() -> None:
    world = World()
    socket = world.client.sockets.udp()
    socket.send_to(b"x", (SERVER, 9))
    world.run()
    assert socket.receive() is None
    (report,) = socket.errors
    assert (report.errno, report.type, report.code, report.offender, report.destination) == (
        errno.ECONNREFUSED,
        3,
        3,
        SERVER,
        (SERVER, 9),
    )


def test_an_expired_ttl_names_the_router() -> None:
    world = World()
    world.server.sysctl.set("net.ipv4.ip_forward", 1)
    world.client.fib.add(Route(0, 0, link=world.near, gateway=ipv4_to_int(SERVER)))
    world.server.fib.add(Route(0, 0, link=world.far, gateway=ipv4_to_int("10.0.0.9")))
    socket = world.client.sockets.udp()
    socket.send_to(b"x", ("192.0.2.9", 33434), ttl=1)
    world.run()
    (report,) = socket.errors
    assert (report.type, report.offender, report.destination) == (11, SERVER, ("192.0.2.9", 33434))


def test_a_connected_socket_hears_its_peer_alone() -> None:
    world = World()
    server = world.server.sockets.udp()
    server.bind((SERVER, 9))
    friend, stranger = world.client.sockets.udp(), world.client.sockets.udp()
    friend.bind((CLIENT, 1000))
    server.connect((CLIENT, 1000))
    stranger.send_to(b"stranger", (SERVER, 9))
    friend.send_to(b"friend", (SERVER, 9))
    world.run()
    datagram = server.receive()
    assert datagram is not None
    assert datagram.payload == b"friend"
    assert server.receive() is None


def test_the_specific_address_goes_before_the_wildcard() -> None:
    world = World()
    wildcard, specific = world.server.sockets.udp(), world.server.sockets.udp()
    for socket in (wildcard, specific):
        socket.reuse_address = True
    specific.bind((SERVER, 9))
    wildcard.bind(("0.0.0.0", 9))
    world.client.sockets.udp().send_to(b"x", (SERVER, 9))
    world.run()
    assert specific.readable
    assert not wildcard.readable


@pytest.mark.parametrize(("size", "taken"), [(1, 256), (500, 166), (1400, 92), (8000, 12), (60_000, 3)])
def test_a_full_receive_buffer_drops_and_counts(size: int, taken: int) -> None:
    """As many as Linux 6.18 took, counted over its loopback link."""
    world = World()
    server = world.server.sockets.udp()
    server.bind((SERVER, 9))
    client = world.client.sockets.udp()
    client.send_to(b"first", (SERVER, 9))  # the neighbour is known from here on
    world.run()
    assert server.receive() is not None
    for _ in range(300):
        world.run()
        client.send_to(bytes(size), (SERVER, 9))
    world.run()
    received = 0
    while server.receive() is not None:
        received += 1
    assert received == taken
    assert world.server.drops[DropReason.SOCKET_RCVBUFF] == 300 - received
    client.send_to(b"x", (SERVER, 9))
    world.run()
    assert server.receive() is not None


def test_a_wrong_checksum_is_dropped_and_none_is_taken() -> None:
    world = World()
    server = world.server.sockets.udp()
    server.bind((SERVER, 9))
    for checksum in (b"\x12\x34", b"\x00\x00"):
        segment = b"\x03\xe8\x00\x09\x00\x09" + checksum + b"x"
        ip = world.client.ip.build(17, segment, ipv4_to_int(CLIENT), ipv4_to_int(SERVER), 64)
        frame = bytearray(ip.data)
        frame[0:14] = MAC_SERVER.to_bytes(6, "big") + bytes((2, 0, 0, 0, 0, 1)) + b"\x08\x00"
        world.kernel.enqueue(world.far, Skb(frame))
    world.run()
    assert world.server.drops[DropReason.UDP_CSUM] == 1
    assert server.receive() is not None
    assert server.receive() is None


def test_a_trace_goes_with_the_datagram_and_its_answer() -> None:
    world = World()
    server = world.server.sockets.udp()
    server.bind((SERVER, 9))
    client = world.client.sockets.udp()
    trace = world.kernel.open_trace(7)
    client.send_to(b"x", (SERVER, 9), trace=trace)
    world.run()
    datagram = server.receive()
    assert datagram is not None
    assert datagram.trace is trace
    server.send_to(b"y", datagram.source, trace=datagram.trace)
    world.run()
    delivered = [step for step in world.kernel.take_steps() if step.kind is StepKind.DELIVER]
    assert [step.netns for step in delivered] == ["server", "client"]
    assert all(step.detail["protocol"] == "udp" for step in delivered)


def test_closed_sockets_say_so_and_free_their_port() -> None:
    world = World()
    socket = world.server.sockets.udp()
    socket.bind((SERVER, 9))
    socket.close()
    socket.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        socket.receive()
    world.server.sockets.udp().bind((SERVER, 9))


def test_a_socket_is_woken_once_for_many_datagrams() -> None:
    world = World()
    server = world.server.sockets.udp()
    server.bind((SERVER, 9))
    client = world.client.sockets.udp()
    for _ in range(3):
        client.send_to(b"x", (SERVER, 9))
    world.run()
    woken: list[str] = []
    server.on_wake = lambda: woken.append("server")
    for waker in world.kernel.take_woken():
        waker.wake()
    assert woken == ["server"]


def test_a_traced_error_ends_at_the_socket_that_it_is_for() -> None:
    world = World()
    client = world.client.sockets.udp()
    client.connect((SERVER, 9))
    client.send_to(b"x", trace=world.kernel.open_trace(7))
    world.run()
    last = world.kernel.take_steps()[-1]
    assert (last.kind, last.netns) == (StepKind.DELIVER, "client")
    assert last.detail == {"protocol": "udp", "socket": str(client)}
