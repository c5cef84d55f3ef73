"""What came in: data in order that nobody has read, data out of order, and the window that the peer may fill."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

RECEIVE_BUFFER = 65_536  # bytes, at first
MAXIMUM_BLOCKS = 3  # SACK blocks beside timestamps (RFC 2018 section 3)

_COALESCE = 4096


class ReceiveQueue:
    """Reassembly. Sequence numbers are unwrapped.

    `next` is the number that is awaited (RCV.NXT), `edge` the right edge of the window that was advertised, `acked` the
    acknowledgement that was sent last. `fin` is the number of the peer's FIN once it is known.
    """

    __slots__ = ("_chunks", "_held", "_latest", "_starts", "acked", "edge", "fin", "limit", "next", "size")

    def __init__(self, limit: int = RECEIVE_BUFFER) -> None:
        self.limit = limit
        self.next = 0
        self.edge = 0
        self.acked = 0
        self.fin: int | None = None
        self.size = 0  # bytes in order
        self._chunks: deque[bytes] = deque()
        self._starts: list[int] = []  # of the pieces out of order, sorted; they do not overlap
        self._held: list[bytes] = []
        self._latest = 0  # where the piece that came last lies, for the first SACK block

    def begin(self, initial: int, window: int) -> None:
        """Start behind the peer's SYN, whose number is `initial`, with the window that our SYN told."""
        self.next = self.acked = initial + 1
        self.edge = self.next + window

    @property
    def has_gap(self) -> bool:
        """Whether something is held out of order."""
        return bool(self._starts)

    def append(self, payload: bytes) -> None:
        """Take data that begins at `next`, with nothing out of order held."""
        self.next += len(payload)
        self._store(payload)

    def add(self, sequence: int, payload: bytes) -> bool:
        """Take data within the window; True if `next` moved. What was there already is not stored twice."""
        end = sequence + len(payload)
        if sequence <= self.next:
            if end <= self.next:
                return False
            self.append(payload[self.next - sequence :])
            self._join()
            return True
        self._hold(sequence, payload)
        return False

    def read(self, size: int) -> bytes:
        """Take up to `size` bytes in order; empty if there are none."""
        chunks = self._chunks
        if not chunks:
            return b""
        first = chunks[0]
        if len(first) >= size:
            chunks.popleft()
            if len(first) > size:
                chunks.appendleft(first[size:])
                first = first[:size]
            self.size -= len(first)
            return first
        taken = []
        room = size
        while chunks and room:
            chunk = chunks.popleft()
            if len(chunk) > room:
                chunks.appendleft(chunk[room:])
                chunk = chunk[:room]
            taken.append(chunk)
            room -= len(chunk)
        self.size -= size - room
        return b"".join(taken)

    def clear(self) -> None:
        """Let go of all data."""
        self._chunks.clear()
        self._starts.clear()
        self._held.clear()
        self.size = 0

    def select_window(self, mss: int, shift: int) -> int:
        """Return the window field to send, and move `edge`. Never takes back what was told, nor tells of crumbs.

        RFC 9293 section 3.8.6.2.2 (silly window avoidance); `tcp_select_window` of Linux.
        """
        free = self.limit - self.size
        if free < min(self.limit // 2, mss):
            free = 0
        told = max(self.edge - self.next, 0)
        if free < told:
            field = (told + (1 << shift) - 1) >> shift
        else:
            field = free >> shift
        field = min(field, 0xFFFF)
        self.edge = max(self.edge, self.next + (field << shift))
        return field

    def blocks(self) -> list[tuple[int, int]]:
        """Return what is held out of order as (left, right) edges, at most three, the one that grew last first."""
        merged: list[tuple[int, int]] = []
        for start, piece in zip(self._starts, self._held, strict=True):
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], start + len(piece))
            else:
                merged.append((start, start + len(piece)))
        merged.sort(key=lambda block: not block[0] <= self._latest < block[1])
        return merged[:MAXIMUM_BLOCKS]

    def _store(self, payload: bytes) -> None:
        chunks = self._chunks
        self.size += len(payload)
        if chunks and len(chunks[-1]) + len(payload) <= _COALESCE:
            chunks[-1] += payload  # so that a sender of single bytes does not cost an object each
        else:
            chunks.append(payload)

    def _hold(self, sequence: int, payload: bytes) -> None:
        """Keep a piece beyond `next`, cut to what no other piece has."""
        starts, held = self._starts, self._held
        self._latest = sequence
        end = sequence + len(payload)
        index = bisect_left(starts, sequence)
        if index and (covered := starts[index - 1] + len(held[index - 1])) > sequence:
            if covered >= end:
                return
            payload = payload[covered - sequence :]
            sequence = covered
        while sequence < end:
            following = starts[index] if index < len(starts) else end
            if following > sequence:
                piece = payload[: following - sequence]
                starts.insert(index, sequence)
                held.insert(index, piece)
                payload = payload[len(piece) :]
                sequence += len(piece)
                index += 1
            if sequence >= end:
                return
            skipped = min(len(held[index]), end - sequence)
            payload = payload[skipped:]
            sequence += skipped
            index += 1

    def _join(self) -> None:
        """Move what is in order now from the pieces held."""
        starts, held = self._starts, self._held
        count = 0
        for start, piece in zip(starts, held, strict=True):
            if start > self.next:
                break
            count += 1
            if start + len(piece) > self.next:
                self.append(piece[self.next - start :])
        del starts[:count]
        del held[:count]
