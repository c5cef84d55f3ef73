"""Associations between two namespaces: handshake, messages, errors as programs get them, and the end."""

from __future__ import annotations

import errno

import pytest

from emulator.kernel.sctp import timeouts
from emulator.kernel.sctp.association import SctpSocket
from emulator.kernel.sctp.inbound import Message
from emulator.kernel.sctp.state import State
from emulator.packet.sctp import ChunkType, parse_chunks
from tests.kernel.socket_world import CLIENT, SERVER, World

PORT = 9000


def pair(world: World) -> tuple[SctpSocket, SctpSocket]:
    listener = world.server.sockets.sctp.listen(("0.0.0.0", PORT))
    client = world.client.sockets.sctp.connect((SERVER, PORT))
    world.run()
    server = listener.accept()
    assert server is not None
    return client, server


def chunk_names(world: World) -> list[str]:
    """The chunks that cross the cable from now on, in order, as > and <."""
    names: list[str] = []
    for link, sign in ((world.near, ">"), (world.far, "<")):

        def tap(_link: object, way: str, skb: object, sign: str = sign) -> None:
            data = skb.data  # type: ignore[attr-defined]
            if way == "out" and data[12:14] == b"\x08\x00" and data[23] == 132:
                names.extend(sign + ChunkType(chunk.type).name for chunk in parse_chunks(data, 34))

        link.taps.append(tap)
    return names


def payloads(socket: SctpSocket) -> list[bytes]:
    """All messages that are there now."""
    found = []
    while (message := socket.receive()) is not None and message.payload:
        found.append(message.payload)
    return found


def test_four_packets_make_an_association_and_three_end_it() -> None:
    world = World()
    names = chunk_names(world)
    client, server = pair(world)
    assert names == [">INIT", "<INIT_ACK", ">COOKIE_ECHO", "<COOKIE_ACK"]
    assert (client.state, server.state) == (State.ESTABLISHED, State.ESTABLISHED)
    assert server.remote_address == (CLIENT, client.lport)
    del names[:]
    client.close()
    world.run(1)
    assert names == [">SHUTDOWN", "<SHUTDOWN_ACK", ">SHUTDOWN_COMPLETE"]
    assert server.receive() == Message(b"", 0, 0, unordered=False)
    assert [row.state for row in world.server.sockets.listing()] == ["LISTEN"]
    assert world.client.sockets.listing() == []


def test_messages_keep_their_bounds_streams_and_protocol_identifiers() -> None:
    world = World()
    client, server = pair(world)
    large = bytes(range(256)) * 40
    client.send(b"one", 1, ppid=7)
    client.send(large, 2)
    client.send(b"soon", 0, unordered=True)
    world.run(1)
    found = [server.receive() for _ in range(3)]
    assert found == [
        Message(b"one", 1, 7, unordered=False),
        Message(large, 2, 0, unordered=False),
        Message(b"soon", 0, 0, unordered=True),
    ]
    assert server.receive() is None
    assert client.outbound.empty


def test_a_shutdown_waits_until_all_has_arrived_and_the_other_side_may_still_send() -> None:
    world = World()
    client, server = pair(world)
    for number in range(20):
        assert client.send(bytes([number]) * 2000)
    server.send(b"still on its way")
    client.shutdown()
    with pytest.raises(BrokenPipeError):
        client.send(b"late")
    world.run(5)
    assert payloads(server) == [bytes([number]) * 2000 for number in range(20)]
    assert payloads(client) == [b"still on its way"]
    assert (client.state, server.state) == (State.CLOSED, State.CLOSED)


def test_a_closed_port_refuses_and_a_machine_without_sctp_has_no_such_protocol() -> None:
    world = World()
    _ = world.server.sockets.sctp
    client = world.client.sockets.sctp.connect((SERVER, PORT))
    world.run()
    assert isinstance(client.error, ConnectionRefusedError)
    world = World()
    client = world.client.sockets.sctp.connect((SERVER, PORT))
    world.run()
    assert client.error is not None
    assert client.error.errno == errno.ENOPROTOOPT


def test_a_peer_that_never_answers_is_given_up() -> None:
    world = World()
    world.server.netfilter.restore("*filter\n:INPUT ACCEPT\n-A INPUT -p sctp -j DROP\nCOMMIT\n")
    names = chunk_names(world)
    client = world.client.sockets.sctp.connect((SERVER, PORT))
    world.run(1000)
    assert isinstance(client.error, TimeoutError)
    assert names == [">INIT"] * (1 + timeouts.MAXIMUM_INITS)


