"""UDP sockets (RFC 768), where a datagram's way through the stack begins and ends.

`UdpSocket` is the program's side; `Udp` is the namespace's: it finds the socket of a datagram that came in, and of an
ICMP error about one that went out.
"""

from __future__ import annotations

import errno
import struct
from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.route import RTN_BROADCAST, RouteResult
from emulator.kernel.socket.base import Address, Socket, SocketInfo, parse_address
from emulator.kernel.socket.datagram import DatagramSocket
from emulator.kernel.socket.error import SocketError, icmp_errno, os_error
from emulator.kernel.socket.port_table import PortTable
from emulator.kernel.trace import StepKind
from emulator.packet.address import BROADCAST_IPV4, format_ipv4, is_multicast
from emulator.packet.checksum import is_valid, transport_checksum
from emulator.packet.icmp import DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, PORT_UNREACHABLE
from emulator.packet.udp import HEADER_LENGTH, MAXIMUM_PAYLOAD, UDP

if TYPE_CHECKING:
    from emulator.kernel.ip.icmp import IcmpError
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb
    from emulator.kernel.trace import Trace

PROTOCOL = 17
ERROR_QUEUE_LIMIT = 64

_PORTS = struct.Struct("!HH")


class Datagram(Struct, frozen=True):
    """One datagram that came in. `trace` is its mark if it was traced: pass it on to `send_to` of the answer."""

    payload: bytes
    source: Address
    destination: Address
    ttl: int
    trace: Trace | None = None


class UdpSocket(DatagramSocket[Datagram]):
    """A UDP socket. Errors are OSError as Linux gives them; nothing here waits.

    An ICMP error about a datagram of ours stands in `errors`; on a connected socket one that matters (port unreachable)
    is also raised by the next call, once.
    """

    __slots__ = ("_pending", "_udp", "broadcast", "errors")

    def __init__(self, netns: Netns, udp: Udp) -> None:
        super().__init__(netns)
        self._udp = udp
        self._pending = 0
        self.broadcast = False
        self.errors: deque[SocketError] = deque(maxlen=ERROR_QUEUE_LIMIT)

    def bind(self, address: Address) -> None:
        """Bind; port 0 draws a free one. EADDRINUSE, EADDRNOTAVAIL for an address that is not ours, EINVAL twice."""
        self._check_open()
        host, port = parse_address(address)
        if self.lport:
            raise os_error(errno.EINVAL)
        if host and not self.netns.sockets.is_local(host):
            raise os_error(errno.EADDRNOTAVAIL)
        self.laddr = host
        self._udp.ports.bind(self, port, self.netns.sockets.port_range())

    def connect(self, address: Address) -> None:
        """Set the peer, and hear from it alone; no packet goes out. ENETUNREACH, EHOSTUNREACH without a route."""
        self._check_open()
        host, port = parse_address(address)
        if not self.lport:
            self._udp.ports.bind(self, 0, self.netns.sockets.port_range())
        route = self._route(host, port)
        self.laddr = self.laddr or route.source
        self.raddr, self.rport = host, port

    def send_to(
        self,
        payload: bytes,
        address: Address | None = None,
        *,
        ttl: int | None = None,
        dont_fragment: bool = False,
        trace: Trace | None = None,
    ) -> None:
        """Send one datagram, to the peer if there is no address. EMSGSIZE, EDESTADDRREQ, EPERM (a rule), ...

        `dont_fragment` refuses what exceeds the MTU with EMSGSIZE; else DF is set on what fits it, as Linux does.
        """
        self._check_open()
        self._raise_pending()
        host, port = self._destination(address)
        length = HEADER_LENGTH + len(payload)
        if len(payload) > MAXIMUM_PAYLOAD:
            raise os_error(errno.EMSGSIZE)
        if not self.lport:
            self._udp.ports.bind(self, 0, self.netns.sockets.port_range())
        route = self._route(host, port)
        saddr = self.laddr or route.source
        segment = bytearray(UDP.pack(self.lport, port, length, 0))
        segment += payload
        segment[6:8] = (transport_checksum(segment, saddr, host, PROTOCOL) or 0xFFFF).to_bytes(2, "big")
        self._transmit(
            PROTOCOL, segment, route, saddr=saddr, daddr=host, ttl=ttl, dont_fragment=dont_fragment, trace=trace
        )

    def receive(self) -> Datagram | None:
        """Take the next datagram, or None if there is none yet. The pending error of a connected socket comes first."""
        self._check_open()
        self._raise_pending()
        return self._pop()

    @property
    def readable(self) -> bool:
        """Whether `receive` would give a datagram or raise."""
        return bool(self._queue) or self._pending != 0 or self.closed

    def info(self) -> SocketInfo:
        """Return its row of `ss`; the receive queue counts overhead, as Linux's does."""
        state = "ESTAB" if self.rport else "UNCONN"
        return SocketInfo("udp", state, self._charged, 0, self.local_address, self.remote_address)

    def score(self, saddr: int, sport: int, daddr: int) -> int:
        """How well this socket fits a datagram that came in for its port; negative if not at all (`compute_score`)."""
        score = 0
        if self.laddr:
            if self.laddr != daddr:
                return -1
            score += 4
        if self.rport:
            if self.raddr != saddr or self.rport != sport:
                return -1
            score += 8
        return score

    def deliver(self, skb: Skb, payload: bytes) -> None:
        """Queue a datagram, unless the receive buffer is full."""
        if not self._has_room(len(payload)):
            self.netns.drop(skb, DropReason.SOCKET_RCVBUFF, port=self.lport)
            return
        if skb.trace is not None:
            skb.step(self.netns, StepKind.DELIVER, protocol="udp", socket=str(self))
        source = (format_ipv4(skb.saddr), skb.sport)
        destination = (format_ipv4(skb.daddr), skb.dport)
        self._push(Datagram(payload, source, destination, skb.data[skb.network + 8], skb.trace), len(payload))

    def fail(self, error: SocketError, *, fatal: bool) -> None:
        """Take an ICMP error about a datagram of ours."""
        self.errors.append(error)
        if self.rport and fatal:
            self._pending = error.errno
        self.netns.kernel.wake(self)

    def _destination(self, address: Address | None) -> tuple[int, int]:
        if address is not None:
            host, port = parse_address(address)
            if port == 0:
                raise os_error(errno.EINVAL)
            return host, port
        if not self.rport:
            raise os_error(errno.EDESTADDRREQ)
        return self.raddr, self.rport

    def _route(self, host: int, port: int) -> RouteResult:
        route = self.netns.sockets.route(host, self.laddr, PROTOCOL, (self.lport, port))
        if route.type is RTN_BROADCAST and not self.broadcast:
            raise os_error(errno.EACCES)
        return route

    def _leave(self) -> None:
        self._udp.ports.release(self)

    def _raise_pending(self) -> None:
        if self._pending:
            number, self._pending = self._pending, 0
            raise os_error(number)


