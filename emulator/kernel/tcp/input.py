"""What a segment that came in means for its connection: RFC 9293 section 3.10.7, with RFC 5961 and 7323.

Every function that may refuse a segment returns the DropReason, or None when it was taken.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.sequence import is_older, unwrap
from emulator.kernel.tcp import output, recovery
from emulator.kernel.tcp.buffers import MAXIMUM_SHIFT
from emulator.kernel.tcp.state import ON_FIN, ON_FIN_ACKNOWLEDGED, ON_SHUTDOWN, RECEIVING, State
from emulator.packet.tcp import ACK, FIN, PSH, RST, SYN

if TYPE_CHECKING:
    from emulator.kernel.tcp.connection import TcpSocket
    from emulator.kernel.tcp.segment import Segment
    from emulator.kernel.trace import Trace

CHALLENGE_INTERVAL = 0.5  # seconds between answers to useless segments (net.ipv4.tcp_invalid_ratelimit)


def arrive(c: TcpSocket, segment: Segment, trace: Trace | None) -> DropReason | None:
    """Take a segment; `trace` marks the answers that a traced SYN causes."""
    if c.state is State.SYN_SENT:
        return _in_syn_sent(c, segment, trace)
    rx = c.rx
    sequence = unwrap(segment.sequence, rx.next)
    expected = sequence == rx.next and segment.flags & ~PSH == ACK and sequence + len(segment.payload) <= rx.edge
    if (not expected or _is_from_the_past(c, segment)) and (
        refused := _validate(c, segment, sequence, trace)
    ) is not None:
        return refused
    if segment.flags & RST:
        _reset(c)
        return None
    if not segment.flags & ACK:
        return DropReason.TCP_FLAGS
    ack = unwrap(segment.acknowledgement, c.tx.una)
    if c.state is State.SYN_RECEIVED and (refused := _complete(c, segment, sequence, ack, trace)) is not None:
        return refused
    if segment.timestamps is not None and sequence <= rx.acked:
        c.timestamp_recent = segment.timestamps[0]
    if (refused := _take_ack(c, segment, sequence, ack)) is not None:
        return refused
    if segment.payload or segment.flags & FIN:
        _take_data(c, segment, sequence)
    if c.state is not State.CLOSED:
        output.push(c)
        if c.write_wanted and c.tx.in_flight < c.cc.window:
            c.tcp.buffers.grow_send(c.tx, c.cc.window, c.mss)  # it is the buffer that holds us back
        if c.write_wanted and 3 * c.tx.room >= c.tx.limit:
            c.write_wanted = False
            c.netns.kernel.wake(c)
    return None


def negotiate(c: TcpSocket, segment: Segment) -> None:
    """Learn from the peer's SYN what it can do."""
    options = segment.options
    c.rx.begin(segment.sequence, c.initial_window)
    c.peer_mss = max(options.mss or c.peer_mss, 1)
    c.sack = c.sack and options.sack_permitted
    c.scaling = c.scaling and options.window_scale is not None
    c.timestamps = c.timestamps and segment.timestamps is not None
    if segment.timestamps is not None:
        c.timestamp_recent = segment.timestamps[0]
    if c.scaling:
        c.tx.shift = min(options.window_scale or 0, MAXIMUM_SHIFT)
        c.receive_shift = c.tcp.buffers.shift
    else:
        c.rx.limit = c.space.most = min(c.rx.limit, 0xFFFF)  # more cannot be told
    c.set_path_mtu(c.path_mtu)
    c.seen_mss = min(c.mss, c.seen_mss)


