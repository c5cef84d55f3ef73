"""Bulk transfers over a TAP, both ways at once, between the emulator and `tcp_peer.py` on Linux.

`python -m tests.kernel_oracle.tcp_transfer [--megabytes 200]` (`scripts/tcp-oracle`) makes long ones, calm and
disturbed, and prints how fast they were.
"""

from __future__ import annotations

import argparse
import hashlib

import msgspec

from emulator.kernel.tcp.connection import TcpSocket
from emulator.kernel.tcp.listener import TcpListener
from tests.kernel_oracle.tap_bed import REAL, Disturbance, TapBed
from tests.kernel_oracle.tcp_peer import blocks, digest

PORT = 5001
OURS, THEIRS = 11, 12  # seeds of the bytes each way
READ = 262_144


class Program:
    """The emulator's side: sends the bytes of a seed, closes its half, and sums up what comes until the end."""

    def __init__(self, size: int) -> None:
        self.socket: TcpSocket | None = None
        self.listener: TcpListener | None = None
        self.sum = hashlib.sha256()
        self.count = 0
        self.ended = False
        self.error: OSError | None = None
        self._blocks = blocks(OURS, size)
        self._rest = memoryview(b"")
        self._shut = False

    @property
    def done(self) -> bool:
        """Whether both ways have come to their end, or the connection has failed."""
        return self.error is not None or (
            self.ended and self._shut and self.socket is not None and not self.socket.unacknowledged
        )

    def act(self) -> None:
        """Do what can be done now."""
        if self.listener is not None and self.socket is None:
            self.socket = self.listener.accept()
        if self.socket is None or self.socket.connecting or self.done:
            return
        try:
            self._send(self.socket)
            self._receive(self.socket)
        except OSError as error:
            self.error = error

    def _send(self, socket: TcpSocket) -> None:
        while not self._shut and socket.writable:
            if not self._rest:
                self._rest = memoryview(next(self._blocks, b""))
            if not self._rest:
                self._shut = True
                socket.shutdown()
                return
            self._rest = self._rest[socket.send(self._rest) :]

    def _receive(self, socket: TcpSocket) -> None:
        while not self.ended and (data := socket.receive(READ)) is not None:
            self.sum.update(data)
            self.count += len(data)
            self.ended = not data


class Report(msgspec.Struct, frozen=True):
    """One transfer. `rate` is in bytes a second, of both ways together; `frames` and `lost` are (to Linux, from it)."""

    seconds: float
    rate: float
    frames: tuple[int, int]
    lost: tuple[int, int]


def transfer(bed: TapBed, size: int, *, connect: bool, limit: float) -> Report:
    """Send `size` bytes each way, and assert that all arrived whole; `connect`: it is the emulator that connects."""
    program = Program(size)
    bed.programs.append(program.act)
    if connect:
        peer = bed.peer("listen", PORT, THEIRS, size)
        program.socket = bed.ns.sockets.connect((REAL, PORT))
    else:
        program.listener = bed.ns.sockets.listen(("0.0.0.0", PORT))
        peer = bed.peer("connect", PORT, THEIRS, size)
    before = bed.now
    try:
        bed.run_until(lambda: program.done and peer.poll() is not None, limit)
    finally:
        if peer.poll() is None:
            peer.kill()
            peer.wait()
    seconds = bed.now - before
    assert program.error is None, program.error
    assert (program.count, program.sum.hexdigest()) == (size, digest(THEIRS, size))
    assert bed.outcome(peer) == {"bytes": size, "sha256": digest(OURS, size), "error": None}
    assert program.socket is not None
    program.socket.close()
    bed.programs.remove(program.act)
    if program.listener is not None:
        program.listener.close()
    ways = bed.to_real, bed.to_emulated
    return Report(seconds, 2 * size / seconds, (ways[0].frames, ways[1].frames), (ways[0].lost, ways[1].lost))


def main() -> None:
    """Make the transfers that the arguments ask for; an AssertionError tells of bytes that did not arrive whole."""
    parser = argparse.ArgumentParser(prog="tcp-oracle", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200, help="each way (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what happens to frames (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=1800, help="seconds for each transfer (default: %(default)s)")
    arguments = parser.parse_args()
    lossy = Disturbance(loss=0.02, reorder=0.05, jitter=0.001, seed=arguments.seed)
    for title, disturbance in (("calm", Disturbance()), ("2 % lost, 5 % reordered, 1 ms jitter", lossy)):
        with TapBed(disturbance) as bed:
            report = transfer(bed, arguments.megabytes * 1_000_000, connect=True, limit=arguments.limit)
        print(
            f"{title}: {arguments.megabytes} MB each way in {report.seconds:.1f} s, {report.rate / 1e6:.1f} MB/s; "
            f"frames {report.frames[0]:,} to Linux ({report.lost[0]:,} lost), "
            f"{report.frames[1]:,} from it ({report.lost[1]:,} lost)",
            flush=True,
        )


if __name__ == "__main__":
    main()
