"""One association: its state, and what a program may do with it. `chunks.py` is its other side."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.kernel.deadline import Deadline
from emulator.kernel.drop import DropReason
from emulator.kernel.sctp import timeouts
from emulator.kernel.sctp.inbound import Inbound, Message
from emulator.kernel.sctp.outbound import Outbound, Piece
from emulator.kernel.sctp.state import CONNECTING, RECEIVING, TRANSMITTING, State
from emulator.kernel.socket.base import SocketInfo
from emulator.kernel.socket.connected import ConnectedSocket
from emulator.kernel.socket.error import os_error
from emulator.packet.sctp import CHUNK_HEADER_LENGTH, HEADER_LENGTH, Chunk, ChunkType
from emulator.packet.sctp_chunks import DATA_HEADER, Cause, Init, build_parameters

if TYPE_CHECKING:
    from emulator.kernel.routing.route import RouteResult
    from emulator.kernel.sctp.listener import SctpListener
    from emulator.kernel.sctp.protocol import Sctp
    from emulator.kernel.trace import Trace

PROTOCOL = 132
STREAMS = 10  # outbound streams that are asked for (sctp_initmsg's default)
INBOUND_STREAMS = 0xFFFF
IP_HEADER = 20
SMALLEST_MTU = 512


class SctpSocket(ConnectedSocket):
    """An association with one peer. Nothing here waits; errors are OSError as Linux gives them.

    After `Sctp.connect` wait until `connecting` is false, then look at `error`. Tags are 32-bit numbers that each side
    chooses: packets to us carry `own_tag`, those from us `peer_tag` (section 3.1).
    """

    __slots__ = (
        "cookie", "errors", "heartbeat", "inbound", "outbound", "own_first",
        "own_tag", "peer_streams", "peer_tag", "retransmit", "rtt", "sack_delay", "sack_wanted", "sctp",
        "shutdown_guard", "state", "streams", "tries", "unacknowledged",
    )  # fmt: skip

    def __init__(self, sctp: Sctp, route: RouteResult, local: tuple[int, int], remote: tuple[int, int]) -> None:
        super().__init__(sctp.netns, route, local, remote)
        self.sctp = sctp
        kernel = sctp.netns.kernel
        self.state = State.CLOSED
        self.listener: SctpListener | None = None
        self.own_tag = kernel.random.getrandbits(32) or 1
        self.own_first = kernel.random.getrandbits(32)
        self.peer_tag = 0
        self.cookie = b""  # of the peer, until it is echoed
        self.streams = STREAMS
        self.peer_streams = INBOUND_STREAMS
        self.inbound = Inbound(0)
        self.outbound = Outbound(self.own_first, 0, max(route.mtu, SMALLEST_MTU))
        self.rtt = timeouts.RoundTrip()
        self.retransmit = Deadline(kernel, lambda: timeouts.retransmission_timeout(self))
        self.sack_delay = Deadline(kernel, lambda: timeouts.sack_timeout(self))
        self.shutdown_guard = Deadline(kernel, lambda: timeouts.shutdown_timeout(self))
        self.heartbeat = Deadline(kernel, lambda: timeouts.heartbeat_timeout(self))
        self.tries = 0  # of INIT, COOKIE ECHO or SHUTDOWN
        self.errors = 0  # time-outs in a row
        self.unacknowledged = 0  # packets with DATA since our last SACK
        self.sack_wanted = False

    # What a program does

    @property
    def connecting(self) -> bool:
        """Whether the handshake is still going on."""
        return self.state in CONNECTING

    @property
    def readable(self) -> bool:
        """Whether `receive` would give a message, the end, or raise."""
        return bool(self.inbound.ready or self.error_number) or self._at_end

    def send(self, payload: bytes, stream: int = 0, *, ppid: int = 0, unordered: bool = False) -> bool:
        """Queue a message; False if the buffer is full or the handshake goes on: the socket is woken when it may go.

        EINVAL for an empty message or a stream that was not agreed on, EPIPE after `shutdown` or the end; the error
        that ended the association once before.
        """
        self._check_open()
        self._raise_error()
        if self.connecting:
            self.write_wanted = True
            return False
        if self.state is not State.ESTABLISHED:
            raise os_error(errno.EPIPE)
        if not payload or not 0 <= stream < self.streams:
            raise os_error(errno.EINVAL)
        if not self.outbound.write(payload, stream, ppid, unordered=unordered, room=self._room):
            self.write_wanted = True
            return False
        self.push()
        return True

    def receive(self) -> Message | None:
        """Take the next message; one without payload at the end, None if there is nothing yet. Raises what ended it."""
        self._check_open()
        before = self.inbound.limit - self.inbound.size
        message = self.inbound.read()
        if message is not None:
            if self.state in RECEIVING and before < self.outbound.mtu <= self.inbound.limit - self.inbound.size:
                self.send_sack()  # the window was shut
            return message
        self._raise_error()
        return Message(b"", 0, 0, unordered=False) if self._at_end else None

    def shutdown(self) -> None:
        """Send no more: the association ends when all has arrived (section 9.2). ENOTCONN without one."""
        self._check_open()
        if self.state is State.ESTABLISHED:
            self.begin_shutdown()
        elif self.state is State.CLOSED or self.connecting:
            raise os_error(errno.ENOTCONN)

    def close(self) -> None:
        """End the socket. What was sent still arrives; messages that nobody has read make it an ABORT, as on Linux."""
        if self.closed:
            return
        self.closed = self.orphan = True
        if self.connecting or (self.inbound.size and self.state is not State.CLOSED):
            self._abort()
        elif self.state is State.ESTABLISHED:
            self.begin_shutdown()
        self.inbound.clear()
        self.netns.kernel.wake(self)

    def abort(self) -> None:
        """End the association at once; the peer is told."""
        self.closed = True
        self._abort()

    def info(self) -> SocketInfo:
        """Return its row of `ss`."""
        return SocketInfo(
            "sctp", self.state.value, self.inbound.size, self.outbound.queued, self.local_address, self.remote_address
        )

    # What the other parts of SCTP do

    def begin(self, trace: Trace | None) -> None:
        """Connect: send INIT (section 5.1, A)."""
        self.state = State.COOKIE_WAIT
        self.transmit([self.init_chunk(ChunkType.INIT)], tag=0, trace=trace)
        self.retransmit.start(self.rtt.timeout)

    def init_chunk(self, kind: ChunkType, parameters: tuple[tuple[int, bytes], ...] = ()) -> Chunk:
        """INIT or INIT ACK with what we offer."""
        init = Init(self.own_tag, self.inbound.limit, STREAMS, INBOUND_STREAMS, self.own_first, parameters)
        return Chunk(kind, 0, init.build())

    def agree(self, peer: Init) -> None:
        """Take what the peer's INIT or INIT ACK says."""
        self.peer_tag = peer.tag
        self.streams = min(STREAMS, peer.inbound)
        self.peer_streams = peer.outbound
        self.inbound = Inbound(peer.first)
        self.outbound = Outbound(self.own_first, peer.window, max(self.route.mtu, SMALLEST_MTU))

    def establish(self) -> None:
        """The handshake is complete."""
        self.state = State.ESTABLISHED
        self.tries = self.errors = 0
        self.retransmit.stop()
        timeouts.start_heartbeat(self)
        self.netns.kernel.wake(self)

    def begin_shutdown(self) -> None:
        """The program sends no more."""
        self.state = State.SHUTDOWN_PENDING
        self.shutdown_guard.start(timeouts.SHUTDOWN_GUARD)
        self.push()

    def push(self) -> None:
        """Send what may be sent now: a SACK along with data, then SHUTDOWN or its ACK when all has arrived."""
        if self.state in TRANSMITTING:
            self._send_data()
            if self.outbound.empty:
                timeouts.continue_shutdown(self)
        if self.sack_wanted:
            self.send_sack()

    def send_sack(self) -> None:
        """Tell what came, now."""
        self.transmit([self._sack_chunk()])

    def transmit(self, chunks: Iterable[Chunk], *, tag: int | None = None, trace: Trace | None = None) -> None:
        """Send one packet of chunks to the peer."""
        self.sctp.transmit(
            self.key,
            self.peer_tag if tag is None else tag,
            chunks,
            route=self.current_route(),
            socket=self,
            trace=trace,
        )

    def current_route(self) -> RouteResult | None:
        """The route to the peer, looked up again when routes have changed; None if there is none now."""
        if self.route.generation != self.netns.fib.generation:
            found = self.netns.ip.route_output(
                self.raddr, saddr=self.laddr, protocol=PROTOCOL, ports=(self.lport, self.rport)
            )
            if isinstance(found, DropReason):
                return None
            self.route = found
        return self.route

    def set_mtu(self, mtu: int) -> None:
        """Cut later messages for a path of this MTU; what is cut already goes in fragments of IP."""
        self.outbound.mtu = max(min(mtu, self.outbound.mtu), SMALLEST_MTU)

    def fail(self, number: int) -> None:
        """End with an error for the program."""
        self.error_number = number
        self.finish()

    def finish(self) -> None:
        """End: leave the tables, forget what was to be sent. Messages that came can still be read."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self.sctp.remove(self)
        for deadline in (self.retransmit, self.sack_delay, self.shutdown_guard, self.heartbeat):
            deadline.discard()
        self.outbound.clear()
        self.sack_wanted = False
        self.netns.kernel.wake(self)

    def detach(self) -> None:
        """End without a packet, because the namespace goes away."""
        self.fail(errno.ENETDOWN)

    @property
    def _room(self) -> int:
        """Bytes of a message in one chunk; a multiple of four, so that there is no padding between."""
        return (self.outbound.mtu - IP_HEADER - HEADER_LENGTH - CHUNK_HEADER_LENGTH - DATA_HEADER) & ~3

    @property
    def _at_end(self) -> bool:
        return self.state in (State.CLOSED, State.SHUTDOWN_RECEIVED, State.SHUTDOWN_ACK_SENT)

    def _abort(self) -> None:
        if self.state not in (State.CLOSED, State.COOKIE_WAIT):
            cause = build_parameters(((Cause.USER_INITIATED_ABORT, b""),))
            self.transmit([Chunk(ChunkType.ABORT, 0, cause)])
        self.finish()

    def _sack_chunk(self) -> Chunk:
        self.sack_wanted = False
        self.unacknowledged = 0
        self.sack_delay.stop()
        return Chunk(ChunkType.SACK, 0, self.inbound.sack().build())

    def _send_data(self) -> None:
        """Bundle chunks of data into packets (section 6.10)."""
        room = self.outbound.mtu - IP_HEADER - HEADER_LENGTH
        chunks: list[Chunk] = []
        used = 0
        for piece in self.outbound.sendable(self.now):
            chunk = _data_chunk(piece)
            size = (CHUNK_HEADER_LENGTH + len(chunk.value) + 3) & ~3
            if not chunks and (self.sack_wanted or self.sack_delay.at is not None):
                sack = self._sack_chunk()
                used = CHUNK_HEADER_LENGTH + len(sack.value)
                chunks.append(sack)
            if chunks and used + size > room:
                self.transmit(chunks)
                chunks, used = [], 0
            chunks.append(chunk)
            used += size
        if chunks:
            self.transmit(chunks)
        if self.outbound.flying and self.retransmit.at is None:
            self.retransmit.start(self.rtt.timeout)


def _data_chunk(piece: Piece) -> Chunk:
    return Chunk(ChunkType.DATA, piece.flags, piece.data.build())
