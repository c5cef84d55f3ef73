"""What goes out: messages cut into chunks, what is on its way, what is lost, and how much may be in flight.

RFC 9260 sections 6.1, 6.3 and 7.2. Numbers are unwrapped; sizes are bytes of users' data, as SCTP counts them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from emulator.kernel.sequence import MASK, unwrap
from emulator.packet.sctp_chunks import FIRST, LAST, UNORDERED, Data, Sack

SEND_BUFFER = 212_992  # net.core.wmem_default
MISSING_REPORTS = 3  # SACKs that miss a chunk before it counts as lost (section 7.2.4)
_ORDER_MASK = 0xFFFF


class Piece:
    """One DATA chunk. `missing` counts the SACKs that had later ones but not this."""

    __slots__ = ("data", "flags", "held", "lost", "missing", "sends", "sent_at", "tsn")

    def __init__(self, tsn: int, data: Data, flags: int) -> None:
        self.tsn = tsn
        self.data = data
        self.flags = flags
        self.sends = 0
        self.sent_at = 0.0
        self.held = False  # the peer has it, beyond a gap
        self.lost = False  # to be sent again
        self.missing = 0

    @property
    def size(self) -> int:
        """Bytes of the user's."""
        return len(self.data.payload)


class Outbound:
    """`acknowledged` is the last number up to which the peer has all; `window` what it had room for beyond that."""

    __slots__ = (
        "_orders", "_partly", "_recovering", "acknowledged", "flight", "flying", "limit", "mtu", "next", "pending",
        "queued", "threshold", "window", "window_limit",
    )  # fmt: skip

    def __init__(self, first: int, window: int, mtu: int, limit: int = SEND_BUFFER) -> None:
        self.next = first
        self.acknowledged = first - 1
        self.window = window
        self.mtu = mtu
        self.limit = limit
        self.window_limit = min(4 * mtu, max(2 * mtu, 4380))  # the congestion window (section 7.2.1)
        self.threshold = window
        self.flight = 0
        self.queued = 0  # bytes that wait, or are not acknowledged
        self.pending: deque[Piece] = deque()
        self.flying: deque[Piece] = deque()
        self._orders: dict[int, int] = {}
        self._partly = 0  # bytes acknowledged towards the next growth
        self._recovering: int | None = None  # fast recovery lasts until this number is acknowledged

    @property
    def empty(self) -> bool:
        """Whether the peer has acknowledged all that was queued."""
        return not self.pending and not self.flying

    @property
    def has_lost(self) -> bool:
        """Whether something is to be sent again."""
        return any(piece.lost for piece in self.flying)

    def write(self, payload: bytes, stream: int, ppid: int, *, unordered: bool, room: int) -> bool:
        """Queue a message, in chunks of at most `room` bytes; False if the buffer is full. One always fits in."""
        if self.queued and self.queued + len(payload) > self.limit:
            return False
        order = 0
        if not unordered:
            order = self._orders.get(stream, 0)
            self._orders[stream] = order + 1 & _ORDER_MASK
        flags = FIRST | (UNORDERED if unordered else 0)
        for start in range(0, len(payload), room):
            part = payload[start : start + room]
            if start + room >= len(payload):
                flags |= LAST
            self.pending.append(Piece(self.next, Data(self.next & MASK, stream, order, ppid, part), flags))
            self.next += 1
            flags &= ~FIRST
        self.queued += len(payload)
        return True

    def sendable(self, now: float) -> Iterator[Piece]:
        """Yield what may go now, the lost first, and note it as sent (section 6.1, rules A and B)."""
        if self.has_lost:
            for piece in list(self.flying):
                if piece.lost:
                    if self.flight and self.flight + piece.size > self.window_limit:
                        return
                    piece.lost = False
                    self._note(piece, now)
                    yield piece
        while self.pending and self.flight < self.window_limit:
            size = self.pending[0].size
            if self.flight and self.flight + size > self.window:
                return  # one may always be on its way, as the probe of a closed window
            piece = self.pending.popleft()
            self.flying.append(piece)
            self._note(piece, now)
            yield piece

    def take_sack(self, sack: Sack, now: float) -> tuple[int, float | None, bool] | None:
        """Take a SACK: bytes newly acknowledged, a round-trip time, whether a loss was found. None: old or wrong."""
        cumulative = unwrap(sack.cumulative, self.acknowledged)
        if cumulative < self.acknowledged or cumulative >= self.next - len(self.pending):
            return None
        in_flight = self.flight
        round_trip: float | None = None
        taken = 0
        advanced = cumulative > self.acknowledged
        while self.flying and self.flying[0].tsn <= cumulative:
            piece = self.flying.popleft()
            if piece.sends == 1 and not piece.held:
                round_trip = now - piece.sent_at
            taken += self._land(piece)
            self.queued -= piece.size
        self.acknowledged = cumulative
        held, highest = self._take_gaps(sack, cumulative)
        taken += held
        found = self._count_missing(highest)
        self.window = sack.window
        if self._recovering is not None and cumulative >= self._recovering:
            self._recovering = None
        if advanced and self._recovering is None:
            self._grow(taken, in_flight)
        return taken, round_trip, found

    def time_out(self) -> None:
        """The retransmission timer ran out: all that is on its way is lost (sections 6.3.3 and 7.2.3)."""
        self.threshold = max(self.window_limit // 2, 4 * self.mtu)
        self.window_limit = self.mtu
        self._partly = 0
        self._recovering = None
        for piece in self.flying:
            if not piece.held and not piece.lost:
                self._lose(piece)

    def clear(self) -> None:
        """Let go of all data."""
        self.pending.clear()
        self.flying.clear()
        self.flight = self.queued = 0

    def _take_gaps(self, sack: Sack, cumulative: int) -> tuple[int, int]:
        """Note what the peer holds; returns its bytes, as far as they are new, and the highest number of those."""
        taken = highest = 0
        for piece in self.flying:
            offset = piece.tsn - cumulative
            held = any(first <= offset <= last for first, last in sack.gaps)
            if held and not piece.held:
                taken += self._land(piece)
                piece.held = True
                highest = piece.tsn
            elif piece.held and not held:  # it has thrown it away again
                piece.held = False
                self._lose(piece, counted=False)
        return taken, highest

    def _count_missing(self, highest: int) -> bool:
        """Count the chunks that later ones have overtaken; returns whether one of them is lost (section 7.2.4)."""
        found = False
        for piece in self.flying:
            if piece.tsn >= highest:
                break
            if piece.held or piece.lost or piece.sends > 1:
                continue
            piece.missing += 1
            if piece.missing == MISSING_REPORTS:
                self._lose(piece)
                found = True
        if found and self._recovering is None:
            self.threshold = max(self.window_limit // 2, 4 * self.mtu)
            self.window_limit = self.threshold
            self._partly = 0
            self._recovering = self.flying[-1].tsn
        return found

    def _grow(self, taken: int, in_flight: int) -> None:
        """Slow start and congestion avoidance (sections 7.2.1 and 7.2.2)."""
        full = in_flight + self.mtu > self.window_limit
        if self.window_limit <= self.threshold:
            if full:
                self.window_limit += min(taken, self.mtu)
            return
        self._partly += taken
        if self._partly >= self.window_limit and full:
            self._partly -= self.window_limit
            self.window_limit += self.mtu

    def _note(self, piece: Piece, now: float) -> None:
        piece.sends += 1
        piece.sent_at = now
        self.flight += piece.size

    def _land(self, piece: Piece) -> int:
        """A chunk arrived; returns its bytes if that was not known."""
        if piece.held:
            return 0
        if piece.lost:
            piece.lost = False
        else:
            self.flight -= piece.size
        return piece.size

    def _lose(self, piece: Piece, *, counted: bool = True) -> None:
        piece.lost = True
        if counted:
            self.flight -= piece.size
