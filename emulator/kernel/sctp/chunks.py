"""What the chunks of a packet mean for their association (RFC 9260 sections 5 to 9)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from emulator.errors import WireError
from emulator.kernel.drop import DropReason
from emulator.kernel.sctp import timeouts
from emulator.kernel.sctp.state import RECEIVING, State
from emulator.packet.sctp import TAG_REFLECTED, Chunk, ChunkType
from emulator.packet.sctp_chunks import Cause, Data, Init, Parameter, Sack, build_parameters, parse_parameters

if TYPE_CHECKING:
    from emulator.kernel.sctp.association import SctpSocket

_TYPE_SKIP, _TYPE_REPORT = 0x80, 0x40  # bits of an unknown type: go on behind it, tell the peer (section 3.2)
_EVERY_SECOND = 2  # packets with data are acknowledged (section 6.2)
_ENDED_BY_TAG = frozenset({ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE})


def is_ours(a: SctpSocket, tag: int, chunks: Sequence[Chunk]) -> bool:
    """Whether a packet's verification tag is right (section 8.5)."""
    if tag == a.own_tag:
        return not (chunks[0].type in _ENDED_BY_TAG and chunks[0].flags & TAG_REFLECTED)
    reflected = chunks[0].type in _ENDED_BY_TAG and chunks[0].flags & TAG_REFLECTED
    return bool(reflected) and tag == a.peer_tag != 0


def arrive(a: SctpSocket, chunks: Sequence[Chunk]) -> DropReason | None:
    """Take the chunks of a packet whose tag is right; the reason if it is malformed."""
    before = a.inbound.cumulative
    with_data = repeated = False
    try:
        for chunk in chunks:
            if chunk.type == ChunkType.DATA:
                with_data = True
                repeated = not _data(a, chunk) or repeated
            elif not _HANDLERS.get(chunk.type, _unknown)(a, chunk):
                break
            if a.state is State.CLOSED:
                return None
    except WireError:
        _violation(a, Cause.PROTOCOL_VIOLATION, b"")
        return DropReason.INVALID_PROTO
    if with_data:
        _acknowledge(a, at_once=repeated or a.inbound.has_gap or a.inbound.cumulative == before)
    a.push()
    if a.write_wanted and a.state is State.ESTABLISHED and 2 * a.outbound.queued <= a.outbound.limit:
        a.write_wanted = False
        a.netns.kernel.wake(a)
    return None


def _acknowledge(a: SctpSocket, *, at_once: bool) -> None:
    if a.orphan:
        a.inbound.clear()
    elif a.inbound.ready:
        a.netns.kernel.wake(a)
    a.unacknowledged += 1
    if at_once or a.unacknowledged >= _EVERY_SECOND or a.state is State.SHUTDOWN_SENT:
        a.sack_wanted = True
        if a.state is State.SHUTDOWN_SENT:
            timeouts.send_shutdown(a)  # section 9.2: the peer has to hear of both
    elif a.sack_delay.at is None:
        a.sack_delay.start(timeouts.SACK_DELAY)


def _data(a: SctpSocket, chunk: Chunk) -> bool:
    """Take data; False if it brought nothing new."""
    if a.state not in RECEIVING:
        return True
    data = Data.parse(chunk.value)
    if not data.payload:
        _violation(a, Cause.NO_USER_DATA, data.tsn.to_bytes(4, "big"))
        return True
    if data.stream >= a.peer_streams:
        cause = data.stream.to_bytes(2, "big") + bytes(2)
        a.transmit([Chunk(ChunkType.ERROR, 0, build_parameters(((Cause.INVALID_STREAM, cause),)))])
        return a.inbound.take(data, chunk.flags, discard=True)
    return a.inbound.take(data, chunk.flags)


def _sack(a: SctpSocket, chunk: Chunk) -> bool:
    _take_sack(a, Sack.parse(chunk.value))
    return True


def _take_sack(a: SctpSocket, sack: Sack) -> None:
    before = a.outbound.acknowledged
    taken = a.outbound.take_sack(sack, a.now)
    if taken is None:
        return
    fresh, round_trip, _ = taken
    if round_trip is not None:
        a.rtt.sample(round_trip)
    if fresh:
        a.errors = 0
    if not a.outbound.flying:
        a.retransmit.stop()
    elif a.outbound.acknowledged > before:
        a.retransmit.start(a.rtt.timeout)


