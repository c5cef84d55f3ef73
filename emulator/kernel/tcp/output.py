"""What a connection sends: headers and options, new data as the windows allow, acknowledgements, resets.

`push` is called after every event; it repeats what was lost, then sends new data (`tcp_write_xmit` of Linux).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.owner import CONTROL
from emulator.kernel.sequence import MASK
from emulator.kernel.tcp.congestion import Phase
from emulator.kernel.tcp.segment import TIMESTAMPS_PREFIX, WITH_TIMESTAMPS
from emulator.kernel.tcp.state import TRANSMITTING
from emulator.packet.checksum import checksum, pseudo_header_sum, transport_checksum
from emulator.packet.tcp import ACK, FIN, PSH, RST, SYN, TCP
from emulator.packet.tcp_options import TcpOptions

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.tcp.connection import TcpSocket
    from emulator.kernel.tcp.send_queue import Sent
    from emulator.kernel.trace import Trace

PROTOCOL = 6
HEADER_LENGTH = 20
HEADERS = 40  # IPv4 and TCP, without options
TIMESTAMPS_LENGTH = 12
DELAYED_ACK = 0.04  # seconds (TCP_DELACK_MIN)

_DEFER_WITHIN = 0.001  # seconds since something was sent
_DEFER_SHARE = 3  # of the window (net.ipv4.tcp_tso_win_divisor)


def emit(
    c: TcpSocket,
    sequence: int,
    flags: int,
    payload: bytes | memoryview = b"",
    options: bytes | None = None,
    trace: Trace | None = None,
    mss: int = 0,
) -> None:
    """Build one segment and hand it to IP. It acknowledges all that came in.

    A payload of more than `mss` bytes is several segments that go as one frame.
    """
    rx = c.rx
    window = c.initial_window if flags & SYN else rx.select_window(c.receive_mss, c.receive_shift)
    acknowledgement = rx.next & MASK if flags & ACK else 0
    segment = _build(c, sequence & MASK, acknowledgement, flags, window, payload, options)
    gso_size = mss if len(payload) > mss else 0
    if gso_size:
        covered = pseudo_header_sum(c.laddr, c.raddr, PROTOCOL, len(segment))
        value = checksum(segment[: len(segment) - len(payload)], covered)
    else:
        value = transport_checksum(segment, c.laddr, c.raddr, PROTOCOL)
    segment[16:18] = value.to_bytes(2, "big")
    rx.acked = rx.next
    if c.ack_wanted:
        c.ack_wanted = False
        c.delayed_ack.stop()
    if c.quick_acks:
        c.quick_acks -= 1
    c.identification = identification = c.identification + 1 & 0xFFFF
    c.netns.ip.output(
        PROTOCOL,
        segment,
        daddr=c.raddr,
        saddr=c.laddr,
        route=c.current_route(),
        dont_fragment=True,
        socket=c,
        trace=trace,
        identification=identification,
        gso_size=gso_size,
    )
    if gso_size:
        c.identification += len(payload) // gso_size  # each segment has one


def send_syn(c: TcpSocket, trace: Trace | None = None) -> None:
    """Send our SYN for the first time; with ACK if the peer's has come (SYN_RECEIVED)."""
    sent = c.tx.add(b"", SYN, 1, c.now, c.mss)
    emit(c, sent.sequence, _syn_flags(c), options=_syn_options(c), trace=trace)
    c.retransmit.start(c.rtt.timeout)


def repeat(c: TcpSocket, sent: Sent, trace: Trace | None = None) -> None:
    """Send a segment again."""
    c.tx.note_repeat(sent, c.now)
    if sent.flags & SYN:
        emit(c, sent.sequence, _syn_flags(c), options=_syn_options(c), trace=trace)
    else:
        emit(c, sent.sequence, sent.flags | ACK, sent.payload, mss=sent.mss)


def send_ack(c: TcpSocket) -> None:
    """Acknowledge what came in, now."""
    emit(c, c.tx.next, ACK)


