"""ICMP echo sockets (net/ipv4/ping.c), where `ping` sends its requests and hears of their fate."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.drop import DropReason
from emulator.kernel.socket.base import SocketInfo, parse_address
from emulator.kernel.socket.datagram import DatagramSocket
from emulator.kernel.socket.error import SocketError, icmp_errno, os_error
from emulator.kernel.trace import StepKind
from emulator.packet.address import format_ipv4
from emulator.packet.checksum import checksum
from emulator.packet.icmp import ECHO_REQUEST

if TYPE_CHECKING:
    from emulator.kernel.ip.icmp import IcmpError
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb
    from emulator.kernel.trace import Trace

PROTOCOL = 1
HEADER_LENGTH = 8
MAXIMUM_PAYLOAD = 65_507


class PingReply(Struct, frozen=True):
    """An echo reply, or an ICMP error about one of our requests (`error`; `source` is then who sent the error).

    `size` is the ICMP message in bytes, header included, as `ping` prints it.
    """

    source: str
    sequence: int
    ttl: int
    size: int
    payload: bytes = b""
    error: SocketError | None = None
    trace: Trace | None = None


class PingSocket(DatagramSocket[PingReply]):
    """An echo socket. `lport` is the ICMP identifier that the namespace gave it."""

    __slots__ = ("_ping",)

    def __init__(self, netns: Netns, ping: Ping) -> None:
        super().__init__(netns)
        self._ping = ping

    @property
    def identifier(self) -> int:
        """The identifier in its requests."""
        return self.lport

    def bind(self, address: str) -> None:
        """Send from an address of this namespace. OSError(EADDRNOTAVAIL) for any other."""
        self._check_open()
        host, _ = parse_address((address, 0))
        if not self.netns.sockets.is_local(host):
            raise os_error(errno.EADDRNOTAVAIL)
        self.laddr = host

    def send_echo(
        self,
        daddr: int,
        sequence: int,
        payload: bytes,
        *,
        ttl: int | None = None,
        dont_fragment: bool = False,
        trace: Trace | None = None,
    ) -> None:
        """Send one echo request. EMSGSIZE where `dont_fragment` forbids what the MTU asks for; routing's errors."""
        self._check_open()
        if len(payload) > MAXIMUM_PAYLOAD:
            raise os_error(errno.EMSGSIZE)
        route = self.netns.sockets.route(daddr, self.laddr, PROTOCOL)
        message = bytearray((ECHO_REQUEST, 0, 0, 0))
        message += self.lport.to_bytes(2, "big")
        message += (sequence & 0xFFFF).to_bytes(2, "big")
        message += payload
        message[2:4] = checksum(message).to_bytes(2, "big")
        saddr = self.laddr or route.source
        self._transmit(
            PROTOCOL, message, route, saddr=saddr, daddr=daddr, ttl=ttl, dont_fragment=dont_fragment, trace=trace
        )

    def receive(self) -> PingReply | None:
        """Take the next reply or error report, or None if there is none yet."""
        self._check_open()
        return self._pop()

    @property
    def readable(self) -> bool:
        """Whether `receive` would give something or raise."""
        return bool(self._queue) or self.closed

    def info(self) -> SocketInfo:
        """Return its row of `ss`."""
        return SocketInfo("icmp", "UNCONN", self._charged, 0, self.local_address, self.remote_address)

    def deliver(self, reply: PingReply) -> bool:
        """Queue a reply or an error report; False if the receive buffer is full."""
        if not self._has_room(len(reply.payload)):
            return False
        self._push(reply, len(reply.payload))
        return True

    def _leave(self) -> None:
        self._ping.sockets.pop(self.lport, None)


class Ping:
    """Echo sockets of one namespace, by identifier."""

    __slots__ = ("netns", "sockets")

    def __init__(self, netns: Netns) -> None:
        self.netns = netns
        self.sockets: dict[int, PingSocket] = {}

    def open(self, identifier: int = 0) -> PingSocket:
        """Open a socket; identifier 0 draws a free one. OSError(EADDRINUSE) if it is taken, or all are."""
        if identifier == 0:
            identifier = self._draw()
        elif identifier in self.sockets:
            raise os_error(errno.EADDRINUSE)
        socket = PingSocket(self.netns, self)
        socket.lport = identifier
        self.sockets[identifier] = socket
        return socket

    def receive_reply(self, skb: Skb) -> None:
        """Give an echo reply, whose checksum has been verified, to its socket (`ping_rcv`)."""
        data = skb.data
        start = skb.transport
        identifier = data[start + 4] << 8 | data[start + 5]
        socket = self.sockets.get(identifier)
        if socket is None:
            self.netns.drop(skb, DropReason.NO_SOCKET, identifier=identifier)
            return
        if skb.trace is not None:
            skb.step(self.netns, StepKind.DELIVER, protocol="icmp", socket=str(socket))
        sequence = data[start + 6] << 8 | data[start + 7]
        payload = bytes(data[start + HEADER_LENGTH :])
        source, ttl = format_ipv4(skb.saddr), data[skb.network + 8]
        if not socket.deliver(PingReply(source, sequence, ttl, len(data) - start, payload, trace=skb.trace)):
            self.netns.drop(skb, DropReason.SOCKET_RCVBUFF, identifier=identifier)

    def error(self, error: IcmpError) -> PingSocket | None:
        """Report an ICMP error about a request of ours to its socket, and return it (`ping_err`)."""
        quoted = error.quoted[error.transport : error.transport + HEADER_LENGTH]
        if quoted[0] != ECHO_REQUEST:
            return None
        socket = self.sockets.get(quoted[4] << 8 | quoted[5])
        converted = icmp_errno(error.type, error.code)
        if socket is None or converted is None:
            return None
        offender = format_ipv4(error.source)
        report = SocketError(converted[0], error.type, error.code, error.info, offender, (format_ipv4(error.daddr), 0))
        socket.deliver(PingReply(offender, quoted[6] << 8 | quoted[7], 0, 0, error=report, trace=error.trace))
        return socket

    def _draw(self) -> int:
        start = self.netns.kernel.random.getrandbits(16)
        for step in range(0xFFFF):
            identifier = (start + step) % 0xFFFF + 1
            if identifier not in self.sockets:
                return identifier
        raise os_error(errno.EADDRINUSE)
