"""Whether a TCP segment is in the window that both sides of its connection allow, as far as it was seen.

After Guido van Rooij's "Real Stateful TCP Packet Filtering in IP Filter", with the bounds of `tcp_in_window` in
nf_conntrack_proto_tcp.c: the data may not lie above what the receiver announced, nor the ACK above what was sent.
"""

from __future__ import annotations

import enum
import struct

from emulator.kernel.netfilter.tcp_state import (
    LIBERAL,
    MAXIMUM_ACK_SET,
    SACK_PERMITTED,
    UNACKNOWLEDGED,
    WINDOW_SCALE,
    SegmentKind,
    TcpSide,
    TcpState,
    TcpTracking,
)

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_U32 = 0xFFFFFFFF
_HALF = 0x80000000
_MAXIMUM_ACK_WINDOW = 66_000
_MAXIMUM_SCALE = 14
_HEADER = struct.Struct("!IIHH")
_SACK_BLOCK = struct.Struct("!I")
_TIMESTAMP_ONLY = b"\x01\x01\x08\x0a"

# All 13 bits of offset and flags, to the kind of segment: RST first, then SYN, FIN, ACK.
KINDS = tuple(
    SegmentKind.RST
    if flags & RST
    else (SegmentKind.SYNACK if flags & ACK else SegmentKind.SYN)
    if flags & SYN
    else SegmentKind.FIN
    if flags & FIN
    else SegmentKind.ACK
    if flags & ACK
    else SegmentKind.NONE
    for flags in range(64)
)


class WindowVerdict(enum.Enum):
    """What the window check says."""

    ACCEPT = 0
    IGNORE = 1  # passes as ESTABLISHED, but the entry learns nothing
    INVALID = 2


def before(a: int, b: int) -> bool:
    """Whether sequence number `a` comes before `b`."""
    return (a - b) & _U32 >= _HALF


class Segment:
    """The fields of a TCP header that tracking looks at. `end` is the sequence number after the segment."""

    __slots__ = ("ack", "end", "flags", "kind", "options", "sequence", "window")

    def __init__(self, data: bytearray, transport: int) -> None:
        self.sequence, self.ack, offset, self.window = _HEADER.unpack_from(data, transport + 4)
        header = (offset >> 12) * 4
        flags = offset & 0x3F
        self.flags = flags
        self.kind = KINDS[flags]
        self.options = bytes(data[transport + 20 : transport + header]) if header > 20 else b""
        length = len(data) - transport - header + (flags >> 1 & 1) + (flags & 1)
        self.end = (self.sequence + length) & _U32


def read_options(options: bytes, side: TcpSide) -> None:
    """Note window scaling and whether selective ACKs are allowed, from a SYN's options."""
    if not options:
        return
    side.scale = 0
    side.flags &= LIBERAL
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            return
        if kind == 1:
            at += 1
            continue
        if at + 1 >= len(options) or (size := options[at + 1]) < 2 or at + size > len(options):
            return
        if kind == 4 and size == 2:
            side.flags |= SACK_PERMITTED
        elif kind == 3 and size == 3:
            side.scale = min(options[at + 2], _MAXIMUM_SCALE)
            side.flags |= WINDOW_SCALE
        at += size


def highest_sack(options: bytes, ack: int) -> int:
    """Return the highest right edge of the selective ACK blocks, or `ack` if none is above it."""
    if not options or (len(options) == 12 and options[:4] == _TIMESTAMP_ONLY):
        return ack
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            return ack
        if kind == 1:
            at += 1
            continue
        if at + 1 >= len(options) or (size := options[at + 1]) < 2 or at + size > len(options):
            return ack
        if kind == 5 and size >= 10 and (size - 2) % 8 == 0:
            for block in range(at + 2, at + size, 8):
                (right,) = _SACK_BLOCK.unpack_from(options, block + 4)
                if before(ack, right):
                    ack = right
            return ack
        at += size
    return ack


def start_side(sender: TcpSide, receiver: TcpSide, segment: Segment, direction: int) -> None:
    """Begin to follow a side with its SYN (`tcp_init_sender`)."""
    sender.end = sender.maximum_end = segment.end
    sender.maximum_window = segment.window or 1
    read_options(segment.options, sender)
    if direction == 1 and not sender.flags & receiver.flags & WINDOW_SCALE:
        # RFC 7323: both must send the option for either to scale.
        sender.scale = receiver.scale = 0


