"""TCP in connection tracking (nf_conntrack_proto_tcp.c): flags, state table, window, and how long the entry lives."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.connection import (
    ASSURED,
    CHANGED_STATE,
    CONFIRMED,
    FIXED_TIMEOUT,
    ORIGINAL,
    REPLY,
    SEEN_REPLY,
)
from emulator.kernel.netfilter.conntrack.refusal import TCP_RESET, note_refusal
from emulator.kernel.netfilter.conntrack.tcp_state import (
    CLOSE_INITIATED,
    CLOSING,
    END,
    EXPECT_CHALLENGE_ACK,
    FLAGS,
    LAST_ACK,
    LAST_END,
    LAST_SEQUENCE,
    LAST_WINDOW,
    LIBERAL,
    MAXIMUM_ACK,
    MAXIMUM_ACK_SET,
    MAXIMUM_END,
    MAXIMUM_WINDOW,
    SACK_PERMITTED,
    SCALE,
    SIDE,
    SIMULTANEOUS_OPEN,
    TCP_CONNTRACK_ESTABLISHED,
    TRANSITIONS,
    UNACKNOWLEDGED,
    WINDOW_SCALE,
    SegmentKind,
    TcpState,
    TcpTracking,
)
from emulator.kernel.netfilter.conntrack.tcp_window import (
    ACK,
    FIN,
    IN_WINDOW,
    PSH,
    RST,
    SYN,
    URG,
    Segment,
    WindowVerdict,
    before,
    check_window,
    read_options,
)
from emulator.kernel.netfilter.conntrack.tracker import TRACKED, Tracked
from emulator.kernel.netfilter.conntrack.tuple import TCP
from emulator.packet.checksum import is_valid, pseudo_header_sum

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
    from emulator.kernel.skb import Skb

_VALID_FLAGS = frozenset(
    {SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG}
)  # besides PSH, ECE and CWR
_SHORTENED_FROM = 120.0  # an entry with less time left is not shortened by an invalid FIN or RST


def track(conntrack: Conntrack, connection: Connection, skb: Skb, direction: int, *, verify: bool) -> Tracked:
    """Judge a segment and move the connection on."""
    if _is_broken(skb, verify):
        return Tracked.INVALID
    segment = Segment(skb.data, skb.transport)
    if not connection.status & CONFIRMED and not _begin(conntrack, connection, segment):
        return Tracked.INVALID
    tracking = connection.tcp
    if tracking is None:  # an entry of another protocol cannot have this tuple
        return Tracked.INVALID
    old = tracking.state
    new = TRANSITIONS[direction][segment.kind][old]
    if new is not TCP_CONNTRACK_ESTABLISHED or old is not TCP_CONNTRACK_ESTABLISHED:
        decided, new, old = _special(conntrack, connection, tracking, segment, direction, old, new)
        if decided is not None:
            return decided
        if new is TcpState.CLOSE and segment.kind is SegmentKind.RST:
            checked = _check_reset(conntrack, connection, tracking, segment, direction, old)
            if checked is None:
                return Tracked.INVALID
            in_window, new = checked
            if in_window:
                return _accept(conntrack, connection, tracking, skb, segment, direction, old, new)
    verdict = check_window(tracking, direction, segment, liberal=conntrack.tcp_be_liberal)
    if verdict is IN_WINDOW:
        return _accept(conntrack, connection, tracking, skb, segment, direction, old, new)
    if verdict is WindowVerdict.IGNORE:
        return TRACKED
    _note_invalid(conntrack, connection, tracking, segment, direction)
    return Tracked.INVALID


def _is_broken(skb: Skb, verify: bool) -> bool:
    data, transport = skb.data, skb.transport
    available = len(data) - transport
    if available < 20:
        return True
    header = (data[transport + 12] >> 4) * 4
    if header < 20 or available < header:
        return True
    if verify:
        covered = data[transport : transport + header] if skb.gso_size else data[transport:]
        if not is_valid(covered, pseudo_header_sum(skb.saddr, skb.daddr, TCP, available)):
            return True
    return data[transport + 13] & 0x3F & ~PSH not in _VALID_FLAGS


def _begin(conntrack: Conntrack, connection: Connection, segment: Segment) -> bool:
    """Start an entry with a SYN, or in the middle of a connection with an ACK if `tcp_loose` allows it."""
    new = TRANSITIONS[ORIGINAL][segment.kind][TcpState.NONE]
    if new >= TcpState.INVALID or (new is not TcpState.SYN_SENT and not conntrack.tcp_loose):
        return False
    tracking = TcpTracking()
    words = tracking.words
    words[END] = words[MAXIMUM_END] = segment.end
    words[MAXIMUM_WINDOW] = segment.window or 1
    if new is TcpState.SYN_SENT:
        read_options(words, 0, segment.options)
    else:
        words[MAXIMUM_END] = (segment.end + words[MAXIMUM_WINDOW]) & 0xFFFFFFFF
        # Window scaling was agreed on before our time, so the window is not held against it.
        words[FLAGS] = words[SIDE + FLAGS] = SACK_PERMITTED | LIBERAL
    connection.tcp = tracking
    return True


def _special(
    conntrack: Conntrack,
    connection: Connection,
    tracking: TcpTracking,
    segment: Segment,
    direction: int,
    old: TcpState,
    new: TcpState,
) -> tuple[Tracked | None, TcpState, TcpState]:
    """Handle what the table alone cannot say; return a decision or None, then the new and the old state."""
    if new is TcpState.INVALID:
        return Tracked.INVALID, new, old
    if new is TcpState.SYN_SENT and old >= TcpState.TIME_WAIT:
        closed = tracking.flags & CLOSE_INITIATED
        aborted = tracking.last_direction == direction and tracking.last_kind is SegmentKind.RST
        if closed or aborted:  # the connection is opened again: forget this one and look once more
            conntrack.delete(connection)
            return Tracked.REPEAT, new, old
        new = TcpState.IGNORE
    if new is TcpState.IGNORE:
        if _resynchronise(tracking, segment, direction):
            return None, TcpState.SYN_RECV, TcpState.SYN_SENT
        _remember_ignored(tracking, segment, direction, old)
        return TRACKED, new, old
    if new is TcpState.TIME_WAIT:
        if (
            old is TcpState.LAST_ACK
            and segment.kind is SegmentKind.ACK
            and tracking.last_direction != direction
            and tracking.last_kind is SegmentKind.SYN
            and tracking.last_flags & EXPECT_CHALLENGE_ACK
        ):  # RFC 5961's challenge ACK, which does not acknowledge the last FIN
            tracking.last_flags &= ~EXPECT_CHALLENGE_ACK
            return TRACKED, new, old
    elif new is TcpState.SYN_SENT2:
        tracking.last_flags |= SIMULTANEOUS_OPEN
    elif (
        new is TcpState.SYN_RECV
        and direction == REPLY
        and segment.kind is SegmentKind.ACK
        and tracking.last_flags & SIMULTANEOUS_OPEN
    ):
        new = TcpState.ESTABLISHED
    return None, new, old


def _resynchronise(tracking: TcpTracking, segment: Segment, direction: int) -> bool:
    """Whether a SYN/ACK answers a SYN that was let through before: both ends agree, so take over what they said."""
    if not (
        segment.kind is SegmentKind.SYNACK
        and tracking.last_kind is SegmentKind.SYN
        and tracking.last_direction != direction
        and segment.ack == tracking.words[LAST_END]
    ):
        return False
    words = tracking.words
    agreed, answering = tracking.last_direction * SIDE, direction * SIDE
    words[agreed + END] = words[agreed + MAXIMUM_END] = words[LAST_END]
    words[agreed + MAXIMUM_WINDOW] = words[LAST_WINDOW] or 1
    words[agreed + SCALE] = tracking.last_scale
    tracking.last_flags &= ~EXPECT_CHALLENGE_ACK
    words[agreed + FLAGS] = tracking.last_flags
    liberal = words[answering + FLAGS] & LIBERAL
    words[answering : answering + SIDE] = array("I", (0, 0, 0, 0, 0, liberal))
    return True


def _remember_ignored(tracking: TcpTracking, segment: Segment, direction: int, old: TcpState) -> None:
    tracking.last_kind = segment.kind
    tracking.last_direction = direction
    words = tracking.words
    words[LAST_SEQUENCE] = segment.sequence
    words[LAST_END] = segment.end
    words[LAST_WINDOW] = segment.window
    if segment.kind is SegmentKind.SYN and direction == ORIGINAL:
        seen = array("I", bytes(4 * SIDE))
        read_options(seen, 0, segment.options)
        tracking.last_flags = seen[FLAGS] & (WINDOW_SCALE | SACK_PERMITTED)
        tracking.last_scale = seen[SCALE]
        if old is TcpState.LAST_ACK:
            tracking.last_flags |= EXPECT_CHALLENGE_ACK
    if old is TcpState.SYN_SENT and segment.kind is SegmentKind.ACK and direction == REPLY:
        words[LAST_ACK] = segment.ack


def _check_reset(
    conntrack: Conntrack,
    connection: Connection,
    tracking: TcpTracking,
    segment: Segment,
    direction: int,
    old: TcpState,
) -> tuple[bool, TcpState] | None:
    """Judge a RST. None: invalid. Else whether it needs no window check, and the state it leads to."""
    if tracking.state in CLOSING:  # the tuple may be in use again by now; what is remembered proves nothing
        return True, TcpState.CLOSE
    new = TcpState.CLOSE
    words, other = tracking.words, (1 - direction) * SIDE
    established = tracking.state is TcpState.ESTABLISHED and bool(connection.status & ASSURED)
    if words[other + FLAGS] & MAXIMUM_ACK_SET and tracking.last_kind is not SegmentKind.SYN:
        sequence = segment.sequence
        if sequence == 0 and not established:  # answers a SYN that was let through
            return False, new
        if before(sequence, words[other + MAXIMUM_ACK]) and not conntrack.tcp_ignore_invalid_rst:
            return None
        if not established or sequence == words[other + MAXIMUM_ACK]:
            return False, new
        if (
            tracking.last_kind is SegmentKind.ACK
            and tracking.last_direction == direction
            and sequence == words[LAST_END]
        ):
            return False, new
        new = old  # not exact: stay, there may be a challenge ACK
    answers_syn = tracking.last_kind is SegmentKind.SYN and tracking.last_direction != direction
    let_through = (connection.status & SEEN_REPLY and answers_syn) or (
        not connection.status & ASSURED and tracking.last_kind is SegmentKind.ACK
    )
    if let_through and segment.ack == words[LAST_END]:
        return True, new
    if (
        old is TcpState.SYN_SENT
        and tracking.last_kind is SegmentKind.ACK
        and tracking.last_direction == REPLY
        and segment.sequence == words[LAST_ACK]
    ):
        return True, new
    return False, new


def _note_invalid(
    conntrack: Conntrack, connection: Connection, tracking: TcpTracking, segment: Segment, direction: int
) -> None:
    """Shorten the life of a connection whose both ends send closing segments that do not fit (`handle_invalid`)."""
    closing = (SegmentKind.RST, SegmentKind.FIN)
    if not connection.status & ASSURED or connection.status & FIXED_TIMEOUT or segment.kind not in closing:
        return
    if tracking.last_direction != direction and tracking.last_kind in closing:
        left = connection.deadline - conntrack.now
        timeout = conntrack.tcp_timeouts["unacknowledged"]
        if left >= _SHORTENED_FROM and left > timeout:
            conntrack.renew(connection, timeout)
    else:
        tracking.last_kind = segment.kind
        tracking.last_direction = direction


def _accept(
    conntrack: Conntrack,
    connection: Connection,
    tracking: TcpTracking,
    skb: Skb,
    segment: Segment,
    direction: int,
    old: TcpState,
    new: TcpState,
) -> Tracked:
    """Take a segment that is in the window into the connection's state and lifetime."""
    tracking.last_kind = segment.kind
    tracking.last_direction = direction
    tracking.state = new
    if old is not new:
        if new is TcpState.FIN_WAIT:
            tracking.words[direction * SIDE + FLAGS] |= CLOSE_INITIATED
        connection.status |= CHANGED_STATE
    timeout = _timeout(conntrack, tracking, segment, new)
    status = connection.status
    if not status & SEEN_REPLY:
        if segment.flags & RST:  # a RST as the only answer: there is no connection
            connection.count(direction, len(skb.data) - skb.network)
            note_refusal(conntrack, connection, direction, TCP_RESET)
            conntrack.delete(connection)
            return TRACKED
        if segment.kind is SegmentKind.SYN and old is TcpState.SYN_SENT:  # no new lease for a repeated SYN
            return TRACKED
        if new is TcpState.ESTABLISHED:  # picked up in the middle
            timeout = min(timeout, conntrack.tcp_timeouts["unacknowledged"])
    elif (
        not status & ASSURED
        and new is TcpState.ESTABLISHED
        and (old is TcpState.SYN_RECV or old is TcpState.ESTABLISHED)
    ):
        conntrack.assure(connection)
    conntrack.refresh(connection, skb, direction, timeout)
    return TRACKED