def _in_syn_sent(c: TcpSocket, segment: Segment, trace: Trace | None) -> DropReason | None:
    """RFC 9293 section 3.10.7.3."""
    flags = segment.flags
    if flags & ACK:
        ack = unwrap(segment.acknowledgement, c.tx.una)
        if not c.tx.una < ack <= c.tx.next:
            if not flags & RST:
                output.answer_with_reset(c.netns, c.key, segment.acknowledgement, None, trace)
            return DropReason.TCP_INVALID_SEQUENCE
    if flags & RST:
        if not flags & ACK:
            return DropReason.TCP_FLAGS
        c.fail(errno.ECONNREFUSED)
        return None
    if not flags & SYN:
        return DropReason.TCP_FLAGS
    negotiate(c, segment)
    _set_window(c, segment.sequence, segment.window)
    if flags & ACK:
        recovery.acknowledge(c, segment, c.tx.next, window_changed=True)
        c.state = State.ESTABLISHED
        output.send_ack(c)
        c.netns.kernel.wake(c)
    else:
        c.state = State.SYN_RECEIVED  # both sides have opened
        output.repeat(c, c.tx.segments[0], trace)
    return None


def _validate(c: TcpSocket, segment: Segment, sequence: int, trace: Trace | None) -> DropReason | None:
    """Old duplicates, what is out of the window, resets and SYNs (`tcp_validate_incoming`)."""
    rx, flags = c.rx, segment.flags
    if _is_from_the_past(c, segment):
        _answer_useless(c, segment)
        return DropReason.TCP_INVALID_SEQUENCE
    if flags & SYN and c.state is State.SYN_RECEIVED and sequence == rx.next - 1 and not flags & RST:
        if not flags & ACK:
            if c.tx.segments:
                output.repeat(c, c.tx.segments[0], trace)  # the peer has not heard our SYN
            return DropReason.TCP_INVALID_SYN
        return None
    end = sequence + segment.length
    if end < rx.acked or sequence > max(rx.edge, rx.next):
        if not flags & RST:
            _answer_useless(c, segment)
        return DropReason.TCP_OLD_DATA if end < rx.acked else DropReason.TCP_OVERWINDOW
    if flags & RST:
        if sequence == rx.next:
            return None
        _challenge(c)  # RFC 5961 section 3.2
        return DropReason.TCP_INVALID_SEQUENCE
    if flags & SYN:
        _challenge(c)  # RFC 5961 section 4.2
        return DropReason.TCP_INVALID_SYN
    return None


def _is_from_the_past(c: TcpSocket, segment: Segment) -> bool:
    """Whether its timestamp is older than what was seen before (PAWS, RFC 7323 section 5)."""
    if segment.timestamps is None or not c.timestamps or segment.flags & RST:
        return False
    return is_older(segment.timestamps[0], c.timestamp_recent) and not (
        segment.is_syn and c.state is State.SYN_RECEIVED
    )


def _reset(c: TcpSocket) -> None:
    if c.listener is not None and c.state is State.SYN_RECEIVED:
        c.finish()
    elif c.state is State.SYN_RECEIVED:
        c.fail(errno.ECONNREFUSED)
    else:
        c.fail(errno.EPIPE if c.state is State.CLOSE_WAIT else errno.ECONNRESET)


def _complete(c: TcpSocket, segment: Segment, sequence: int, ack: int, trace: Trace | None) -> DropReason | None:
    """The last step of a handshake in SYN_RECEIVED."""
    if not c.tx.una < ack <= c.tx.next:
        output.answer_with_reset(c.netns, c.key, segment.acknowledgement, None, trace)
        return DropReason.TCP_INVALID_SEQUENCE
    if c.listener is not None and not c.listener.has_room:
        return DropReason.TCP_LISTEN_OVERFLOW  # our SYN is repeated, and the peer answers again
    _set_window(c, sequence, segment.window << c.tx.shift)
    c.state = State.ESTABLISHED
    if c.listener is not None:
        c.listener.established(c)
    if c.fin_wanted:
        c.state = ON_SHUTDOWN[c.state]
    c.netns.kernel.wake(c)
    return None


