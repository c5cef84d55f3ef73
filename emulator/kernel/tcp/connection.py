"""One TCP connection: its state, and what a program may do with it. `input.py` is its other side."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emulator.kernel import gso
from emulator.kernel.deadline import Deadline
from emulator.kernel.drop import DropReason
from emulator.kernel.socket.base import SocketInfo
from emulator.kernel.socket.connected import ConnectedSocket
from emulator.kernel.socket.error import os_error
from emulator.kernel.tcp import input as segment_input
from emulator.kernel.tcp import output, timeouts
from emulator.kernel.tcp.receive_queue import ReceiveQueue
from emulator.kernel.tcp.round_trip import RoundTrip
from emulator.kernel.tcp.send_queue import SendQueue
from emulator.kernel.tcp.state import ON_SHUTDOWN, RECEIVING, SENDING, State
from emulator.kernel.tcp.time_wait import TimeWait

if TYPE_CHECKING:
    from emulator.kernel.routing.route import RouteResult
    from emulator.kernel.tcp.listener import TcpListener
    from emulator.kernel.tcp.protocol import Tcp
    from emulator.kernel.tcp.segment import Segment
    from emulator.kernel.trace import Trace

DEFAULT_MSS = 536  # of a peer that does not tell (RFC 9293 section 3.7.1)
MINIMUM_MSS = 48  # net.ipv4.tcp_min_snd_mss
MAXIMUM_MTU = 65_535  # of an IPv4 packet, even on loopback
QUICK_ACKS = 16  # segments that are acknowledged at once when data begins to come
NEVER = float("-inf")


class TcpSocket(ConnectedSocket):
    """A connection. Nothing here waits; errors are OSError as Linux gives them.

    After `Sockets.connect` wait until `connecting` is false, then look at `error`. `nodelay` may be set.
    """

    __slots__ = (
        "ack_wanted", "cc", "delayed_ack", "fin_sent", "fin_wanted", "gso_segments", "identification",
        "initial_window", "interactive", "keepalive", "keepalive_since", "last_challenge", "last_received",
        "last_sent", "linger", "mss", "nodelay", "path_mtu", "peer_mss", "probes", "quick_acks",
        "receive_mss", "receive_shift", "retransmit", "rtt", "rx", "sack", "scaling", "seen_mss",
        "soft_error", "space", "stalled_since", "state", "tcp", "timeouts", "timestamp_offset", "timestamp_recent",
        "timestamps", "tx",
    )  # fmt: skip

    def __init__(self, tcp: Tcp, route: RouteResult, local: tuple[int, int], remote: tuple[int, int]) -> None:
        super().__init__(tcp.netns, route, local, remote)
        self.tcp = tcp
        self.state = State.CLOSED
        self.listener: TcpListener | None = None
        kernel = tcp.netns.kernel
        buffers = tcp.buffers
        self.tx = SendQueue(buffers.send_first)
        self.cc = tcp.congestion_control()
        self.rtt = RoundTrip()
        self.retransmit = Deadline(kernel, lambda: timeouts.retransmission_timeout(self))
        self.delayed_ack = Deadline(kernel, lambda: timeouts.delayed_ack_timeout(self))
        self.linger = Deadline(kernel, lambda: timeouts.keepalive_timeout(self))
        self.path_mtu = min(route.mtu, MAXIMUM_MTU)
        self.identification = kernel.random.getrandbits(16)
        self.peer_mss = DEFAULT_MSS
        self.receive_mss = max(self.path_mtu - output.HEADERS, MINIMUM_MSS)
        self.rx = ReceiveQueue(buffers.receive_limit(self.receive_mss))
        self.mss = self.seen_mss = DEFAULT_MSS
        self.gso_segments = 1  # how many of them may go as one frame
        self.receive_shift = 0
        self.initial_window = min(0xFFFF // self.receive_mss * self.receive_mss or 0xFFFF, self.rx.limit)
        self.timestamps = self.sack = self.scaling = True  # what we offer, then what both sides have
        self.timestamp_offset = tcp.timestamp_offset(self.laddr, self.raddr)
        self.timestamp_recent = 0
        self.soft_error = 0
        self.fin_wanted = self.fin_sent = False
        self.ack_wanted = self.interactive = False
        self.nodelay = self.keepalive = False
        self.quick_acks = QUICK_ACKS
        self.space = buffers.receive_space(kernel.now)
        self.last_received = self.last_sent = self.last_challenge = NEVER
        self.keepalive_since = kernel.now
        self.stalled_since: float | None = None  # when the first of the time-outs in a row was
        self.timeouts = self.probes = 0

    # What a program does

    @property
    def connecting(self) -> bool:
        """Whether the handshake is still going on."""
        return self.state in (State.SYN_SENT, State.SYN_RECEIVED)

    @property
    def readable(self) -> bool:
        """Whether `receive` would give data, the end, or raise."""
        return bool(self.rx.size or self.error_number) or self._at_end

    @property
    def writable(self) -> bool:
        """Whether `send` would take data, or raise."""
        return self.tx.room > 0 if self.state in SENDING else not self.connecting

    @property
    def unacknowledged(self) -> int:
        """Bytes that were sent or wait to be sent, and that the peer has not acknowledged."""
        return self.tx.pending + self.tx.next - self.tx.una

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Queue data; returns how many bytes were taken, 0 if the buffer is full or the handshake goes on.

        After 0 the socket is woken when there is room. EPIPE after `shutdown` or when the connection has ended; the
        error that ended it (ECONNRESET, ETIMEDOUT, ...) once before.
        """
        self._check_open()
        self._raise_error()
        if self.connecting and not self.fin_wanted:
            self.write_wanted = True
            return 0
        if self.state not in SENDING:
            raise os_error(errno.EPIPE)
        taken = self.tx.write(data)
        if taken:
            output.push(self)
        if taken < len(data):
            self.write_wanted = True
        return taken

    def receive(self, size: int) -> bytes | None:
        """Take up to `size` bytes; b"" at the end, None if there is nothing yet. Raises what ended it, once."""
        self._check_open()
        if self.rx.size:
            data = self.rx.read(size)
            self.space.note_read(self.rx, len(data), self.now, self.rtt.smoothed, self.receive_mss)
            if self.state in RECEIVING:
                self._tell_of_room()
            return data
        self._raise_error()
        return b"" if self._at_end else None

    def shutdown(self) -> None:
        """Send no more (SHUT_WR): a FIN goes behind what was written. ENOTCONN without a connection."""
        self._check_open()
        if self.state is State.SYN_RECEIVED:
            self.fin_wanted = True
        elif self.state in ON_SHUTDOWN:
            self.begin_close()
        elif self.state is State.SYN_SENT or (self.state is State.CLOSED and not self.fin_wanted):
            raise os_error(errno.ENOTCONN)

    def close(self) -> None:
        """End the socket. What was written still goes out; data left unread makes it a reset, as on Linux."""
        if self.closed:
            return
        self.closed = True
        self.orphan = True
        if self.rx.size and self.state is not State.CLOSED:
            output.send_reset(self)
            self.finish()
        elif self.state is State.SYN_SENT:
            self.finish()
        elif self.state is State.SYN_RECEIVED:
            self.fin_wanted = True
        elif self.state in ON_SHUTDOWN:
            self.begin_close()
        elif self.state is State.FIN_WAIT_2:
            self.start_fin_timeout()
        self.disowned = True  # what closing itself sent was still its program's (sock_orphan in tcp_close)
        self.rx.clear()
        self.netns.kernel.wake(self)

    def abort(self) -> None:
        """End the connection at once; the peer gets a reset."""
        self.closed = True
        if self.state not in (State.CLOSED, State.SYN_SENT):
            output.send_reset(self)
        self.finish()

    def set_keepalive(self, on: bool) -> None:
        """SO_KEEPALIVE: ask a peer that is silent for two hours whether it lives (sysctls net.ipv4.tcp_keepalive_*)."""
        self.keepalive = on
        self.keepalive_since = self.now
        if on:
            self.linger.start(self.netns.sysctl.number(timeouts.KEEPALIVE_TIME))

    def info(self) -> SocketInfo:
        """Return its row of `ss`."""
        return SocketInfo(
            "tcp", self.state.value, self.rx.size, self.unacknowledged, self.local_address, self.remote_address
        )

    # What the other parts of TCP do

    def arrive(self, segment: Segment, trace: Trace | None) -> DropReason | None:
        """Take a segment for this connection; the reason if it was of no use."""
        return segment_input.arrive(self, segment, trace)

    def begin(self, trace: Trace | None) -> None:
        """Connect: send the first SYN."""
        self.tx.begin(self.tcp.initial_sequence(self.key))
        self.state = State.SYN_SENT
        output.send_syn(self, trace)

    def begin_close(self) -> None:
        """The program sends no more."""
        self.fin_wanted = True
        self.state = ON_SHUTDOWN[self.state]
        output.push(self)

    def start_fin_timeout(self) -> None:
        """Nobody holds the socket any more: do not wait for the peer's FIN for ever."""
        self.linger.start(self.netns.sysctl.number(timeouts.FIN_TIMEOUT))

    def current_route(self) -> RouteResult | None:
        """The route to the peer, looked up again when routes have changed; None if there is none now."""
        route = self.route
        if route.generation == self.netns.fib.generation:
            return route
        found = self.netns.ip.route_output(
            self.raddr, saddr=self.laddr, protocol=output.PROTOCOL, ports=(self.lport, self.rport)
        )
        if isinstance(found, DropReason):
            return None
        self.route = found
        self.set_path_mtu(found.mtu)
        return found

    def set_path_mtu(self, mtu: int) -> None:
        """Make segments fit the path; what was sent in larger ones is cut and counts as lost."""
        self.path_mtu = mtu = min(mtu, MAXIMUM_MTU)
        options = output.TIMESTAMPS_LENGTH if self.timestamps else 0
        mss = max(min(self.peer_mss, mtu - output.HEADERS), MINIMUM_MSS) - options
        shrinks = mss < self.mss
        self.mss = mss
        self.gso_segments = max(gso.MAXIMUM_PAYLOAD // mss, 1)
        if shrinks and self.tx.segments:
            self.tx.set_mss(mss)

    def time_wait(self) -> None:
        """Both sides have closed: a small keeper of the addresses takes over for a minute."""
        keeper = TimeWait(self)
        self.tcp.connections[self.key] = keeper
        self.tcp.ports.replace(self, keeper)
        self._end()

    def fail(self, number: int) -> None:
        """End with an error for the program."""
        self.error_number = number
        self.finish()

    def finish(self) -> None:
        """End: leave the tables, forget what was to be sent. Data that came in can still be read."""
        if self.state is State.CLOSED:
            return
        self.tcp.remove(self)
        self._end()

    def detach(self) -> None:
        """End without a packet, because the namespace goes away."""
        self.fail(errno.ENETDOWN)

    def _end(self) -> None:
        self.state = State.CLOSED
        for deadline in (self.retransmit, self.delayed_ack, self.linger):
            deadline.discard()
        self.tx.clear()
        self.tx.una = self.tx.next
        self.ack_wanted = False
        if self.listener is not None:
            self.listener.forget(self)
            self.listener = None
        self.netns.kernel.wake(self)

    @property
    def _at_end(self) -> bool:
        return self.state is State.CLOSED or (self.rx.fin is not None and self.rx.next > self.rx.fin)

    def _tell_of_room(self) -> None:
        """Send a window update where reading has at least doubled the window (`tcp_cleanup_rbuf`)."""
        rx = self.rx
        free = rx.limit - rx.size
        left = rx.edge - rx.next
        if free >= 2 * max(left, 0) and free >= min(rx.limit // 2, self.receive_mss) and 2 * left <= rx.limit:
            output.send_ack(self)