_TIMEOUT_NAMES = tuple(
    "syn_sent" if state in (TcpState.SYN_SENT2, TcpState.NONE) else state.name.lower()
    for state in TcpState
    if state < TcpState.INVALID
)


def _timeout(conntrack: Conntrack, tracking: TcpTracking, segment: Segment, new: TcpState) -> float:
    timeouts = conntrack.tcp_timeouts
    timeout = timeouts[_TIMEOUT_NAMES[new]]
    retransmitted = timeouts["max_retrans"]
    if tracking.retransmissions >= conntrack.tcp_max_retrans and timeout > retransmitted:
        return retransmitted
    if segment.kind is SegmentKind.RST:
        return timeouts["close"]
    if tracking.flags & UNACKNOWLEDGED and timeout > timeouts["unacknowledged"]:
        return timeouts["unacknowledged"]
    if tracking.words[LAST_WINDOW] == 0 and timeout > retransmitted:
        return retransmitted
    return timeout


def set_closing(conntrack: Conntrack, connection: Connection) -> None:
    """Close a connection in the table, because a reset is sent in its name (`nf_conntrack_tcp_set_closing`)."""
    if connection.tcp is not None:
        connection.tcp.state = TcpState.CLOSE
        conntrack.renew(connection, conntrack.tcp_timeouts["close"])
