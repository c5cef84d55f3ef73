"""TCP between two namespaces: ICMP errors, traces, wake-ups, and what the namespace does as a whole."""

from __future__ import annotations

import errno

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.netns import Netns
from emulator.kernel.tcp.connection import TcpSocket
from emulator.kernel.trace import StepKind
from tests.kernel.socket_world import CLIENT, SERVER, World


def pair(world: World) -> tuple[TcpSocket, TcpSocket]:
    listener = world.server.sockets.listen(("0.0.0.0", 80))
    client = world.client.sockets.connect((SERVER, 80))
    world.run()
    server = listener.accept()
    assert server is not None
    return client, server


def test_bytes_go_both_ways_and_the_end_is_seen() -> None:
    world = World()
    client, server = pair(world)
    assert client.remote_address == server.local_address == (SERVER, 80)
    assert client.send(b"ping") == 4
    world.run()
    assert server.receive(10) == b"ping"
    server.send(b"pong")
    server.close()
    world.run()
    assert client.receive(2) == b"po"
    assert client.receive(10) == b"ng"
    assert client.receive(10) == b""
    client.close()
    world.run()
    rows = [row.state for row in (*world.client.sockets.listing(), *world.server.sockets.listing())]
    assert rows == ["LISTEN", "TIME-WAIT"]
    world.run(61)
    assert [row.state for row in world.server.sockets.listing()] == ["LISTEN"]


def test_nobody_listens() -> None:
    world = World()
    socket = world.client.sockets.connect((SERVER, 80))
    world.run()
    assert isinstance(socket.error, ConnectionRefusedError)
    assert world.server.drops[DropReason.NO_SOCKET] == 1


def test_nobody_answers_arp() -> None:
    world = World()
    socket = world.client.sockets.connect(("10.0.0.77", 80))
    world.run(5)
    assert socket.error is not None
    assert socket.error.errno == errno.EHOSTUNREACH
    with pytest.raises(OSError, match="No route to host"):
        socket.receive(1)


def test_no_route() -> None:
    with pytest.raises(OSError, match="Network is unreachable"):
        World().client.sockets.connect(("192.0.2.1", 80))
    assert World().client.sockets.listing() == []


def test_a_refused_address_takes_no_port() -> None:
    world = World()
    for _ in range(3):
        with pytest.raises(OSError, match="Network is unreachable"):
            world.client.sockets.connect(("192.0.2.1", 80), source=(CLIENT, 4000))
    world.client.sockets.connect((SERVER, 80), source=(CLIENT, 4000))


@pytest.mark.parametrize("listens", [True, False])
def test_a_traced_syn_makes_its_answer_traced_and_no_more(listens: bool) -> None:
    world = World()
    if listens:
        world.server.sockets.listen(("0.0.0.0", 80))
    socket = world.client.sockets.connect((SERVER, 80), trace=world.kernel.open_trace(9))
    world.run()
    if listens:
        socket.send(b"untraced")
        world.run()
    steps = world.kernel.take_steps()
    kinds = [(step.netns, step.kind) for step in steps if step.kind in (StepKind.SEND, StepKind.DELIVER)]
    delivered = [("server", StepKind.DELIVER)] if listens else []
    assert kinds == [("client", StepKind.SEND), *delivered, ("server", StepKind.SEND), ("client", StepKind.DELIVER)]
    assert {step.trace for step in steps} == {9}
    why = [step.detail["why"] for step in steps if step.kind is StepKind.REPLY and step.packet.startswith("IP")]
    assert why == ["TCP SYN, ACK" if listens else "TCP reset: nobody listens"]
    if not listens:
        ended = [step.kind for step in steps if step.kind in (StepKind.DROP, StepKind.REPLY, StepKind.SEND)][-3:]
        assert ended == [StepKind.DROP, StepKind.REPLY, StepKind.SEND]


