"""What a connection does when time runs out: repeat, probe, give up (RFC 9293 section 3.8.3; net/ipv4/tcp_timer.c)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emulator.kernel.tcp import output
from emulator.kernel.tcp.state import State
from emulator.packet.tcp import SYN

if TYPE_CHECKING:
    from emulator.kernel.tcp.connection import TcpSocket

SYN_RETRIES = "net.ipv4.tcp_syn_retries"
SYNACK_RETRIES = "net.ipv4.tcp_synack_retries"
SYN_LINEAR = "net.ipv4.tcp_syn_linear_timeouts"
RETRIES = "net.ipv4.tcp_retries2"
ORPHAN_RETRIES = "net.ipv4.tcp_orphan_retries"
FIN_TIMEOUT = "net.ipv4.tcp_fin_timeout"
KEEPALIVE_TIME = "net.ipv4.tcp_keepalive_time"
KEEPALIVE_INTERVAL = "net.ipv4.tcp_keepalive_intvl"
KEEPALIVE_PROBES = "net.ipv4.tcp_keepalive_probes"
DEFAULTS = {
    SYN_RETRIES: 6,
    SYNACK_RETRIES: 5,
    SYN_LINEAR: 4,
    RETRIES: 15,
    ORPHAN_RETRIES: 0,
    FIN_TIMEOUT: 60,
    KEEPALIVE_TIME: 7200,
    KEEPALIVE_INTERVAL: 75,
    KEEPALIVE_PROBES: 9,
}

_ORPHAN_DEFAULT = 8  # what tcp_orphan_retries 0 means
_MODEL_BASE = 0.2  # seconds; retries are turned into time as if the time-out began there (tcp_model_timeout)
_MODEL_LIMIT = 120.0
_MODEL_DOUBLINGS = 9


def retransmission_timeout(c: TcpSocket) -> None:
    """The retransmission timer ran out: handshake, data, or a window that stays closed."""
    tx = c.tx
    if not tx.segments:
        if tx.pending:
            _probe(c)
        return
    if c.state in (State.SYN_SENT, State.SYN_RECEIVED) and tx.segments[0].flags & SYN:
        _repeat_syn(c)
        return
    if c.stalled_since is None:
        c.stalled_since = c.now
    elif c.now - c.stalled_since >= _model_timeout(_retries(c)):
        c.fail(c.soft_error or errno.ETIMEDOUT)
        return
    if not c.sack:
        tx.sacked = 0
    c.cc.enter_loss(tx.outstanding, tx.next, again=c.timeouts > 0)
    tx.mark_all_lost()
    c.timeouts += 1
    c.rtt.backoff += 1
    tx.cut(tx.segments[0], 1)
    output.repeat(c, tx.segments[0])
    c.retransmit.start(c.rtt.timeout)


def delayed_ack_timeout(c: TcpSocket) -> None:
    """The program had nothing to send along: acknowledge alone."""
    if c.ack_wanted:
        c.interactive = False
        output.send_ack(c)


def keepalive_timeout(c: TcpSocket) -> None:
    """End FIN_WAIT_2 of a closed socket, or ask a silent peer whether it lives (RFC 9293 section 3.8.4)."""
    if c.state is State.FIN_WAIT_2 and c.orphan:
        c.finish()
        return
    if not c.keepalive or c.state in (State.CLOSED, State.SYN_SENT):
        return
    number = c.netns.sysctl.number
    if c.tx.segments or c.tx.pending:
        c.linger.start(number(KEEPALIVE_TIME))  # the retransmission timer asks already
        return
    left = number(KEEPALIVE_TIME) - (c.now - max(c.last_received, c.keepalive_since))
    if left > 0:
        c.linger.start(left)
        return
    if c.probes >= number(KEEPALIVE_PROBES):
        output.send_reset(c)
        c.fail(errno.ETIMEDOUT)
        return
    c.probes += 1
    output.send_window_probe(c)
    c.linger.start(number(KEEPALIVE_INTERVAL))


def _repeat_syn(c: TcpSocket) -> None:
    number = c.netns.sysctl.number
    linear = number(SYN_LINEAR) if c.listener is None else 0
    retries = number(SYN_RETRIES) + linear if c.listener is None else number(SYNACK_RETRIES)
    if c.timeouts >= retries:
        c.fail(c.soft_error or errno.ETIMEDOUT)
        return
    c.timeouts += 1
    if c.timeouts > linear:
        c.rtt.backoff += 1
    output.repeat(c, c.tx.segments[0])
    c.retransmit.start(c.rtt.timeout)


def _probe(c: TcpSocket) -> None:
    if c.probes >= _retries(c):
        c.fail(c.soft_error or errno.ETIMEDOUT)
        return
    c.probes += 1
    output.send_window_probe(c)
    if not c.tx.segments:
        c.rtt.backoff += 1
    c.retransmit.start(c.rtt.timeout)


def _retries(c: TcpSocket) -> int:
    number = c.netns.sysctl.number
    return number(ORPHAN_RETRIES) or _ORPHAN_DEFAULT if c.orphan else number(RETRIES)


def _model_timeout(retries: int) -> float:
    """How long that many doubling time-outs take."""
    doublings = min(retries, _MODEL_DOUBLINGS)
    return ((2 << doublings) - 1) * _MODEL_BASE + (retries - doublings) * _MODEL_LIMIT
