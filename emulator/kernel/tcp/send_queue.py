"""What goes out: data that waits to be sent, segments that wait for their acknowledgement, and the peer's window."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

SEND_BUFFER = 524_288  # bytes, sent and unsent, at first
REORDERING = 3  # segments that may overtake another before it counts as lost (DupThresh of RFC 6675)


class Sent:
    """One segment that is not acknowledged yet. `flags` has SYN or FIN, which take a number as a byte of data does."""

    __slots__ = ("end", "flags", "lost", "payload", "repeated", "repeats", "sacked", "sent_at", "sequence")

    def __init__(self, sequence: int, end: int, payload: bytes, flags: int, sent_at: float) -> None:
        self.sequence = sequence
        self.end = end
        self.payload = payload
        self.flags = flags
        self.sent_at = sent_at
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
        "pending",
        "repeated",
        "sacked",
        "segments",
        "shift",
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
        self.segments: deque[Sent] = deque()
        self.sacked = self.lost = self.repeated = 0  # how many of `segments` have these marks

    def begin(self, initial: int) -> None:
        """Start with our SYN, whose number is `initial`."""
        self.una = self.next = initial

    @property
    def in_flight(self) -> int:
        """Segments that are believed to be on their way (`tcp_packets_in_flight`)."""
        return len(self.segments) - self.sacked - self.lost + self.repeated

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

    def add(self, payload: bytes, flags: int, length: int, now: float) -> Sent:
        """Note a segment that is sent now; `length` is what it takes of the sequence space."""
        sent = Sent(self.next, self.next + length, payload, flags, now)
        self.next = sent.end
        self.segments.append(sent)
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
            count += 1
            if sent.repeats:
                repeated = True
            elif sent_at is None and not sent.sacked:
                sent_at = sent.sent_at
            if sent.sacked or sent.lost:
                self._unmark(sent)
        if segments and segments[0].sequence < ack:
            head = segments[0]
            head.payload = head.payload[ack - head.sequence :]
            head.sequence = ack
        self.una = ack
        return count, None if repeated else sent_at

    def mark_sacked(self, blocks: Iterable[tuple[int, int]]) -> int:
        """Mark what the peer says it holds; returns how many segments that were not marked before."""
        fresh = 0
        for left, right in blocks:
            for sent in self.segments:
                if sent.sequence >= right:
                    break
                if not sent.sacked and sent.sequence >= left and sent.end <= right:
                    self._unmark(sent)
                    sent.sacked = True
                    self.sacked += 1
                    fresh += 1
        return fresh

    def mark_lost_by_sack(self) -> bool:
        """Mark segments that three or more later ones have overtaken (RFC 6675, IsLost); True if there is one."""
        above = self.sacked
        found = False
        for sent in self.segments:
            if above < REORDERING:
                break
            if sent.sacked:
                above -= 1
            elif not sent.lost:
                self._mark_lost(sent)
                found = True
        return found

    def mark_head_lost(self) -> None:
        """Mark the oldest segment, without SACK to tell of others (RFC 6582)."""
        head = self.segments[0]
        if not head.lost and not head.sacked:
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
        sent.sent_at = now
        if sent.lost and not sent.repeated:
            sent.repeated = True
            self.repeated += 1

    def split(self, mss: int) -> None:
        """Cut segments that are longer than a lowered segment size, and mark them lost: they did not get through."""
        old = list(self.segments)
        self.segments.clear()
        for sent in old:
            if len(sent.payload) <= mss or sent.sacked:
                self.segments.append(sent)
                continue
            self._unmark(sent)
            for start in range(0, len(sent.payload), mss):
                piece = sent.payload[start : start + mss]
                last = start + mss >= len(sent.payload)
                begin = sent.sequence + start
                end = sent.end if last else begin + len(piece)
                part = Sent(begin, end, piece, sent.flags if last else 0, sent.sent_at)
                part.repeats = 1  # so that it gives no round-trip time
                self.segments.append(part)
                self._mark_lost(part)

    def clear(self) -> None:
        """Let go of all data."""
        self._pending.clear()
        self.segments.clear()
        self.pending = self._position = self.sacked = self.lost = self.repeated = 0

    def _mark_lost(self, sent: Sent) -> None:
        sent.lost = True
        self.lost += 1

    def _unmark(self, sent: Sent) -> None:
        self.sacked -= sent.sacked
        self.lost -= sent.lost
        self.repeated -= sent.repeated
        sent.sacked = sent.lost = sent.repeated = False
