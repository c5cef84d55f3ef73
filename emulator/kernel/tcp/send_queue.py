"""What goes out: data that waits to be sent, segments that wait for their acknowledgement, and the peer's window."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from itertools import islice

SEND_BUFFER = 524_288  # bytes, sent and unsent, at first
REORDERING = 3  # segments that may overtake another before it counts as lost (DupThresh of RFC 6675)


class Sent:
    """What was sent at once and is not acknowledged yet: one segment, or several of `mss` bytes that went as one frame.

    `flags` has SYN or FIN, which take a number as a byte of data does. `count` is how many segments it is (of Linux's
    skb, `tcp_skb_pcount`); whatever befalls some of them only cuts it first.
    """

    __slots__ = (
        "count", "end", "flags", "lost", "mss", "payload", "repeated", "repeats", "sacked", "sent_at", "sequence",
    )  # fmt: skip

    def __init__(
        self, sequence: int, end: int, payload: bytes | memoryview, flags: int, sent_at: float, mss: int
    ) -> None:
        self.sequence = sequence
        self.end = end
        self.payload = payload
        self.flags = flags
        self.sent_at = sent_at
        self.mss = mss
        self.count = -(-len(payload) // mss) or 1
        self.repeats = 0  # how often it was sent again
        self.sacked = False  # the peer holds it out of order
        self.lost = False  # believed lost
        self.repeated = False  # lost, and sent again since


class SendQueue:
    """Sequence numbers are unwrapped: `una` is the oldest without acknowledgement, `next` the next to be sent.

    `window` is what the peer allows beyond `una`, in bytes; `shift` its window scale.
    """

    __slots__ = (
        "_pending",
        "_position",
        "limit",
        "lost",
        "max_window",
        "next",
        "outstanding",
        "pending",
        "repeated",
        "retransmits",
        "sacked",
        "segments",
        "shift",
        "small_end",
        "una",
        "window",
        "wl1",
    )

    def __init__(self, limit: int = SEND_BUFFER) -> None:
        self.limit = limit
        self.una = self.next = 0
        self.window = 0
        self.max_window = 0
        self.shift = 0
        self.wl1 = 0  # the sequence number of the last window update
        self.pending = 0  # bytes not sent yet
        self._pending: deque[bytes] = deque()
        self._position = 0  # in the first of them
        self.small_end = 0  # the end of the last segment that was less than full
        self.segments: deque[Sent] = deque()
        self.outstanding = 0  # how many segments that is
        self.sacked = self.lost = self.repeated = 0  # how many of them have these marks
        self.retransmits = 0  # segments sent again since the beginning (tcpi_total_retrans)

    def begin(self, initial: int) -> None:
        """Start with our SYN, whose number is `initial`."""
        self.una = self.next = initial

    @property
    def in_flight(self) -> int:
        """Segments that are believed to be on their way (`tcp_packets_in_flight`)."""
        return self.outstanding - self.sacked - self.lost + self.repeated

    @property
    def room(self) -> int:
        """Bytes that the program may write now."""
        return max(self.limit - self.pending - (self.next - self.una), 0)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Queue data; returns how many bytes there was room for."""
        taken = min(len(data), self.room)
        if taken:
            self._pending.append(bytes(data[:taken]))
            self.pending += taken
        return taken

    def take(self, size: int) -> bytes:
        """Take `size` bytes (no more than `pending`) for a segment."""
        first = self._pending[0]
        position = self._position
        self.pending -= size
        if len(first) - position > size:
            self._position = position + size
            return first[position : position + size]
        parts = [first[position:]] if position else [first]
        size -= len(parts[0])
        self._pending.popleft()
        self._position = 0
        while size:
            first = self._pending[0]
            if len(first) > size:
                parts.append(first[:size])
                self._position = size
                break
            parts.append(self._pending.popleft())
            size -= len(first)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def add(self, payload: bytes, flags: int, length: int, now: float, mss: int) -> Sent:
        """Note what is sent now, in segments of `mss` bytes; `length` is what it takes of the sequence space."""
        sent = Sent(self.next, self.next + length, payload, flags, now, mss)
        self.next = sent.end
        self.segments.append(sent)
        self.outstanding += sent.count
        if len(payload) % mss:
            self.small_end = sent.end
        return sent

    def acknowledge(self, ack: int) -> tuple[int, float | None]:
        """Forget what is acknowledged below `ack`: returns how many segments, and when the first of them was sent.

        None for the time if one of them was repeated: a hole was filled, and those behind it waited for that at the
        peer (Karn's algorithm, `tcp_clean_rtx_queue`).
        """
        segments = self.segments
        count = 0
        sent_at = None
        repeated = False
        while segments and segments[0].end <= ack:
            sent = segments.popleft()
            count += sent.count
            if sent.repeats:
                repeated = True
            elif sent_at is None and not sent.sacked:
                sent_at = sent.sent_at
            if sent.sacked or sent.lost:
                self._unmark(sent)
        self.outstanding -= count
        if segments and segments[0].sequence < ack:
            head = segments[0]
            trimmed = self._trim(head, ack)
            count += trimmed
            if head.repeats:
                repeated = repeated or trimmed > 0
            elif trimmed and sent_at is None and not head.sacked:
                sent_at = head.sent_at
        self.una = ack
        return count, None if repeated else sent_at

    def mark_sacked(self, blocks: Iterable[tuple[int, int]]) -> int:
        """Mark what the peer says it holds; returns how many segments that were not marked before."""
        fresh = 0
        segments = self.segments
        for left, right in blocks:
            self._cut_at(left, -1)
            self._cut_at(right, 0)
            first = bisect_left(segments, left, key=_sequence)
            for sent in islice(segments, first, None):
                if sent.end > right:
                    break
                if not sent.sacked:
                    self._unmark(sent)
                    sent.sacked = True
                    self.sacked += sent.count
                    fresh += sent.count
        return fresh

    def mark_lost_by_sack(self) -> bool:
        """Mark segments that three or more later ones have overtaken (RFC 6675, IsLost); True if there is one."""
        above = self.sacked
        found = False
        for sent in self.segments:
            if above < REORDERING:
                break
            if sent.sacked:
                above -= sent.count
            elif not sent.lost:
                self._mark_lost(sent)
                found = True
        return found

    def mark_head_lost(self) -> None:
        """Mark the oldest segment, without SACK to tell of others (RFC 6582)."""
        head = self.segments[0]
        if not head.lost and not head.sacked:
            self.cut(head, 1)
            self._mark_lost(head)

    def mark_all_lost(self) -> None:
        """Mark everything that the peer is not known to hold: the retransmission timer ran out.

        If it is said to hold even the oldest, it has thrown away what it held, and all marks go (RFC 2018 section 8).
        """
        reneged = bool(self.segments) and self.segments[0].sacked
        for sent in self.segments:
            if sent.sacked and not reneged:
                continue
            self._unmark(sent)
            self._mark_lost(sent)

    def next_lost(self) -> Sent | None:
        """Return the oldest lost segment that was not sent again yet."""
        if self.lost == self.repeated:
            return None
        return next((sent for sent in self.segments if sent.lost and not sent.repeated), None)

    def note_repeat(self, sent: Sent, now: float) -> None:
        """Note that a segment is sent again now."""
        sent.repeats += 1
        self.retransmits += sent.count
        sent.sent_at = now
        if sent.lost and not sent.repeated:
            sent.repeated = True
            self.repeated += sent.count

    def cut(self, sent: Sent, count: int) -> None:
        """Make the first `count` segments of what was sent at once stand alone, if it is more (`tcp_fragment`)."""
        if count < sent.count:
            self._cut(self.segments.index(sent), count)

    def set_mss(self, mss: int) -> None:
        """Segments longer than a lowered size did not get through: they are lost, and go again in shorter ones.

        (`tcp_simple_retransmit`.)
        """
        for sent in self.segments:
            if sent.sacked or min(len(sent.payload), sent.mss) <= mss:
                continue
            self._unmark(sent)
            before = sent.count
            sent.mss = mss
            sent.count = -(-len(sent.payload) // mss)
            self.outstanding += sent.count - before
            sent.repeats = max(sent.repeats, 1)  # so that it gives no round-trip time
            self._mark_lost(sent)

    def clear(self) -> None:
        """Let go of all data."""
        self._pending.clear()
        self.segments.clear()
        self.pending = self._position = self.outstanding = self.sacked = self.lost = self.repeated = 0

    def _cut_at(self, edge: int, rounding: int) -> None:
        """Cut what lies across the edge of a SACK block, between two segments: up with -1, down with 0."""
        index = bisect_left(self.segments, edge, key=_sequence) - 1
        if index < 0:
            return
        sent = self.segments[index]
        if sent.count > 1 and edge < sent.end and not sent.sacked:
            inside = edge - sent.sequence + rounding
            count = inside // sent.mss - rounding
            if 0 < count < sent.count:
                self._cut(index, count)

    def _cut(self, index: int, count: int) -> None:
        sent = self.segments[index]
        size = count * sent.mss
        payload = memoryview(sent.payload)
        rest = Sent(sent.sequence + size, sent.end, payload[size:], sent.flags, sent.sent_at, sent.mss)
        rest.repeats, rest.sacked, rest.lost, rest.repeated = sent.repeats, sent.sacked, sent.lost, sent.repeated
        sent.payload, sent.end, sent.flags, sent.count = payload[:size], rest.sequence, 0, count
        self.segments.insert(index + 1, rest)

    def _trim(self, head: Sent, ack: int) -> int:
        """Forget the acknowledged beginning of the oldest; returns how many segments that was (`tcp_tso_acked`)."""
        head.payload = memoryview(head.payload)[ack - head.sequence :]
        head.sequence = ack
        count = -(-len(head.payload) // head.mss) or 1
        trimmed = head.count - count
        head.count = count
        self.outstanding -= trimmed
        self.sacked -= trimmed * head.sacked
        self.lost -= trimmed * head.lost
        self.repeated -= trimmed * head.repeated
        return trimmed

    def _mark_lost(self, sent: Sent) -> None:
        sent.lost = True
        self.lost += sent.count

    def _unmark(self, sent: Sent) -> None:
        count = sent.count
        self.sacked -= sent.sacked * count
        self.lost -= sent.lost * count
        self.repeated -= sent.repeated * count
        sent.sacked = sent.lost = sent.repeated = False


def _sequence(sent: Sent) -> int:
    return sent.sequence
