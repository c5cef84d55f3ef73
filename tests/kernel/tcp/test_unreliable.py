"""Whole transfers over a wire that loses, repeats, delays and reorders; each story is played from its seed."""

from __future__ import annotations

import errno
import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.kernel.tcp.connection import TcpSocket
from emulator.kernel.tcp.state import State
from tests.kernel.socket_world import SERVER, Unreliable

PORT = 80
BEARABLE = 0.05  # a share of losses at which no connection fails


class Side:
    """A program that sends `data`, closes its half, reads to the end, and keeps the socket until all is acknowledged.

    (Closed before that, Linux would give up on the rest after 8 repetitions: tcp_orphan_retries.)
    """

    def __init__(self, data: bytes, chunk: int) -> None:
        self.socket: TcpSocket | None = None
        self.received = bytearray()
        self.error: OSError | None = None
        self.done = False
        self._data = memoryview(data)
        self._chunk = chunk
        self._shut = False
        self._ended = False

    def act(self) -> None:
        """Do what can be done now."""
        socket = self.socket
        if socket is None or self.done or socket.connecting:
            return
        try:
            self._send(socket)
            while (data := socket.receive(self._chunk)) is not None:
                self.received += data
                if not data:
                    self._ended = True
                    break
        except OSError as error:
            self.error = error
        if self.error is not None or (self._ended and self._shut and not socket.unacknowledged):
            self.done = True
            socket.close()

    def _send(self, socket: TcpSocket) -> None:
        while self._data and (taken := socket.send(self._data[: self._chunk])):
            self._data = self._data[taken:]
        if not self._data and not self._shut:
            self._shut = True
            socket.shutdown()


def play(wire: Unreliable, client: Side, server: Side, limit: float = 40_000.0) -> None:
    """Let both programs run until nothing more happens."""
    listener = wire.server.sockets.listen(("0.0.0.0", PORT))
    client.socket = wire.client.sockets.connect((SERVER, PORT))
    wire.settle()
    while wire.step() and wire.now < limit:
        if server.socket is None:
            server.socket = listener.accept()
        client.act()
        server.act()
        wire.settle()


def remaining(wire: Unreliable) -> list[str]:
    rows = wire.client.sockets.listing() + wire.server.sockets.listing()
    return [row.state for row in rows if row.state != "LISTEN"]


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


def story(seed: int) -> list[float]:
    """The moments at which one lossy transfer moved on."""
    wire = Unreliable(seed, loss=0.1, duplicate=0.1, jitter=0.01)
    listener = wire.server.sockets.listen(("0.0.0.0", PORT))
    client, server = Side(bytes(50_000), 5000), Side(b"", 5000)
    client.socket = wire.client.sockets.connect((SERVER, PORT))
    wire.settle()
    times = []
    while wire.step() and wire.now < 1000:
        times.append(wire.now)
        if server.socket is None:
            server.socket = listener.accept()
        client.act()
        server.act()
        wire.settle()
    return times


def test_a_seed_replays_exactly() -> None:
    assert story(5) == story(5)
    assert story(5) != story(6)


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
