"""Whole transfers over a wire that loses, repeats, delays and reorders; each story is played from its seed."""

from __future__ import annotations

import errno
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.kernel.tcp.state import State
from tests.kernel.socket_world import SERVER, Unreliable

from .story import BEARABLE, PORT, Side, draw, play, remaining, tell

SEEDS = 40  # of the stories that `scripts/tcp-seeds` plays 1,000 of


@pytest.mark.parametrize("first", range(1, SEEDS, 10))
def test_the_stories_of_seeds(first: int) -> None:
    for seed in range(first, first + 10):
        tell(seed)  # it asserts; `scripts/tcp-seeds --seed N` plays one again


@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.35]),
    duplicate=st.sampled_from([0.0, 0.05, 0.3]),
    jitter=st.sampled_from([0.0, 0.002, 0.05]),
    sizes=st.tuples(st.integers(0, 60_000), st.integers(0, 60_000)),
    sack=st.booleans(),
    timestamps=st.booleans(),
)
@example(seed=0, loss=0.0, duplicate=0.0, jitter=0.0, sizes=(0, 0), sack=True, timestamps=True)
@settings(max_examples=40, deadline=None)
def test_every_transfer_arrives_whole_or_fails_rightly(
    seed: int, loss: float, duplicate: float, jitter: float, sizes: tuple[int, int], sack: bool, timestamps: bool
) -> None:
    wire = Unreliable(seed, loss=loss, duplicate=duplicate, jitter=jitter)
    for netns in (wire.client, wire.server):
        netns.sysctl.set("net.ipv4.tcp_sack", int(sack))
        netns.sysctl.set("net.ipv4.tcp_timestamps", int(timestamps))
    source = random.Random(seed)
    there, back = source.randbytes(sizes[0]), source.randbytes(sizes[1])
    client, server = Side(there, source.randrange(1, 9000)), Side(back, source.randrange(1, 9000))
    play(wire, client, server)
    if loss <= BEARABLE:
        assert client.error is None
        assert server.error is None
    if client.error is None and server.error is None:
        assert (bytes(server.received), bytes(client.received)) == (there, back)
        assert remaining(wire) == []
        return
    # So much was lost that one side gave up; it says so, and nothing that arrived is wrong.
    assert there.startswith(bytes(server.received))
    assert back.startswith(bytes(client.received))
    errors = {error.errno for error in (client.error, server.error) if error is not None}
    assert errors <= {errno.ETIMEDOUT, errno.ECONNRESET}
    assert set(remaining(wire)) <= {"FIN-WAIT-2"}  # of a program that waits for a peer that gave up


def test_a_seed_replays_exactly() -> None:
    assert draw(5) == draw(5)
    assert tell(5) == tell(5)
    assert tell(5).moments != tell(6).moments


def test_a_dead_wire_ends_in_an_error_on_the_side_that_sends() -> None:
    wire = Unreliable(1, loss=0.0, duplicate=0.0, jitter=0.0)
    listener = wire.server.sockets.listen(("0.0.0.0", PORT))
    socket = wire.client.sockets.connect((SERVER, PORT))
    wire.settle()
    while socket.connecting:
        wire.step()
    wire.cut = True
    socket.send(b"into the void")
    wire.settle()
    while wire.step() and socket.state is not State.CLOSED:
        assert wire.now < 2000
    assert isinstance(socket.error, TimeoutError)
    assert listener.readable
