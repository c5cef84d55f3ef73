"""Whether a TCP segment is in the window that both sides of its connection allow, as far as it was seen.

After Guido van Rooij's "Real Stateful TCP Packet Filtering in IP Filter", with the bounds of `tcp_in_window` in
nf_conntrack_proto_tcp.c: the data may not lie above what the receiver announced, nor the ACK above what was sent.
"""

from __future__ import annotations

import enum
import struct
from array import array
from typing import Final

from emulator.kernel.netfilter.conntrack.tcp_state import (
    END,
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
    PLAIN_ACK,
    SACK_PERMITTED,
    SCALE,
    SIDE,
    UNACKNOWLEDGED,
    WINDOW_SCALE,
    SegmentKind,
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


IN_WINDOW: Final = WindowVerdict.ACCEPT


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


def read_options(words: array[int], side: int, options: bytes) -> None:
    """Note window scaling and whether selective ACKs are allowed, from a SYN's options, in the words of one side."""
    if not options:
        return
    words[side + SCALE] = 0
    words[side + FLAGS] &= LIBERAL
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
            words[side + FLAGS] |= SACK_PERMITTED
        elif kind == 3 and size == 3:
            words[side + SCALE] = min(options[at + 2], _MAXIMUM_SCALE)
            words[side + FLAGS] |= WINDOW_SCALE
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


def _start_side(words: array[int], sender: int, receiver: int, segment: Segment) -> None:
    """Begin to follow a side with its SYN (`tcp_init_sender`)."""
    words[sender + END] = words[sender + MAXIMUM_END] = segment.end
    words[sender + MAXIMUM_WINDOW] = segment.window or 1
    read_options(words, sender, segment.options)
    if sender and not words[sender + FLAGS] & words[receiver + FLAGS] & WINDOW_SCALE:
        # RFC 7323: both must send the option for either to scale.
        words[sender + SCALE] = words[receiver + SCALE] = 0


def _meet_sender(tracking: TcpTracking, sender: int, receiver: int, segment: Segment, sack: int) -> bool:
    """Learn of a sender not seen before, or of a SYN that starts over. True: enough, the segment is accepted."""
    words = tracking.words
    if words[sender + MAXIMUM_WINDOW] == 0:
        if segment.flags & SYN:
            _start_side(words, sender, receiver, segment)
            return not segment.flags & ACK
        # In the middle of a connection: take what the segment says.
        window = (segment.window << words[sender + SCALE]) or 1
        words[sender + END] = segment.end
        words[sender + MAXIMUM_WINDOW] = window
        words[sender + MAXIMUM_END] = (segment.end + window) & _U32
        if words[receiver + MAXIMUM_WINDOW] == 0:
            words[receiver + END] = words[receiver + MAXIMUM_END] = sack
        elif sack == (words[receiver + END] + 1) & _U32:  # the answer to a keepalive
            words[receiver + END] = sack
        return False
    if (
        segment.flags & SYN
        and before(words[sender + END], segment.end)
        and tracking.state in (TcpState.SYN_SENT, TcpState.SYN_RECV)
    ):
        _start_side(words, sender, receiver, segment)
        return sender > 0 and not segment.flags & ACK
    return False


def check_window(tracking: TcpTracking, direction: int, segment: Segment, *, liberal: bool) -> WindowVerdict:
    """Check a segment against the window and, if it is in it, move the window on."""
    words = tracking.words
    sender, receiver = direction * SIDE, (1 - direction) * SIDE
    sequence, end = segment.sequence, segment.end
    ack, flags = segment.ack, segment.flags
    sack = highest_sack(segment.options, ack) if words[receiver + FLAGS] & SACK_PERMITTED else ack
    unseen = words[sender + MAXIMUM_WINDOW] == 0
    if (unseen or flags & SYN) and _meet_sender(tracking, sender, receiver, segment, sack):
        return IN_WINDOW
    if not flags & ACK or (flags & RST and ack == 0):  # some stacks set ACK in a RST and leave the number zero
        ack = sack = words[receiver + END]
    if flags & RST and sequence == 0 and tracking.state == TcpState.SYN_SENT:
        sequence = end = words[sender + END]
    verdict = _bounds(words, sender, receiver, sequence, end, sack)
    if verdict is not IN_WINDOW:
        return IN_WINDOW if liberal or words[sender + FLAGS] & LIBERAL else verdict
    _advance(words, sender, receiver, segment, end, ack, sack)
    if segment.kind is PLAIN_ACK:
        _count_retransmission(tracking, direction, segment, sequence, end, ack)
    return IN_WINDOW


def _bounds(words: array[int], sender: int, receiver: int, sequence: int, end: int, sack: int) -> WindowVerdict:
    sent, acknowledged = words[sender + END], words[receiver + END]
    maximum_end, window = words[sender + MAXIMUM_END], words[receiver + MAXIMUM_WINDOW]
    ack_window = max(words[sender + MAXIMUM_WINDOW], _MAXIMUM_ACK_WINDOW)
    ack_is_recent = before(acknowledged - ack_window - 1, sack)
    ack_is_known = before(sack, acknowledged + 1)
    in_receive_window = before(sent - window - 1, end)
    if not before(sequence, maximum_end + 1):
        overshoot = (end - maximum_end + 1) & _U32
        if window and in_receive_window and ack_is_recent and overshoot <= window and ack_is_known:
            # Only a little too much: the receiver may take it, and its ACK must then not look invalid.
            words[sender + END] = end
            words[sender + FLAGS] |= UNACKNOWLEDGED
            return WindowVerdict.IGNORE
        return WindowVerdict.INVALID
    if not ack_is_known:
        return WindowVerdict.INVALID
    if (window and not in_receive_window) or not ack_is_recent:
        return WindowVerdict.IGNORE
    return IN_WINDOW


def _advance(words: array[int], sender: int, receiver: int, segment: Segment, end: int, ack: int, sack: int) -> None:
    window = segment.window if segment.flags & SYN else segment.window << words[sender + SCALE]
    announced = (window + (sack - ack)) & _U32
    if announced > words[sender + MAXIMUM_WINDOW]:
        words[sender + MAXIMUM_WINDOW] = announced
    if before(words[sender + END], end):
        words[sender + END] = end
        words[sender + FLAGS] |= UNACKNOWLEDGED
    if segment.flags & ACK:
        if not words[sender + FLAGS] & MAXIMUM_ACK_SET:
            words[sender + MAXIMUM_ACK] = ack
            words[sender + FLAGS] |= MAXIMUM_ACK_SET
        elif before(words[sender + MAXIMUM_ACK], ack):
            words[sender + MAXIMUM_ACK] = ack
    if words[receiver + MAXIMUM_WINDOW] and before(words[sender + MAXIMUM_END], end):
        grown = words[receiver + MAXIMUM_WINDOW] + end - words[sender + MAXIMUM_END]
        words[receiver + MAXIMUM_WINDOW] = grown & _U32
    if before(words[receiver + MAXIMUM_END] - 1, sack + window):
        words[receiver + MAXIMUM_END] = (sack + window + (window == 0)) & _U32
    if ack == words[receiver + END]:
        words[receiver + FLAGS] &= ~UNACKNOWLEDGED


def _count_retransmission(
    tracking: TcpTracking, direction: int, segment: Segment, sequence: int, end: int, ack: int
) -> None:
    words = tracking.words
    if (
        tracking.last_direction == direction
        and words[LAST_SEQUENCE] == sequence
        and words[LAST_ACK] == ack
        and words[LAST_END] == end
        and words[LAST_WINDOW] == segment.window
    ):
        tracking.retransmissions += 1
        return
    tracking.last_direction = direction
    words[LAST_SEQUENCE] = sequence
    words[LAST_ACK] = ack
    words[LAST_END] = end
    words[LAST_WINDOW] = segment.window
    tracking.retransmissions = 0