def _take_ack(c: TcpSocket, segment: Segment, sequence: int, ack: int) -> DropReason | None:
    """RFC 9293 section 3.10.7.4, the fifth check; limits of RFC 5961 section 5.2."""
    tx = c.tx
    if ack > tx.next:
        _challenge(c)
        return DropReason.TCP_ACK_UNSENT_DATA
    if ack < tx.una:
        if ack < tx.una - tx.max_window:
            _challenge(c)
            return DropReason.TCP_TOO_OLD_ACK
        return None
    c.probes = 0
    if c.keepalive:
        c.keepalive_since = c.now
    window = segment.window << tx.shift
    window_changed = window != tx.window
    if ack > tx.una or sequence > tx.wl1 or (sequence == tx.wl1 and window > tx.window):
        _set_window(c, sequence, window)
    if ack == tx.una and not tx.segments:
        if window_changed and window:
            c.retransmit.stop()
            c.rtt.backoff = 0
        return None
    recovery.acknowledge(c, segment, ack, window_changed=window_changed)
    if c.fin_sent and tx.una == tx.next and c.state in ON_FIN_ACKNOWLEDGED:
        _fin_acknowledged(c)
    return None


def _set_window(c: TcpSocket, sequence: int, window: int) -> None:
    tx = c.tx
    tx.window = window
    tx.wl1 = sequence
    tx.max_window = max(tx.max_window, window)


def _fin_acknowledged(c: TcpSocket) -> None:
    following = ON_FIN_ACKNOWLEDGED[c.state]
    if following is State.CLOSED:
        c.finish()
    elif following is State.TIME_WAIT:
        c.time_wait()
    else:
        c.state = following
        if c.orphan:
            c.start_fin_timeout()


def _take_data(c: TcpSocket, segment: Segment, sequence: int) -> None:
    """The seventh and eighth check: the payload, then FIN."""
    if c.state not in RECEIVING:
        if c.state is not State.CLOSED and sequence + segment.length <= c.rx.next:
            output.send_ack(c)  # a repeated FIN
        return
    rx, payload = c.rx, segment.payload
    end = sequence + len(payload)
    if c.orphan and end > rx.next:
        output.send_reset(c)  # nobody will read it
        c.fail(errno.ECONNRESET)
        return
    if end > rx.edge:
        payload = payload[: max(rx.edge - sequence, 0)]
    elif segment.flags & FIN:
        rx.fin = end
    if payload:
        _store(c, sequence, payload)
    elif end > rx.edge or sequence > rx.next:
        output.send_ack(c)
    if rx.fin == rx.next:
        _take_fin(c)


def _store(c: TcpSocket, sequence: int, payload: bytes) -> None:
    rx = c.rx
    c.last_received = c.now
    if len(payload) > c.seen_mss:
        c.seen_mss = min(len(payload), c.receive_mss)
    if sequence == rx.next and not rx.has_gap:
        rx.append(payload)
    elif not rx.add(sequence, payload):
        output.send_ack(c)  # out of order, or seen before: tell at once (RFC 5681 section 4.2)
        return
    c.netns.kernel.wake(c)
    if rx.fin != rx.next:
        output.want_ack(c)


def _take_fin(c: TcpSocket) -> None:
    """The peer sends no more."""
    c.rx.next += 1
    following = ON_FIN[c.state]
    output.send_ack(c)
    if following is State.TIME_WAIT:
        c.time_wait()
        return
    c.state = following
    c.netns.kernel.wake(c)


def _answer_useless(c: TcpSocket, segment: Segment) -> None:
    """Acknowledge a segment out of the window, so that the peer finds its way; those without data not too often."""
    if segment.payload and not segment.flags & SYN:
        output.send_ack(c)
    else:
        _challenge(c)


def _challenge(c: TcpSocket) -> None:
    """Send a challenge ACK: whoever really has this connection answers with what is right (RFC 5961)."""
    if c.now - c.last_challenge >= CHALLENGE_INTERVAL:
        c.last_challenge = c.now
        output.send_ack(c)