def _meet_sender(tracking: TcpTracking, direction: int, segment: Segment, sack: int) -> bool:
    """Learn of a sender not seen before, or of a SYN that starts over. True: enough, the segment is accepted."""
    sender, receiver = tracking.sides[direction], tracking.sides[1 - direction]
    if sender.maximum_window == 0:
        if segment.flags & SYN:
            start_side(sender, receiver, segment, direction)
            return not segment.flags & ACK
        # In the middle of a connection: take what the segment says.
        sender.end = segment.end
        sender.maximum_window = (segment.window << sender.scale) or 1
        sender.maximum_end = (segment.end + sender.maximum_window) & _U32
        if receiver.maximum_window == 0:
            receiver.end = receiver.maximum_end = sack
        elif sack == (receiver.end + 1) & _U32:  # the answer to a keepalive
            receiver.end = sack
        return False
    if (
        segment.flags & SYN
        and before(sender.end, segment.end)
        and tracking.state in (TcpState.SYN_SENT, TcpState.SYN_RECV)
    ):
        start_side(sender, receiver, segment, direction)
        return direction == 1 and not segment.flags & ACK
    return False


def check_window(tracking: TcpTracking, direction: int, segment: Segment, *, liberal: bool) -> WindowVerdict:
    """Check a segment against the window and, if it is in it, move the window on."""
    sender, receiver = tracking.sides[direction], tracking.sides[1 - direction]
    sequence, end = segment.sequence, segment.end
    ack = segment.ack
    sack = highest_sack(segment.options, ack) if receiver.flags & SACK_PERMITTED else ack
    if (sender.maximum_window == 0 or segment.flags & SYN) and _meet_sender(tracking, direction, segment, sack):
        return WindowVerdict.ACCEPT
    flags = segment.flags
    if not flags & ACK or (flags & RST and ack == 0):  # some stacks set ACK in a RST and leave the number zero
        ack = sack = receiver.end
    if flags & RST and sequence == 0 and tracking.state == TcpState.SYN_SENT:
        sequence = end = sender.end
    verdict = _bounds(sender, receiver, sequence, end, sack)
    if verdict is not WindowVerdict.ACCEPT:
        return WindowVerdict.ACCEPT if liberal or sender.flags & LIBERAL else verdict
    _advance(sender, receiver, segment, end, ack, sack)
    if segment.kind is SegmentKind.ACK:
        _count_retransmission(tracking, direction, segment, sequence, end, ack)
    return WindowVerdict.ACCEPT


def _bounds(sender: TcpSide, receiver: TcpSide, sequence: int, end: int, sack: int) -> WindowVerdict:
    ack_window = max(sender.maximum_window, _MAXIMUM_ACK_WINDOW)
    ack_is_recent = before(receiver.end - ack_window - 1, sack)
    ack_is_known = before(sack, receiver.end + 1)
    in_receive_window = before(sender.end - receiver.maximum_window - 1, end)
    if not before(sequence, sender.maximum_end + 1):
        overshoot = (end - sender.maximum_end + 1) & _U32
        if (
            receiver.maximum_window
            and in_receive_window
            and ack_is_recent
            and overshoot <= receiver.maximum_window
            and ack_is_known
        ):
            # Only a little too much: the receiver may take it, and its ACK must then not look invalid.
            sender.end = end
            sender.flags |= UNACKNOWLEDGED
            return WindowVerdict.IGNORE
        return WindowVerdict.INVALID
    if not ack_is_known:
        return WindowVerdict.INVALID
    if (receiver.maximum_window and not in_receive_window) or not ack_is_recent:
        return WindowVerdict.IGNORE
    return WindowVerdict.ACCEPT


def _advance(sender: TcpSide, receiver: TcpSide, segment: Segment, end: int, ack: int, sack: int) -> None:
    window = segment.window if segment.flags & SYN else segment.window << sender.scale
    announced = (window + (sack - ack)) & _U32
    sender.maximum_window = max(sender.maximum_window, announced)
    if before(sender.end, end):
        sender.end = end
        sender.flags |= UNACKNOWLEDGED
    if segment.flags & ACK:
        if not sender.flags & MAXIMUM_ACK_SET:
            sender.maximum_ack = ack
            sender.flags |= MAXIMUM_ACK_SET
        elif before(sender.maximum_ack, ack):
            sender.maximum_ack = ack
    if receiver.maximum_window and before(sender.maximum_end, end):
        receiver.maximum_window = (receiver.maximum_window + end - sender.maximum_end) & _U32
    if before(receiver.maximum_end - 1, sack + window):
        receiver.maximum_end = (sack + window + (window == 0)) & _U32
    if ack == receiver.end:
        receiver.flags &= ~UNACKNOWLEDGED


def _count_retransmission(
    tracking: TcpTracking, direction: int, segment: Segment, sequence: int, end: int, ack: int
) -> None:
    if (
        tracking.last_direction == direction
        and tracking.last_sequence == sequence
        and tracking.last_ack == ack
        and tracking.last_end == end
        and tracking.last_window == segment.window
    ):
        tracking.retransmissions += 1
        return
    tracking.last_direction = direction
    tracking.last_sequence = sequence
    tracking.last_ack = ack
    tracking.last_end = end
    tracking.last_window = segment.window
    tracking.retransmissions = 0
