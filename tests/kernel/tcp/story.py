"""Stories between two machines on a bad wire: all of a story is drawn from one seed, so that a seed replays exactly.

`python -m tests.kernel.tcp.story` (`scripts/tcp-seeds`) plays 1,000 of them; `--seed N` plays one and prints it.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import random
import sys
import time
from typing import NamedTuple

from emulator.kernel.netns import Netns
from emulator.kernel.tcp.connection import TcpSocket
from tests.kernel.socket_world import SERVER, Unreliable

PORT = 80
BEARABLE = 0.05  # a share of losses at which no connection fails
LIMIT = 40_000.0  # simulated seconds after which a story that still goes on counts as stuck


class Side:
    """A program that sends `data`, closes its half, reads to the end, and keeps the socket until all is acknowledged.

    (Closed before that, Linux would give up on the rest after 8 repetitions: tcp_orphan_retries.) With `abort_after`
    it resets the connection when it has read that many bytes.
    """

    def __init__(self, data: bytes, chunk: int, abort_after: int | None = None) -> None:
        self.socket: TcpSocket | None = None
        self.received = bytearray()
        self.error: OSError | None = None
        self.done = False
        self.aborted = False
        self._data = memoryview(data)
        self._chunk = chunk
        self._abort_after = abort_after
        self._connected = False
        self._shut = False
        self._ended = False

    def act(self) -> None:
        """Do what can be done now."""
        socket = self.socket
        if socket is None or self.done or socket.connecting:
            return
        try:
            if not self._connected and socket.error is not None:
                raise socket.error  # what `connect` would raise (SO_ERROR); after that, shutdown is ENOTCONN
            self._connected = True
            self._send(socket)
            while (data := socket.receive(self._chunk)) is not None:
                self.received += data
                if not data:
                    self._ended = True
                    break
        except OSError as error:
            self.error = error
        if self._abort_after is not None and len(self.received) >= self._abort_after and self.error is None:
            self.aborted = self.done = True
            socket.abort()
        elif self.error is not None or (self._ended and self._shut and not socket.unacknowledged):
            self.done = True
            socket.close()

    def _send(self, socket: TcpSocket) -> None:
        while self._data and (taken := socket.send(self._data[: self._chunk])):
            self._data = self._data[taken:]
        if not self._data and not self._shut:
            self._shut = True
            socket.shutdown()


def play(
    wire: Unreliable, client: Side, server: Side, limit: float = LIMIT, cut_at: float | None = None
) -> list[float]:
    """Let both programs run until nothing more happens; returns the moments at which something did."""
    listener = wire.server.sockets.listen(("0.0.0.0", PORT))
    client.socket = wire.client.sockets.connect((SERVER, PORT))
    wire.settle()
    moments = []
    while wire.step() and wire.now < limit:
        moments.append(wire.now)
        wire.cut = cut_at is not None and wire.now >= cut_at
        if server.socket is None:
            server.socket = listener.accept()
        client.act()
        server.act()
        wire.settle()
    return moments


def remaining(wire: Unreliable) -> list[str]:
    """The states of the connections that are left, on both machines."""
    rows = wire.client.sockets.listing() + wire.server.sockets.listing()
    return [row.state for row in rows if row.state != "LISTEN"]


class Story(NamedTuple):
    """What a seed stands for. Shares of frames; times in seconds; sizes in bytes."""

    loss: float
    duplicate: float
    jitter: float
    delay: float
    sizes: tuple[int, int]
    sysctls: dict[str, int | str]
    cut_at: float | None
    abort_after: int | None
    whole: bool  # the wire takes frames of several segments


class Ending(NamedTuple):
    """How it ended; `moments` sums up when things happened, so that two plays of one seed can be compared."""

    simulated: float
    errors: tuple[str, ...]
    received: tuple[int, int]
    moments: str


def draw(seed: int) -> Story:
    """Draw the story of a seed."""
    source = random.Random(seed)
    options = ("tcp_sack", "tcp_timestamps", "tcp_window_scaling")
    sysctls: dict[str, int | str] = {f"net.ipv4.{name}": int(source.random() < 0.75) for name in options}
    sysctls["net.ipv4.tcp_congestion_control"] = source.choice(["reno", "cubic"])
    return Story(
        source.choice([0.0, 0.01, 0.05, 0.2, 0.35]),
        source.choice([0.0, 0.05, 0.3]),
        source.choice([0.0, 0.001, 0.01, 0.05]),
        source.choice([0.0002, 0.005, 0.05]),
        (source.choice([0, 100, 60_000, 200_000]), source.choice([0, 100, 60_000, 200_000])),
        sysctls,
        source.uniform(0.0, 2.0) if source.random() < 0.1 else None,
        source.randrange(60_000) if source.random() < 0.1 else None,
        source.random() < 0.5,
    )


def tell(seed: int) -> Ending:
    """Play a seed's story, and assert that its transfers arrived whole or failed with the right error."""
    story = draw(seed)
    source = random.Random(seed)
    wire = Unreliable(
        seed, loss=story.loss, duplicate=story.duplicate, jitter=story.jitter, delay=story.delay, whole=story.whole
    )
    for netns in (wire.client, wire.server):
        _set(netns, story.sysctls)
    there, back = source.randbytes(story.sizes[0]), source.randbytes(story.sizes[1])
    client = Side(there, source.randrange(1, 9000))
    server = Side(back, source.randrange(1, 9000), story.abort_after)
    moments = play(wire, client, server, cut_at=story.cut_at)
    assert wire.now < LIMIT, "it is stuck"
    _check(story, wire, (client, server), (there, back))
    errors = tuple(errno.errorcode[side.error.errno or 0] for side in (client, server) if side.error is not None)
    summed = hashlib.sha256(repr(moments).encode()).hexdigest()
    return Ending(wire.now, errors, (len(client.received), len(server.received)), summed)