def test_readers_and_writers_are_woken() -> None:
    world = World()
    listener = world.server.sockets.listen(("0.0.0.0", 80))
    woken: list[str] = []
    listener.on_wake = lambda: woken.append("listener")
    client = world.client.sockets.connect((SERVER, 80))
    client.on_wake = lambda: woken.append("client")

    def wake() -> list[str]:
        woken.clear()
        for waker in world.kernel.take_woken():
            waker.wake()
        return sorted(woken)

    world.run()
    assert wake() == ["client", "listener"]
    server = listener.accept()
    assert server is not None
    server.on_wake = lambda: woken.append("server")
    client.send(b"x")
    world.run()
    assert wake() == ["server"]
    client.close()
    wake()
    world.run()
    assert wake() == ["server"]


def test_a_megabyte_each_way_at_once() -> None:
    world = World()
    client, server = pair(world)
    data = bytes(index * 7 & 0xFF for index in range(1 << 20))
    sent = {client: 0, server: 0}
    received = {client: bytearray(), server: bytearray()}
    for _ in range(500):
        for socket in (client, server):
            sent[socket] += socket.send(memoryview(data)[sent[socket] : sent[socket] + 65_536])
            while (chunk := socket.receive(65_536)) is not None:
                received[socket] += chunk
        world.run(0.0005)
    assert received[client] == received[server] == data


@pytest.mark.parametrize("mtu", [576, 1500, 9000])
def test_segments_fill_the_mtu(mtu: int) -> None:
    world = World(mtu=mtu)
    client, server = pair(world)
    sizes: list[tuple[int, int]] = []
    world.far.taps.append(lambda _link, _way, skb: sizes.append((len(skb.data), skb.gso_size)))
    client.send(bytes(30_000))
    world.run(1)
    assert server.rx.size == 30_000
    segment = mtu - 20 - 20 - 12
    assert {gso_size for _, gso_size in sizes} - {0} == {segment}
    assert max(size for size, gso_size in sizes if not gso_size) <= mtu + 14
    assert next(each for each in sizes if each[1]) == (
        66 + min(10 * segment, 30_000),
        segment,
    )  # all that the first window allows, in one frame


def test_loopback_uses_its_large_mtu() -> None:
    world = World()
    listener = world.server.sockets.listen(("127.0.0.1", 80))
    client = world.server.sockets.connect(("127.0.0.1", 80))
    world.run()
    assert client.mss == 65_535 - 40 - 12
    client.send(bytes(200_000))
    world.run(1)
    server = listener.accept()
    assert server is not None
    assert server.rx.size == 200_000


def test_a_vanished_route_is_waited_for() -> None:
    world = World()
    client, server = pair(world)
    world.near.set_up(False)
    client.send(b"patience")
    world.run(3)
    world.near.set_up(True)
    world.run(5)
    assert server.receive(100) == b"patience"


def test_a_closed_namespace_ends_its_programs_sockets() -> None:
    world = World()
    client, _ = pair(world)
    world.client.sockets.close()
    with pytest.raises(OSError, match="Network is down"):
        client.send(b"x")


def test_two_namespaces_of_one_machine_keep_apart() -> None:
    world = World()
    other = Netns(world.kernel, "other")
    world.server.sockets.listen(("0.0.0.0", 80))
    other.sockets.listen(("0.0.0.0", 80))
    assert len(other.sockets.listing()) == 1


def test_close_while_connecting_sends_nothing_more() -> None:
    world = World()
    socket = world.client.sockets.connect(("10.0.0.77", 80))
    socket.close()
    assert world.client.sockets.listing() == []
    world.run(200)


def test_a_hundred_connections_come_and_go_without_a_trace() -> None:
    world = World()
    listener = world.server.sockets.listen(("0.0.0.0", 80), 2000)
    clients = [world.client.sockets.connect((SERVER, 80)) for _ in range(100)]
    world.run()
    for client in clients:
        server = listener.accept()
        assert server is not None
        client.send(b"q")
        client.close()
        world.run()
        assert server.receive(10) == b"q"
        server.close()
    world.run(61)
    assert world.client.sockets.listing() == []
    assert [row.state for row in world.server.sockets.listing()] == ["LISTEN"]
    for tcp in (world.client.sockets._tcp, world.server.sockets._tcp):
        assert tcp.connections == {}
