"""TCP of one namespace: the handler of protocol 6, its tables, and where connections begin."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from emulator.kernel import gso
from emulator.kernel.drop import DropReason
from emulator.kernel.ip.options import echo_options, milliseconds_of_day
from emulator.kernel.sequence import MASK, unwrap
from emulator.kernel.socket.base import Address, Socket, parse_address
from emulator.kernel.socket.error import icmp_errno, os_error
from emulator.kernel.socket.port_table import PortTable, overlap
from emulator.kernel.tcp import output, segment, timeouts
from emulator.kernel.tcp.bound import BoundTcp
from emulator.kernel.tcp.buffers import Buffers
from emulator.kernel.tcp.congestion import CongestionControl, NewReno
from emulator.kernel.tcp.connection import TcpSocket
from emulator.kernel.tcp.cubic import Cubic
from emulator.kernel.tcp.listener import TcpListener
from emulator.kernel.tcp.segment import Segment
from emulator.kernel.tcp.state import State
from emulator.kernel.tcp.time_wait import TimeWait
from emulator.kernel.trace import StepKind
from emulator.packet.address import BROADCAST_IPV4, is_multicast
from emulator.packet.icmp import DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED
from emulator.packet.tcp import ACK, RST

if TYPE_CHECKING:
    from emulator.kernel.ip.icmp import IcmpError
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb
    from emulator.kernel.trace import Trace

Key = tuple[int, int, int, int]

TIMESTAMPS = "net.ipv4.tcp_timestamps"
SACK = "net.ipv4.tcp_sack"
WINDOW_SCALING = "net.ipv4.tcp_window_scaling"
CONGESTION_CONTROL = "net.ipv4.tcp_congestion_control"
ALGORITHMS: dict[str, type[CongestionControl]] = {each.name: each for each in (NewReno, Cubic)}
SEQUENCE_RATE = 15_625_000  # initial sequence numbers a second: one in 64 ns, as Linux counts them
MINIMUM_PATH_MTU = 552  # net.ipv4.route.min_pmtu

_ECN_MASK = 3
_QUOTED = struct.Struct("!HHI")  # ports and sequence number


class Tcp:
    """`connections` by (our address, our port, theirs, their port); `ports` has the listeners too."""

    __slots__ = ("_algorithm", "_listeners", "_secret", "buffers", "connections", "netns", "ports")

    def __init__(self, netns: Netns) -> None:
        self.netns = netns
        self.ports: PortTable[Socket] = PortTable(netns.kernel.random, _conflict)
        self.connections: dict[Key, TcpSocket | TimeWait] = {}
        self._listeners: dict[tuple[int, int], TcpListener] = {}
        self._secret = netns.kernel.random.getrandbits(64)
        register = netns.sysctl.register
        for name, default in timeouts.DEFAULTS.items():
            register(name, default)
        for name in (TIMESTAMPS, SACK, WINDOW_SCALING):
            register(name, 1)
        register("net.core.somaxconn", 4096)
        self.buffers: Buffers = Buffers(netns.sysctl)
        self._algorithm: type[CongestionControl] = Cubic
        register(CONGESTION_CONTROL, Cubic.name, self._set_algorithm, numeric=False)
        register("net.ipv4.tcp_available_congestion_control", " ".join(ALGORITHMS), _refuse, numeric=False)

    def listen(self, address: Address, backlog: int, *, reuse_address: bool) -> TcpListener:
        """Open a listener. EADDRINUSE, EADDRNOTAVAIL."""
        return self.bind(address, reuse_address=reuse_address).listen(backlog)

    def bind(self, address: Address, *, reuse_address: bool) -> BoundTcp:
        """Give a new socket a port, 0 for a free one; no packet finds it yet. EADDRINUSE, EADDRNOTAVAIL."""
        host, port = parse_address(address)
        if host and not self.netns.sockets.is_local(host):
            raise os_error(errno.EADDRNOTAVAIL)
        bound = BoundTcp(self)
        bound.laddr = host
        bound.reuse_address = reuse_address
        self.ports.bind(bound, port, self.netns.sockets.port_range())
        return bound

    def listen_on(self, bound: BoundTcp, backlog: int) -> TcpListener:
        """Let a listener take a bound socket's place (`inet_csk_listen_start`). EADDRINUSE if another listens there."""
        key = bound.laddr, bound.lport
        if any(isinstance(other, TcpListener) and overlap(other, bound) for other in self.ports.sockets(key[1]) or ()):
            raise os_error(errno.EADDRINUSE)
        listener = TcpListener(self, backlog)
        listener.laddr, listener.lport = key
        listener.reuse_address = bound.reuse_address
        self.ports.replace(bound, listener)
        self._listeners[key] = listener
        return listener

    def connect(
        self, address: Address, source: Address | None, trace: Trace | None, *, bound: BoundTcp | None = None
    ) -> TcpSocket:
        """Begin a connection: bind, or take the place of a bound socket, and send the SYN."""
        raddr, rport = parse_address(address)
        laddr, lport = parse_address(source) if source is not None else (0, 0)
        if bound is not None:
            laddr, lport = bound.laddr, bound.lport
        if laddr and not self.netns.sockets.is_local(laddr):
            raise os_error(errno.EADDRNOTAVAIL)
        if raddr == BROADCAST_IPV4 or is_multicast(raddr):
            raise os_error(errno.ENETUNREACH)
        if raddr == 0:
            raddr = laddr or 0x7F000001  # Linux takes 0.0.0.0 for this machine
        route = self.netns.sockets.route(raddr, laddr, output.PROTOCOL, (lport, rport))
        connection = TcpSocket(self, route, (laddr or route.source, lport), (raddr, rport))
        connection.timestamps, connection.sack, connection.scaling = self.offers()
        self._bind(connection, lport, bound)
        if self.netns.fib.reads_flows:  # now that the ports are known (ip_route_newports)
            connection.route = self.netns.sockets.route(
                raddr, connection.laddr, output.PROTOCOL, (connection.lport, rport)
            )
        self.add(connection)
        connection.begin(trace)
        return connection

    def congestion_control(self) -> CongestionControl:
        """Return what a new connection takes: by net.ipv4.tcp_congestion_control, cubic or reno."""
        return self._algorithm()

    def initial_sequence(self, key: Key) -> int:
        """Return a first sequence number: beyond those of an earlier connection of these addresses (RFC 6528)."""
        return hash((self._secret, key)) + int(self.netns.kernel.now * SEQUENCE_RATE) & MASK

    def timestamp_offset(self, laddr: int, raddr: int) -> int:
        """Return where the timestamps between two hosts begin; for all connections the same (RFC 7323 section 5.4)."""
        return hash((self._secret, laddr, raddr)) & MASK

    def offers(self) -> tuple[bool, bool, bool]:
        """Which options the sysctls allow: timestamps, SACK, window scaling."""
        number = self.netns.sysctl.number
        return number(TIMESTAMPS) != 0, number(SACK) != 0, number(WINDOW_SCALING) != 0

    def add(self, connection: TcpSocket) -> None:
        """Make a connection found by its segments."""
        self.connections[connection.key] = connection

    def remove(self, connection: TcpSocket | TimeWait) -> None:
        """Forget a connection and give its port back."""
        if self.connections.get(connection.key) is connection:
            del self.connections[connection.key]
        self.ports.release(connection)

    def remove_listener(self, listener: TcpListener) -> None:
        """Forget a listener and give its port back."""
        self._listeners.pop((listener.laddr, listener.lport), None)
        self.ports.release(listener)

    def receive(self, skb: Skb) -> None:
        """Give a segment to its connection or listener; answer with a reset if there is none (`tcp_v4_rcv`)."""
        data = skb.data
        start, end = skb.transport, len(data)  # IP has cut it to its total length
        arrived = segment.parse(data, start, end)
        if arrived is None:
            self.netns.drop(skb, DropReason.INVALID_PROTO)
            return
        covered = gso.payload_offset(skb) if skb.gso_size else end
        if not segment.has_valid_checksum(data, start, covered, skb.saddr, skb.daddr):
            self.netns.drop(skb, DropReason.TCP_CSUM)
            return
        reason = self._dispatch(arrived, skb)
        if reason is not None:
            self.netns.drop(skb, reason, port=skb.dport)

    def refuse(self, arrived: Segment, skb: Skb, reason: DropReason) -> None:
        """Drop a segment that belongs nowhere, and answer it (RFC 9293 section 3.10.7.1)."""
        self.netns.drop(skb, reason, port=skb.dport)
        if arrived.flags & RST or skb.daddr == BROADCAST_IPV4 or is_multicast(skb.daddr):
            return
        if skb.trace is not None:
            why = "nobody listens" if reason is DropReason.NO_SOCKET else "it belongs to no connection"
            skb.step(self.netns, StepKind.REPLY, why=f"TCP reset: {why}")
        addresses = (skb.daddr, skb.dport, skb.saddr, skb.sport)
        tos = skb.data[skb.network + 1] & ~_ECN_MASK
        options = echo_options(skb, skb.daddr, milliseconds_of_day(self.netns.kernel.now))
        if options is None:
            return
        sequence, acknowledgement = arrived.acknowledgement, None
        if not arrived.flags & ACK:
            sequence, acknowledgement = 0, arrived.sequence + arrived.length
        output.answer_with_reset(self.netns, addresses, sequence, acknowledgement, skb.trace, tos, options)

    def error(self, error: IcmpError) -> TcpSocket | None:
        """Take an ICMP error about a segment of ours (`tcp_v4_err`); return the connection that it is for."""
        sport, dport, sequence = _QUOTED.unpack_from(error.quoted, error.transport)
        connection = self.connections.get((error.saddr, sport, error.daddr, dport))
        converted = icmp_errno(error.type, error.code)
        if not isinstance(connection, TcpSocket) or converted is None:
            return None
        tx = connection.tx
        quoted = unwrap(sequence, tx.una)
        if not tx.una <= quoted < max(tx.next, tx.una + 1):
            return None
        if error.type == DESTINATION_UNREACHABLE and error.code == FRAGMENTATION_NEEDED:
            self._lower_path_mtu(connection, error.info)
        elif connection.connecting:
            connection.fail(converted[0])
        else:
            connection.soft_error = converted[0]  # told if the connection times out
        return connection

    def find(self, raddr: int, rport: int, laddr: int, lport: int) -> TcpSocket | TimeWait | None:
        """Return the connection between two ends."""
        return self.connections.get((laddr, lport, raddr, rport))

    def find_listener(self, laddr: int, lport: int) -> TcpListener | None:
        """Return who listens at an address, or at any."""
        return self._listeners.get((laddr, lport)) or self._listeners.get((0, lport))

    def _dispatch(self, arrived: Segment, skb: Skb) -> DropReason | None:
        initial = None
        connection = self.connections.get((skb.daddr, skb.dport, skb.saddr, skb.sport))
        listener = None
        if connection is None or isinstance(connection, TimeWait):
            listener = self.find_listener(skb.daddr, skb.dport)
            if isinstance(skb.socket, TcpListener):  # TPROXY's choice
                listener = skb.socket
        if isinstance(connection, TimeWait) and listener is not None and connection.may_be_replaced(arrived):
            initial = connection.next_initial()
            connection.finish()
            connection = None
        if skb.trace is not None and (connection or listener) is not None:
            skb.step(self.netns, StepKind.DELIVER, protocol="tcp", socket=str(connection or listener))
        if isinstance(connection, TimeWait):
            return connection.arrive(arrived)
        if connection is not None:
            return connection.arrive(arrived, skb.trace)
        if listener is not None:
            return listener.arrive(arrived, skb, initial)
        self.refuse(arrived, skb, DropReason.NO_SOCKET)
        return None

    def _set_algorithm(self, name: str) -> None:
        if name not in ALGORITHMS:
            raise ValueError(name)
        self._algorithm = ALGORITHMS[name]

    def _bind(self, connection: TcpSocket, port: int, bound: BoundTcp | None) -> None:
        laddr, raddr, rport = connection.laddr, connection.raddr, connection.rport
        if port == 0:
            taken = self.connections
            port_range = self.netns.sockets.port_range()
            self.ports.bind_connected(connection, lambda port: (laddr, port, raddr, rport) in taken, port_range)
            return
        if connection.key in self.connections:
            raise os_error(errno.EADDRNOTAVAIL)
        if bound is not None:
            connection.reuse_address = bound.reuse_address
            self.ports.replace(bound, connection)
            return
        self.ports.bind(connection, port, (port, port))

    def _lower_path_mtu(self, connection: TcpSocket, mtu: int) -> None:
        lowered = max(mtu, MINIMUM_PATH_MTU)
        if lowered < connection.path_mtu and connection.state is not State.SYN_SENT:
            connection.set_path_mtu(lowered)
            output.push(connection)


def _refuse(value: str) -> None:
    """Refuse to set what can only be read."""
    raise ValueError(value)


def _conflict(new: Socket, old: Socket) -> bool:
    """Whether two may not share a port though their addresses overlap (`inet_csk_bind_conflict`)."""
    return isinstance(old, TcpListener) or not (new.reuse_address and old.reuse_address)