def _set(netns: Netns, sysctls: dict[str, int | str]) -> None:
    for name, value in sysctls.items():
        netns.sysctl.set(name, value)


def _check(story: Story, wire: Unreliable, sides: tuple[Side, Side], sent: tuple[bytes, bytes]) -> None:
    client, server = sides
    assert sent[0].startswith(server.received), "the server read what was not sent"
    assert sent[1].startswith(client.received), "the client read what was not sent"
    errors = {side.error.errno for side in sides if side.error is not None}
    if not errors and not server.aborted and story.cut_at is None:
        assert (len(server.received), len(client.received)) == (len(sent[0]), len(sent[1]))
        assert remaining(wire) == []
        return
    assert story.loss > BEARABLE or server.aborted or story.cut_at is not None, "it failed without a reason"
    allowed = {errno.ETIMEDOUT, errno.ECONNRESET}
    if server.aborted:
        allowed.add(errno.EPIPE)  # the reset came behind the server's FIN
    assert errors <= allowed, errors
    for side in sides:  # who waits for ever has nothing on its way: only silence from a peer that is gone
        assert side.done or side.socket is None or not side.socket.unacknowledged
    assert set(remaining(wire)) <= {"ESTAB", "FIN-WAIT-2", "CLOSE-WAIT"}


def main() -> int:
    """Play the seeds that the arguments ask for; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(prog="tcp-seeds", description=__doc__)
    parser.add_argument("--first", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--count", type=int, default=1000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="play this one only, and print what it is")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        print(draw(arguments.seed))
        print(tell(arguments.seed))
        return 0
    started = time.monotonic()
    simulated, ended_in_error, failed = 0.0, 0, 0
    for seed in range(arguments.first, arguments.first + arguments.count):
        try:
            ending = tell(seed)
        except Exception as error:
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {error}\n  {draw(seed)}", flush=True)
            continue
        simulated += ending.simulated
        ended_in_error += bool(ending.errors)
    print(
        f"{arguments.count} seeds, {failed} failed; {ended_in_error} ended in the error that their wire calls for; "
        f"{simulated:,.0f} simulated seconds in {time.monotonic() - started:.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
