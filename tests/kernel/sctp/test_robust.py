"""A wire that loses, repeats and reorders; packets that are none; cookies that are forged or old."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel.sctp.cookie import Cookie, unseal
from emulator.kernel.sctp.state import State
from emulator.packet.sctp import Chunk, ChunkType, SctpHeader
from tests.kernel.sctp.test_association import PORT, pair, payloads
from tests.kernel.socket_world import CLIENT, SERVER, Unreliable, World

KEY = (1, 2)
COOKIE = Cookie(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13.5)


@pytest.mark.parametrize("seed", range(12))
def test_every_message_arrives_once_and_in_order(seed: int) -> None:
    wire = Unreliable(seed, loss=(0.0, 0.05, 0.2)[seed % 3], duplicate=0.1, jitter=0.02)
    source = random.Random(seed)
    messages = [source.randbytes(source.choice([1, 100, 1400, 5000])) for _ in range(60)]
    listener = wire.server.sockets.sctp.listen(("0.0.0.0", PORT))
    client = wire.client.sockets.sctp.connect((SERVER, PORT))
    wire.settle()
    server = None
    sent, received = 0, list[bytes]()
    while wire.step() and wire.now < 2000:
        server = server or listener.accept()
        while sent < len(messages) and client.send(messages[sent]):
            sent += 1
        if sent == len(messages) and client.state is State.ESTABLISHED:
            client.shutdown()
        if server is not None:
            received += payloads(server)
        wire.settle()
    assert received == messages
    assert client.error is None
    assert (client.state, server.state if server else None) == (State.CLOSED, State.CLOSED)


@given(st.binary(max_size=100), st.booleans(), st.booleans())
def test_any_bytes_in_any_state(data: bytes, right_tag: bool, chunk: bool) -> None:
    world = World()
    client, server = pair(world)
    tag = client.own_tag if right_tag else 5
    packet = bytearray(SctpHeader(PORT, client.lport, tag).build([]))
    packet += Chunk(data[0] % 16, data[-1], data[1:-1]).build() if chunk and data else data
    from emulator.packet.sctp import fill_checksum

    fill_checksum(packet)
    world.server.ip.output(132, packet, daddr=client.laddr, saddr=server.laddr)
    world.run(400)  # no exception in the kernel (asserted by `run`)


@given(st.integers(0, len(COOKIE.seal(KEY)) - 1), st.integers(1, 255))
def test_a_changed_cookie_is_none(position: int, change: int) -> None:
    sealed = bytearray(COOKIE.seal(KEY))
    assert unseal(bytes(sealed), KEY) == COOKIE
    sealed[position] ^= change
    assert unseal(bytes(sealed), KEY) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_no_cookie(data: bytes) -> None:
    assert unseal(data, KEY) is None


def test_a_stale_cookie_is_refused_and_the_handshake_begins_anew() -> None:
    world = World()
    listener = world.server.sockets.sctp.listen(("0.0.0.0", PORT))
    client = world.client.sockets.sctp.connect((SERVER, PORT))
    world.client.netfilter.restore("*filter\n:OUTPUT ACCEPT\n-A OUTPUT -p sctp -j DROP\nCOMMIT\n")  # lose its cookie
    world.run(70)
    assert client.state is State.COOKIE_ECHOED
    world.client.netfilter.restore("*filter\n:OUTPUT ACCEPT\nCOMMIT\n")
    world.run(120)
    assert client.state is State.ESTABLISHED
    assert listener.readable


def test_a_wrong_tag_ends_nothing() -> None:
    world = World()
    client, server = pair(world)
    for chunk in (Chunk(ChunkType.ABORT), Chunk(ChunkType.ABORT, 1), Chunk(ChunkType.SHUTDOWN_ACK)):
        packet = SctpHeader(PORT, client.lport, 12345).build([chunk])
        world.server.ip.output(132, packet, daddr=client.laddr, saddr=server.laddr)
    world.run()
    assert client.state is State.ESTABLISHED
    assert str(client) == f"sctp {CLIENT}:{client.lport} {SERVER}:{PORT}"
