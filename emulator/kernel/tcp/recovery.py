"""What an acknowledgement says about our segments: what arrived, what was lost, how fast to go on.

Losses are counted as Linux's `tcp_ack` counts them; with SACK by RFC 6675, without by NewReno (RFC 6582).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.sequence import MASK, unwrap
from emulator.kernel.tcp import output
from emulator.kernel.tcp.congestion import Phase
from emulator.kernel.tcp.send_queue import REORDERING

if TYPE_CHECKING:
    from emulator.kernel.tcp.connection import TcpSocket
    from emulator.kernel.tcp.segment import Segment


def acknowledge(c: TcpSocket, segment: Segment, ack: int, *, window_changed: bool) -> None:
    """Take an acceptable acknowledgement number (una <= ack <= next) and the SACK blocks beside it."""
    tx = c.tx
    in_flight = tx.in_flight
    advanced = ack > tx.una
    fresh = _take_sack(c, segment) if c.sack and segment.options.sack else 0
    if advanced:
        _advance(c, segment, ack, in_flight)
    elif not c.sack and tx.segments and not segment.payload and not window_changed and tx.sacked < tx.outstanding - 1:
        tx.sacked += 1  # a duplicate: something later than the oldest has arrived
        fresh = 1
    if fresh or c.cc.phase is not Phase.OPEN:
        _look_for_losses(c, advanced=advanced)


def _advance(c: TcpSocket, segment: Segment, ack: int, in_flight: int) -> None:
    tx = c.tx
    count, sent_at = tx.acknowledge(ack)
    if not c.sack and tx.sacked:
        tx.sacked = min(max(tx.sacked - max(count - 1, 0), 0), max(tx.outstanding - 1, 0))
    _measure(c, segment, sent_at)
    c.timeouts = c.probes = 0
    c.stalled_since = None
    if c.cc.phase is not Phase.RECOVERY:
        c.cc.acknowledged(count, in_flight, c.now, c.rtt.smoothed or 0.0)
    if tx.segments:
        c.retransmit.start(c.rtt.timeout)
    else:
        c.retransmit.stop()


def _measure(c: TcpSocket, segment: Segment, sent_at: float | None) -> None:
    """Sample the round-trip time: of segments sent once, or by the echoed timestamp (RFC 7323 section 4.1)."""
    if sent_at is not None:
        c.rtt.sample(c.now - sent_at)
    elif c.timestamps and segment.timestamps is not None:
        elapsed = (output.timestamp(c) - segment.timestamps[1]) & MASK
        if elapsed < MASK >> 1:
            c.rtt.sample(elapsed / 1000)


def _look_for_losses(c: TcpSocket, *, advanced: bool) -> None:
    tx, cc = c.tx, c.cc
    if cc.phase is not Phase.OPEN and tx.una >= cc.recovery_point:
        cc.leave_recovery()
        if not c.sack:
            tx.sacked = 0
        return
    if not tx.segments:
        return
    if c.sack:
        found = tx.mark_lost_by_sack()
    elif cc.phase is Phase.OPEN:
        found = tx.sacked >= REORDERING
        if found:
            tx.mark_head_lost()
    else:
        found = advanced  # a partial acknowledgement: the next one is lost too
        if advanced:
            tx.mark_head_lost()
    if not found or cc.phase is Phase.LOSS:
        return
    first = cc.phase is Phase.OPEN
    if first:
        cc.enter_recovery(tx.outstanding, tx.next)
    if (first or not c.sack) and (head := tx.next_lost()) is not None:
        tx.cut(head, 1)
        output.repeat(c, head)  # whatever the window says


def _take_sack(c: TcpSocket, segment: Segment) -> int:
    tx = c.tx
    blocks = []
    for left_wire, right_wire in segment.options.sack:
        left, right = unwrap(left_wire, tx.una), unwrap(right_wire, tx.una)
        if tx.una < right <= tx.next and left < right:
            blocks.append((left, right))
    return tx.mark_sacked(blocks)
