"""What came in: which numbers, what SACK says of them, and messages put together and in their stream's order.

Transmission sequence numbers (TSN) are unwrapped: plain ints that never wrap.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from emulator.kernel.sequence import MASK, unwrap
from emulator.packet.sctp_chunks import FIRST, LAST, UNORDERED, Data, Sack

RECEIVE_BUFFER = 106_496  # bytes of users' data: half of net.core.rmem_default, as Linux's sctp_assoc_set_rwnd has it
MAXIMUM_AHEAD = 0xFFFF  # a gap's offset has 16 bits
MAXIMUM_GAPS = 128
MAXIMUM_DUPLICATES = 16
_ORDER_MASK = 0xFFFF


class Message(Struct, frozen=True):
    """One whole message of the peer's program; `ppid` is the payload protocol identifier that it gave."""

    payload: bytes
    stream: int
    ppid: int
    unordered: bool


class Inbound:
    """`cumulative` is the last number up to which all came; `size` the bytes that nobody has read."""

    __slots__ = ("_ahead", "_awaited", "_duplicates", "_pieces", "_waiting", "cumulative", "limit", "ready", "size")

    def __init__(self, first: int, limit: int = RECEIVE_BUFFER) -> None:
        self.cumulative = first - 1
        self.limit = limit
        self.size = 0
        self.ready: deque[Message] = deque()
        self._ahead: set[int] = set()
        self._duplicates: list[int] = []
        self._pieces: dict[int, tuple[int, Data]] = {}  # flags and chunk by number, until their message is whole
        self._waiting: dict[int, dict[int, Message]] = {}  # by stream and order, whole but too early
        self._awaited: dict[int, int] = {}  # the order that each stream awaits

    @property
    def has_gap(self) -> bool:
        """Whether something came before what is awaited."""
        return bool(self._ahead)

    def take(self, data: Data, flags: int, *, discard: bool = False) -> bool:
        """Take a chunk; False if it is a repetition, too far ahead, or there is no room for it.

        With `discard` it is only acknowledged.
        """
        tsn = unwrap(data.tsn, self.cumulative)
        if tsn <= self.cumulative or tsn in self._ahead:
            if len(self._duplicates) < MAXIMUM_DUPLICATES:
                self._duplicates.append(tsn & MASK)
            return False
        fills = tsn == self.cumulative + 1
        if tsn - self.cumulative > MAXIMUM_AHEAD or (self.size >= self.limit and not (fills and self._ahead)):
            return False
        self._ahead.add(tsn)
        while self.cumulative + 1 in self._ahead:
            self.cumulative += 1
            self._ahead.remove(self.cumulative)
        if discard:
            return True
        self._pieces[tsn] = flags, data
        self.size += len(data.payload)
        self._join(tsn)
        return True

    def read(self) -> Message | None:
        """Take the next message; None if there is none."""
        if not self.ready:
            return None
        message = self.ready.popleft()
        self.size -= len(message.payload)
        return message

    def sack(self) -> Sack:
        """Say what came, and forget the duplicates that are told by it."""
        gaps: list[tuple[int, int]] = []
        for tsn in sorted(self._ahead):
            offset = tsn - self.cumulative
            if gaps and gaps[-1][1] == offset - 1:
                gaps[-1] = gaps[-1][0], offset
            else:
                gaps.append((offset, offset))
        duplicates, self._duplicates = tuple(self._duplicates), []
        window = max(self.limit - self.size, 0)
        return Sack(self.cumulative & MASK, window, tuple(gaps[:MAXIMUM_GAPS]), duplicates)

    def clear(self) -> None:
        """Let go of all data."""
        self.ready.clear()
        self._pieces.clear()
        self._waiting.clear()
        self.size = 0

    def _join(self, tsn: int) -> None:
        """Put the message together that this chunk belongs to, if it is whole (section 6.9)."""
        pieces = self._pieces
        first = last = tsn
        while not pieces[first][0] & FIRST:
            first -= 1
            if first not in pieces:
                return
        while not pieces[last][0] & LAST:
            last += 1
            if last not in pieces:
                return
        flags, head = pieces[first]
        payload = b"".join(pieces.pop(number)[1].payload for number in range(first, last + 1))
        message = Message(payload, head.stream, head.ppid, bool(flags & UNORDERED))
        if message.unordered:
            self.ready.append(message)
            return
        self._waiting.setdefault(head.stream, {})[head.order] = message
        self._deliver(head.stream)

    def _deliver(self, stream: int) -> None:
        waiting = self._waiting[stream]
        awaited = self._awaited.get(stream, 0)
        while (message := waiting.pop(awaited, None)) is not None:
            self.ready.append(message)
            awaited = awaited + 1 & _ORDER_MASK
        self._awaited[stream] = awaited
        if not waiting:
            del self._waiting[stream]
