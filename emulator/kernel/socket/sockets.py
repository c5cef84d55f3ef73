"""The sockets of a namespace: where its packets begin and end. Programs get them here.

Calls change state and queue packets, and never wait. `Kernel.run` moves the packets; `Kernel.wake` notes the sockets
for which something became possible. Errors are OSError with Linux's errno.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.owner import ROOT
from emulator.kernel.socket.base import Address, Socket, SocketInfo
from emulator.kernel.socket.error import os_error, output_error
from emulator.kernel.socket.ping import Ping, PingSocket
from emulator.kernel.socket.udp import Udp, UdpSocket
from emulator.kernel.tcp.bound import BoundTcp
from emulator.kernel.tcp.protocol import Tcp
from emulator.packet.icmp import ECHO_REPLY

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.routing.route import RouteResult
    from emulator.kernel.sctp.protocol import Sctp
    from emulator.kernel.tcp.connection import TcpSocket
    from emulator.kernel.tcp.listener import TcpListener
    from emulator.kernel.trace import Trace

UDP_PROTOCOL = 17
PORT_RANGE = "net.ipv4.ip_local_port_range"
DEFAULT_PORT_RANGE = (32768, 60999)


class Sockets:
    """A namespace's socket tables; registers itself for UDP, TCP and for ICMP errors about them."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self.owner = ROOT  # of whoever opens a socket now, as `current_cred()`
        self._port_range = DEFAULT_PORT_RANGE
        netns.sysctl.register(PORT_RANGE, "32768\t60999", self._set_port_range, numeric=False)
        self._udp = Udp(netns)
        self._tcp = Tcp(netns)
        self._ping = Ping(netns)
        self._sctp: Sctp | None = None
        netns.protocols[17] = self._udp.receive
        netns.protocols[6] = self._tcp.receive
        netns.error_handlers[17] = self._udp.error
        netns.error_handlers[6] = self._tcp.error
        netns.error_handlers[1] = self._ping.error
        netns.icmp.handlers[ECHO_REPLY] = self._ping.receive_reply

    def udp(self) -> UdpSocket:
        """Open a UDP socket, unbound."""
        return UdpSocket(self._netns, self._udp)

    def ping(self, identifier: int = 0) -> PingSocket:
        """Open an ICMP echo socket; identifier 0 draws a free one."""
        return self._ping.open(identifier)

    def listen(self, address: Address, backlog: int = 128, *, reuse_address: bool = True) -> TcpListener:
        """Listen for TCP. EADDRINUSE, EADDRNOTAVAIL. `reuse_address` (SO_REUSEADDR) passes over TIME_WAIT."""
        return self._tcp.listen(address, backlog, reuse_address=reuse_address)

    def bind_tcp(self, address: Address, *, reuse_address: bool = False) -> BoundTcp:
        """Give a new TCP socket an address and a port, 0 for a free one. EADDRINUSE, EADDRNOTAVAIL."""
        return self._tcp.bind(address, reuse_address=reuse_address)

    def connect(self, address: Address, source: Address | None = None, trace: Trace | None = None) -> TcpSocket:
        """Begin a TCP connection. ENETUNREACH, EADDRNOTAVAIL, ... at once; refusal and time-out on the socket later."""
        return self._tcp.connect(address, source, trace)

    @property
    def sctp(self) -> Sctp:
        """SCTP, which is not there before it is first asked for, as Linux loads its module with the first socket."""
        if self._sctp is None:
            from emulator.kernel.sctp.protocol import Sctp

            self._sctp = Sctp(self._netns)
        return self._sctp

    def __iter__(self) -> Iterator[Socket]:
        yield from self._ping.sockets.values()
        yield from self._udp.ports
        yield from self._tcp.ports
        if self._sctp is not None:
            yield from self._sctp.ports

    def find(self, protocol: int, raddr: int, rport: int, laddr: int, lport: int) -> Socket | None:
        """Return the socket that a packet from one to the other end would be given; listeners too (`inet_lookup`)."""
        if protocol == UDP_PROTOCOL:
            return self._udp.find(raddr, rport, laddr, lport)
        return self._tcp.find(raddr, rport, laddr, lport) or self._tcp.find_listener(laddr, lport)

    def find_redirected(
        self, protocol: int, remote: tuple[int, int], there: tuple[int, int], here: tuple[int, int]
    ) -> Socket | None:
        """Return whom a transparent proxy's rule hands a packet to (`nf_tproxy_get_sock_v4`).

        That is the connection of the packet itself, from `remote` to `there`, else a listener at `here`.
        """
        if protocol == UDP_PROTOCOL:
            connected = self._udp.find(*remote, *there)
            if connected is not None and connected.rport and connected.laddr:
                return connected
            found = self._udp.find(*remote, *here)
            return None if found is None or found.rport else found
        return self._tcp.find(*remote, *there) or self._tcp.find_listener(*here)

    def listing(self) -> list[SocketInfo]:
        """Every socket, as `ss -a` lists them: ping, UDP, TCP with its listeners and TIME_WAITs, SCTP.

        TCP sockets that are bound and nothing more are not in the kernel's dump (sock_diag) either.
        """
        return [socket.info() for socket in self if not isinstance(socket, BoundTcp)]

    def close(self) -> None:
        """End every socket without a packet, because the namespace goes away; their programs get ENETDOWN or EBADF."""
        for socket in list(self):
            socket.detach()
            self._netns.kernel.wake(socket)

    def route(self, daddr: int, saddr: int, protocol: int, ports: tuple[int, int] = (0, 0)) -> RouteResult:
        """Route a packet of ours; `ports` are (source, destination). OSError (ENETUNREACH, ...) without a way."""
        route = self._netns.ip.route_output(daddr, saddr=saddr, protocol=protocol, ports=ports)
        if isinstance(route, DropReason):
            raise output_error(route) or os_error(errno.ENETUNREACH)
        return route

    def is_local(self, address: int) -> bool:
        """Whether a socket may be bound to this address: one in the local table."""
        return self._netns.fib.is_local(address)

    def port_range(self) -> tuple[int, int]:
        """net.ipv4.ip_local_port_range: the first and last port that are drawn."""
        return self._port_range

    def _set_port_range(self, text: str) -> None:
        low, high = (int(part) for part in text.split())
        if not 1 <= low <= high <= 0xFFFF:
            raise ValueError(text)
        self._port_range = low, high