def test_an_abort_is_a_reset_for_the_other_side() -> None:
    world = World()
    client, server = pair(world)
    client.abort()
    world.run()
    with pytest.raises(ConnectionResetError):
        server.receive()
    with pytest.raises(BrokenPipeError):
        server.send(b"x")


def test_closing_with_unread_messages_aborts() -> None:
    world = World()
    client, server = pair(world)
    client.send(b"never read")
    world.run()
    server.close()
    world.run()
    assert isinstance(client.error, ConnectionResetError)


def test_a_peer_that_is_gone_is_found_out_by_data_and_by_heartbeats() -> None:
    for send in (True, False):
        world = World()
        client, _ = pair(world)
        world.far.set_up(False)
        if send:
            client.send(b"x")
        world.run(3000)
        assert isinstance(client.error, TimeoutError)


def test_heartbeats_keep_an_idle_association() -> None:
    world = World()
    client, server = pair(world)
    names = chunk_names(world)
    world.run(3600)
    assert (client.state, server.state) == (State.ESTABLISHED, State.ESTABLISHED)
    assert 80 < names.count(">HEARTBEAT") == names.count("<HEARTBEAT_ACK")


def test_the_peers_window_holds_the_sender_back() -> None:
    world = World()
    client, server = pair(world)
    sent = 0
    while client.send(bytes(1000)):
        sent += 1
    world.run(20)
    assert server.inbound.size <= server.inbound.limit + 1400
    assert not client.outbound.empty
    received = 0
    for _ in range(100):
        received += len(payloads(server))
        world.run(1)
    assert received == sent
    assert client.write_wanted is False


def test_both_sides_may_begin_at_once() -> None:
    world = World()
    here, there = (CLIENT, 5000), (SERVER, 6000)
    client = world.client.sockets.sctp.connect(there, here)
    server = world.server.sockets.sctp.connect(here, there)
    world.run(10)
    assert (client.state, server.state) == (State.ESTABLISHED, State.ESTABLISHED)
    client.send(b"a")
    server.send(b"b")
    world.run(1)
    assert (payloads(client), payloads(server)) == ([b"b"], [b"a"])


def test_a_peer_that_has_begun_again_takes_the_associations_place() -> None:
    world = World()
    listener = world.server.sockets.sctp.listen(("0.0.0.0", PORT))
    old = world.client.sockets.sctp.connect((SERVER, PORT), (CLIENT, 5000))
    world.run()
    server = listener.accept()
    assert server is not None
    old.detach()  # its machine has crashed
    again = world.client.sockets.sctp.connect((SERVER, PORT), (CLIENT, 5000))
    world.run(5)
    assert again.state is State.ESTABLISHED
    again.send(b"anew")
    world.run()
    assert payloads(server) == [b"anew"]


def test_inits_cost_a_listener_nothing_and_its_backlog_is_bounded() -> None:
    world = World()
    listener = world.server.sockets.sctp.listen(("0.0.0.0", PORT), backlog=1)
    clients = [world.client.sockets.sctp.connect((SERVER, PORT)) for _ in range(4)]
    world.run(1)
    assert [client.state for client in clients] == [State.ESTABLISHED] * 2 + [State.COOKIE_ECHOED] * 2
    assert len(world.server.sockets.sctp.associations) == 2
    assert listener.accept() is not None
    world.run(60)
    assert [client.state for client in clients].count(State.ESTABLISHED) == 3
    listener.close()
    world.run()
    assert [client.state for client in clients].count(State.ESTABLISHED) == 1


def test_a_narrow_path_cuts_later_messages_smaller() -> None:
    world = World()
    client, server = pair(world)
    client.set_mtu(600)
    sizes: list[int] = []
    world.near.taps.append(lambda _link, way, skb: sizes.append(len(skb.data)) if way == "out" else None)
    client.send(bytes(3000))
    world.run(1)
    assert payloads(server) == [bytes(3000)]
    assert max(sizes) <= 614


@pytest.mark.parametrize(("payload", "stream"), [(b"", 0), (b"x", 10), (b"x", -1)])
def test_what_cannot_be_sent(payload: bytes, stream: int) -> None:
    world = World()
    client, _ = pair(world)
    with pytest.raises(OSError, match="Invalid argument"):
        client.send(payload, stream)