def want_ack(c: TcpSocket) -> None:
    """Acknowledge data that came in order: at once in the beginning and for every second full segment, else soon.

    RFC 9293 section 3.8.6.3; `__tcp_ack_snd_check`.
    """
    rx = c.rx
    if rx.next - rx.acked > c.seen_mss or rx.has_gap or (c.quick_acks and not c.interactive):
        send_ack(c)
        return
    c.ack_wanted = True
    if c.delayed_ack.at is None:
        c.delayed_ack.start(DELAYED_ACK)


def push(c: TcpSocket) -> None:
    """Send what may be sent now: lost segments first, then new data within both windows, then our FIN."""
    if c.state not in TRANSMITTING:
        return
    tx = c.tx
    if tx.lost != tx.repeated:
        _repeat_lost(c)
    if tx.pending:
        _send_new(c)
    if c.fin_wanted and not c.fin_sent and not tx.pending:
        _send(c, b"", FIN | ACK)
    if tx.pending and not tx.segments and c.retransmit.at is None:
        c.retransmit.start(c.rtt.timeout)  # the window is closed: probe it


def send_window_probe(c: TcpSocket) -> None:
    """Ask for an answer: with data that fits the window, or with an old number (`tcp_write_wakeup`)."""
    tx = c.tx
    room = tx.una + tx.window - tx.next
    if room > 0 and tx.pending:
        _send(c, tx.take(min(room, c.mss, tx.pending)), ACK | PSH)
    else:
        emit(c, tx.una - 1, ACK)


def send_reset(c: TcpSocket) -> None:
    """Tell the peer that the connection is gone."""
    emit(c, c.tx.next, RST | ACK)


def answer_with_reset(
    netns: Netns,
    addresses: tuple[int, int, int, int],
    sequence: int,
    acknowledgement: int | None,
    trace: Trace | None,
    tos: int = 0,
    options: bytes = b"",
) -> None:
    """Send a reset that belongs to no connection (`tcp_v4_send_reset`); `addresses`: ours and our port, then theirs."""
    laddr, lport, raddr, rport = addresses
    flags = RST if acknowledgement is None else RST | ACK
    word = HEADER_LENGTH << 10 | flags
    segment = bytearray(TCP.pack(lport, rport, sequence & MASK, (acknowledgement or 0) & MASK, word, 0, 0, 0))
    segment[16:18] = transport_checksum(segment, laddr, raddr, PROTOCOL).to_bytes(2, "big")
    netns.ip.output(
        PROTOCOL,
        segment,
        daddr=raddr,
        saddr=laddr,
        dont_fragment=True,
        tos=tos,
        options=options,
        trace=trace,
        socket=CONTROL,
    )


def timestamp(c: TcpSocket) -> int:
    """Return our timestamp clock: milliseconds from a random start (RFC 7323 section 5.4)."""
    return (int(c.now * 1000) + c.timestamp_offset) & MASK


def _repeat_lost(c: TcpSocket) -> None:
    tx = c.tx
    while (quota := c.cc.window - tx.in_flight) > 0 and (sent := tx.next_lost()) is not None:
        tx.cut(sent, min(quota, c.gso_segments))
        repeat(c, sent)
    if c.retransmit.at is None and tx.segments:
        c.retransmit.start(c.rtt.timeout)


def _send_new(c: TcpSocket) -> None:
    tx, cc, mss = c.tx, c.cc, c.mss
    if not tx.segments and (idle := c.now - c.last_sent) > c.rtt.timeout:
        cc.restart_after_idle(idle)
    while tx.pending and (quota := cc.window - tx.in_flight) > 0:
        size = min(mss, tx.pending)
        room = tx.una + tx.window - tx.next
        if room < size:
            if room <= 0 or room < tx.max_window // 2:
                return  # no crumbs (RFC 9293 section 3.8.6.2.1); the probe sends them if it must
            size = room
        else:
            size = min(tx.pending, room, quota * mss, c.gso_segments * mss)
            if size % mss and (size < tx.pending or _holds_back(c)):
                size -= size % mss
            if not size or (size < tx.pending and _defers(c, min(quota * mss, room))):
                return
        payload = tx.take(size)
        flags = ACK
        if not tx.pending:
            flags = ACK | PSH | FIN if c.fin_wanted else ACK | PSH
        _send(c, payload, flags)