class Udp:
    """UDP of one namespace: the handler of protocol 17."""

    __slots__ = ("netns", "ports")

    def __init__(self, netns: Netns) -> None:
        self.netns = netns
        self.ports: PortTable[UdpSocket] = PortTable(netns.kernel.random, _conflict)

    def receive(self, skb: Skb) -> None:
        """Give a datagram to its socket; answer with port unreachable if there is none (`__udp4_lib_rcv`)."""
        data = skb.data
        start = skb.transport
        end = len(data)  # IP has cut it to its total length
        length = data[start + 4] << 8 | data[start + 5] if end - start >= HEADER_LENGTH else 0
        if not HEADER_LENGTH <= length <= end - start:
            self.netns.drop(skb, DropReason.INVALID_PROTO)
            return
        segment = data[start : start + length]
        if (segment[6] or segment[7]) and not is_valid(segment, skb.saddr + skb.daddr + PROTOCOL + length):
            self.netns.drop(skb, DropReason.UDP_CSUM)
            return
        payload = bytes(segment[HEADER_LENGTH:])
        if (
            skb.daddr == BROADCAST_IPV4
            or is_multicast(skb.daddr)
            or (skb.route is not None and skb.route.type is RTN_BROADCAST)
        ):
            self._deliver_to_all(skb, payload)
            return
        assigned = skb.socket  # by TPROXY
        if isinstance(assigned, UdpSocket):
            assigned.deliver(skb, payload)
            return
        socket = self.find(skb.saddr, skb.sport, skb.daddr, skb.dport)
        if socket is None:
            self.netns.drop(skb, DropReason.NO_SOCKET, port=skb.dport)
            skb.ct = None  # nf_reset_ct: the error finds its connection by itself, behind the raw table
            self.netns.icmp.send_error(skb, DESTINATION_UNREACHABLE, PORT_UNREACHABLE)
            return
        socket.deliver(skb, payload)

    def error(self, error: IcmpError) -> UdpSocket | None:
        """Give an ICMP error to the socket that sent the quoted datagram, and return it (`__udp4_lib_err`)."""
        converted = icmp_errno(error.type, error.code)
        if converted is None:
            return None
        number, fatal = converted
        sport, dport = _PORTS.unpack_from(error.quoted, error.transport)
        if error.type == DESTINATION_UNREACHABLE and error.code == FRAGMENTATION_NEEDED:
            fatal = True  # a connected socket is told EMSGSIZE (IP_PMTUDISC_WANT)
        report = SocketError(
            number,
            error.type,
            error.code,
            error.info,
            format_ipv4(error.source),
            (format_ipv4(error.daddr), dport),
            error.ttl,
        )
        for socket in self.ports.sockets(sport) or ():
            mine = socket.laddr in (0, error.saddr)
            if mine and (not socket.rport or (socket.raddr, socket.rport) == (error.daddr, dport)):
                socket.fail(report, fatal=fatal)
                return socket
        return None

    def find(self, saddr: int, sport: int, daddr: int, dport: int) -> UdpSocket | None:
        """Return the socket that a datagram is for (`__udp4_lib_lookup`)."""
        best: UdpSocket | None = None
        best_score = -1
        for socket in self.ports.sockets(dport) or ():
            score = socket.score(saddr, sport, daddr)
            if score >= best_score and score >= 0:  # of equals the latest bound wins
                best, best_score = socket, score
        return best

    def _deliver_to_all(self, skb: Skb, payload: bytes) -> None:
        sender = skb.saddr, skb.sport
        fitting = [each for each in self.ports.sockets(skb.dport) or () if each.score(*sender, skb.daddr) >= 0]
        if not fitting:
            self.netns.drop(skb, DropReason.NO_SOCKET, port=skb.dport)
        for socket in fitting:
            socket.deliver(skb, payload)


def _conflict(new: Socket, old: Socket) -> bool:
    return not (new.reuse_address and old.reuse_address)
