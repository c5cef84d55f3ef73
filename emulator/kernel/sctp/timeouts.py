"""What an association does when time runs out, and how it ends (RFC 9260 sections 6.3, 8.3 and 9.2)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emulator.kernel.sctp.state import State
from emulator.packet.sctp import Chunk, ChunkType

if TYPE_CHECKING:
    from emulator.kernel.sctp.association import SctpSocket

INITIAL_TIMEOUT, MINIMUM_TIMEOUT, MAXIMUM_TIMEOUT = 3.0, 1.0, 60.0  # seconds (net.sctp.rto_initial, rto_min, rto_max)
MAXIMUM_INITS = 8  # net.sctp.max_init_retransmits
MAXIMUM_ERRORS = 10  # net.sctp.association_max_retrans
SACK_DELAY = 0.2  # seconds (net.sctp.sack_timeout)
HEARTBEAT_INTERVAL = 30.0  # seconds (net.sctp.hb_interval)
SHUTDOWN_GUARD = 5 * MAXIMUM_TIMEOUT  # section 9.2, T5


class RoundTrip:
    """The retransmission time-out from measured round-trip times (section 6.3.1), in seconds."""

    __slots__ = ("_smoothed", "_variance", "timeout")

    def __init__(self) -> None:
        self._smoothed: float | None = None
        self._variance = 0.0
        self.timeout = INITIAL_TIMEOUT

    def sample(self, measured: float) -> None:
        """Take the time from a chunk to its acknowledgement."""
        if self._smoothed is None:
            self._smoothed, self._variance = measured, measured / 2
        else:
            self._variance += (abs(self._smoothed - measured) - self._variance) / 4
            self._smoothed += (measured - self._smoothed) / 8
        self.timeout = min(max(self._smoothed + 4 * self._variance, MINIMUM_TIMEOUT), MAXIMUM_TIMEOUT)

    def back_off(self) -> None:
        """Wait twice as long from now on, until the next measurement."""
        self.timeout = min(2 * self.timeout, MAXIMUM_TIMEOUT)


def retransmission_timeout(a: SctpSocket) -> None:
    """No answer came: T1 of the handshake, T2 of the shutdown, or T3 of data."""
    a.rtt.back_off()
    if a.connecting:
        _repeat_handshake(a)
        return
    a.errors += 1
    if a.errors > MAXIMUM_ERRORS:
        a.fail(errno.ETIMEDOUT)
        return
    if a.state is State.SHUTDOWN_SENT:
        send_shutdown(a)
    elif a.state is State.SHUTDOWN_ACK_SENT:
        send_shutdown_ack(a)
    else:
        a.outbound.time_out()
        a.push()


def sack_timeout(a: SctpSocket) -> None:
    """There was nothing to send along: acknowledge alone."""
    a.send_sack()


def shutdown_timeout(a: SctpSocket) -> None:
    """The peer does not let the association end."""
    a.transmit([Chunk(ChunkType.ABORT)])
    a.fail(errno.ETIMEDOUT)


def start_heartbeat(a: SctpSocket) -> None:
    """Ask an idle peer now and then whether it is there."""
    jitter = a.netns.kernel.random.random() - 0.5
    a.heartbeat.start(HEARTBEAT_INTERVAL + a.rtt.timeout * (1 + jitter))


def heartbeat_timeout(a: SctpSocket) -> None:
    """Send a HEARTBEAT; an answer sets the count of errors back."""
    if a.state is State.ESTABLISHED and a.retransmit.at is None:
        if a.errors >= MAXIMUM_ERRORS:
            a.fail(errno.ETIMEDOUT)
            return
        a.errors += 1
        information = b"\0\1" + (4 + 8).to_bytes(2, "big") + int(a.now * 1e6).to_bytes(8, "big")
        a.transmit([Chunk(ChunkType.HEARTBEAT, 0, information)])
    start_heartbeat(a)


def continue_shutdown(a: SctpSocket) -> None:
    """All that was sent has arrived: go on with the shutdown that either side has begun."""
    if a.state is State.SHUTDOWN_PENDING:
        a.state = State.SHUTDOWN_SENT
        send_shutdown(a)
    elif a.state is State.SHUTDOWN_RECEIVED:
        a.state = State.SHUTDOWN_ACK_SENT
        send_shutdown_ack(a)


def send_shutdown(a: SctpSocket) -> None:
    """SHUTDOWN, which acknowledges as a SACK does, under T2."""
    cumulative = a.inbound.cumulative & 0xFFFFFFFF
    a.transmit([Chunk(ChunkType.SHUTDOWN, 0, cumulative.to_bytes(4, "big"))])
    a.retransmit.start(a.rtt.timeout)


def send_shutdown_ack(a: SctpSocket) -> None:
    """SHUTDOWN ACK, under T2."""
    a.transmit([Chunk(ChunkType.SHUTDOWN_ACK)])
    a.retransmit.start(a.rtt.timeout)


def _repeat_handshake(a: SctpSocket) -> None:
    a.tries += 1
    if a.tries > MAXIMUM_INITS:
        a.fail(errno.ETIMEDOUT)
        return
    if a.state is State.COOKIE_WAIT:
        a.transmit([a.init_chunk(ChunkType.INIT)], tag=0)
    else:
        a.transmit([Chunk(ChunkType.COOKIE_ECHO, 0, a.cookie)])
    a.retransmit.start(a.rtt.timeout)