def _holds_back(c: TcpSocket) -> bool:
    """Nagle, as Minshall has it: one segment at a time that is less than full is on its way (`tcp_nagle_check`)."""
    return c.tx.small_end > c.tx.una and not c.nodelay and not c.fin_wanted


def _defers(c: TcpSocket, allowed: int) -> bool:
    """Whether to wait for the next acknowledgement, which allows a larger frame (`tcp_tso_should_defer`).

    Not if a good part of a window can go, in recovery, after a pause, or if that acknowledgement is long in coming.
    """
    tx, cc, now = c.tx, c.cc, c.now
    if not tx.segments or cc.phase is not Phase.OPEN or allowed >= c.gso_segments * c.mss:
        return False
    if now - c.last_sent > _DEFER_WITHIN or now - tx.segments[0].sent_at < (c.rtt.smoothed or 0.0) / 2:
        return False
    return allowed < min(cc.window * c.mss, tx.window) // _DEFER_SHARE


def _send(c: TcpSocket, payload: bytes, flags: int) -> None:
    now = c.now
    length = len(payload)
    if flags & FIN:
        c.fin_sent = True
        length += 1
    elif now - c.last_received < DELAYED_ACK:
        c.interactive = True
    sent = c.tx.add(payload, flags & (FIN | PSH), length, now, c.mss)
    c.last_sent = now
    emit(c, sent.sequence, flags, payload, mss=c.mss)
    if c.retransmit.at is None or len(c.tx.segments) == 1:
        c.retransmit.start(c.rtt.timeout)


def _syn_flags(c: TcpSocket) -> int:
    return SYN | ACK if c.rx.next else SYN


def _syn_options(c: TcpSocket) -> bytes:
    timestamps = (timestamp(c), c.timestamp_recent) if c.timestamps else None
    scale = c.tcp.buffers.shift if c.scaling else None
    return TcpOptions(c.receive_mss, scale, sack_permitted=c.sack, timestamps=timestamps).build()


def _build(
    c: TcpSocket,
    sequence: int,
    acknowledgement: int,
    flags: int,
    window: int,
    payload: bytes | memoryview,
    options: bytes | None,
) -> bytearray:
    """Return header, options and payload, with zero for the checksum."""
    if options is None and c.timestamps and not c.rx.has_gap:
        word = (HEADER_LENGTH + TIMESTAMPS_LENGTH) << 10 | flags
        segment = bytearray(
            WITH_TIMESTAMPS.pack(
                c.lport, c.rport, sequence, acknowledgement, word, window, 0, 0,
                TIMESTAMPS_PREFIX, timestamp(c), c.timestamp_recent,
            )
        )  # fmt: skip
    else:
        if options is None:
            options = _options(c, len(payload))
        word = (HEADER_LENGTH + len(options)) << 10 | flags
        segment = bytearray(TCP.pack(c.lport, c.rport, sequence, acknowledgement, word, window, 0, 0))
        segment += options
    segment += payload
    return segment


def _options(c: TcpSocket, payload_length: int) -> bytes:
    options = b""
    if c.timestamps:
        options = TcpOptions(timestamps=(timestamp(c), c.timestamp_recent)).build()
    if c.sack and c.rx.has_gap:
        blocks = c.rx.blocks()
        sack = TcpOptions(sack=tuple((left & MASK, right & MASK) for left, right in blocks)).build()
        if payload_length + len(sack) <= c.mss or not payload_length:
            options += sack
    return options