def _init_ack(a: SctpSocket, chunk: Chunk) -> bool:
    """The second step of the handshake (section 5.1, C)."""
    if a.state is not State.COOKIE_WAIT:
        return False
    init = Init.parse(chunk.value)
    cookie = init.parameter(Parameter.STATE_COOKIE)
    if cookie is None or not init.tag or not init.inbound or not init.outbound:
        a.peer_tag = init.tag
        _violation(a, Cause.PROTOCOL_VIOLATION, b"")
        return False
    a.agree(init)
    a.cookie = cookie
    a.state = State.COOKIE_ECHOED
    a.tries = 0
    a.transmit([Chunk(ChunkType.COOKIE_ECHO, 0, cookie)])
    a.retransmit.start(a.rtt.timeout)
    return True


def _cookie_ack(a: SctpSocket, _chunk: Chunk) -> bool:
    if a.state is State.COOKIE_ECHOED:
        a.cookie = b""
        a.establish()
    return True


def _error(a: SctpSocket, chunk: Chunk) -> bool:
    """Only a cookie that has become stale asks for something: begin anew (section 5.2.6)."""
    causes = parse_parameters(chunk.value)
    if a.state is State.COOKIE_ECHOED and any(kind == Cause.STALE_COOKIE for kind, _ in causes):
        a.state = State.COOKIE_WAIT
        a.tries += 1
        a.transmit([a.init_chunk(ChunkType.INIT)], tag=0)
        a.retransmit.start(a.rtt.timeout)
        return False
    return True


def _abort(a: SctpSocket, _chunk: Chunk) -> bool:
    a.fail(errno.ECONNREFUSED if a.connecting else errno.ECONNRESET)
    return False


def _shutdown(a: SctpSocket, chunk: Chunk) -> bool:
    """The peer sends no more, and has all up to a number (section 9.2)."""
    if len(chunk.value) != 4:
        raise WireError(f"SCTP: a SHUTDOWN of {len(chunk.value)} bytes")
    if a.state in (State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED):
        _take_sack(a, Sack(int.from_bytes(chunk.value, "big"), a.outbound.window))
        a.state = State.SHUTDOWN_RECEIVED
        a.netns.kernel.wake(a)
    elif a.state in (State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT):
        a.state = State.SHUTDOWN_ACK_SENT
        timeouts.send_shutdown_ack(a)
    return True


def _shutdown_ack(a: SctpSocket, _chunk: Chunk) -> bool:
    if a.state in (State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT):
        a.transmit([Chunk(ChunkType.SHUTDOWN_COMPLETE)])
        a.finish()
    elif a.connecting:  # of an association that we know nothing of any more (section 8.5.1, E)
        a.transmit([Chunk(ChunkType.SHUTDOWN_COMPLETE, TAG_REFLECTED)], tag=a.own_tag)
    return False


def _shutdown_complete(a: SctpSocket, _chunk: Chunk) -> bool:
    if a.state is State.SHUTDOWN_ACK_SENT:
        a.finish()
    return False


def _heartbeat(a: SctpSocket, chunk: Chunk) -> bool:
    a.transmit([Chunk(ChunkType.HEARTBEAT_ACK, 0, chunk.value)])
    return True


def _heartbeat_ack(a: SctpSocket, _chunk: Chunk) -> bool:
    a.errors = 0
    return True


def _unknown(a: SctpSocket, chunk: Chunk) -> bool:
    """A type that we do not know says by its first bits what is to be done with it."""
    if chunk.type & _TYPE_REPORT:
        cause = build_parameters(((Cause.UNRECOGNIZED_CHUNK, chunk.build()),))
        a.transmit([Chunk(ChunkType.ERROR, 0, cause)])
    return bool(chunk.type & _TYPE_SKIP)


def _violation(a: SctpSocket, cause: Cause, value: bytes) -> None:
    """End the association because the peer does not keep to the protocol."""
    if a.peer_tag:
        a.transmit([Chunk(ChunkType.ABORT, 0, build_parameters(((cause, value),)))])
    a.fail(errno.EPROTO)


_HANDLERS: dict[int, Callable[[SctpSocket, Chunk], bool]] = {
    ChunkType.INIT_ACK: _init_ack,
    ChunkType.SACK: _sack,
    ChunkType.HEARTBEAT: _heartbeat,
    ChunkType.HEARTBEAT_ACK: _heartbeat_ack,
    ChunkType.ABORT: _abort,
    ChunkType.SHUTDOWN: _shutdown,
    ChunkType.SHUTDOWN_ACK: _shutdown_ack,
    ChunkType.ERROR: _error,
    ChunkType.COOKIE_ACK: _cookie_ack,
    ChunkType.SHUTDOWN_COMPLETE: _shutdown_complete,
}
