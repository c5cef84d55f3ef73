"""A namespace as programs see it (`apps.environment.Network`): sockets that wait, and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import trio

from emulator.kernel.owner import ROOT, Owner
from emulator.runtime.sockets.resolver import Resolver, ResolverSettings
from emulator.runtime.sockets.sockets import PingEndpoint, UdpEndpoint
from emulator.runtime.sockets.tcp_stream import TcpListener, TcpStream

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.socket.base import Address
    from emulator.kernel.trace import Trace
    from emulator.runtime.machine.machine import Machine
    from emulator.runtime.sockets.sctp_association import SctpAssociation, SctpListener

ANY = "0.0.0.0"


class NetnsNetwork:
    """The sockets and the resolver of one namespace of one machine, as they are to programs of one user (`owner`)."""

    def __init__(
        self, machine: Machine, netns: Netns, settings: ResolverSettings | None = None, owner: Owner = ROOT
    ) -> None:
        self._machine = machine
        self._netns = netns
        self._owner = owner
        self._settings = settings or ResolverSettings()
        self._resolver = Resolver(self, self._settings)

    @property
    def netns(self) -> Netns:
        """The namespace itself; the machine's time is brought up to now first, since the caller may change it."""
        self.enter()
        return self._netns

    @property
    def machine(self) -> Machine:
        """The machine that it is on."""
        return self._machine

    def owned_by(self, owner: Owner) -> NetnsNetwork:
        """Return the same network for programs of another user."""
        return self if owner == self._owner else NetnsNetwork(self._machine, self._netns, self._settings, owner)

    def enter(self) -> None:
        """Bring the machine's time up to now, as whoever calls a socket of the kernel must right before.

        Sockets that are opened next are this user's.
        """
        self._machine.enter()
        self._netns.sockets.owner = self._owner

    @property
    def nameservers(self) -> Sequence[str]:
        """The name servers of its resolv.conf."""
        return self._settings.nameservers

    @property
    def search(self) -> Sequence[str]:
        """The search list of its resolv.conf."""
        return self._settings.search

    @property
    def ndots(self) -> int:
        """The ndots option of its resolv.conf."""
        return self._settings.ndots

    @property
    def resolver_options(self) -> Sequence[str]:
        """The options of its resolv.conf, as they are written."""
        return self._settings.options

    @property
    def hosts(self) -> Mapping[str, str]:
        """Its hosts file: name to address."""
        return self._settings.hosts

    async def open_tcp_stream(
        self, host: str, port: int, *, source: Address | None = None, trace: Trace | None = None
    ) -> TcpStream:
        """Connect to a name or address; the addresses of a name are tried in turn. OSError as Linux gives it."""
        addresses = await self.resolve(host)
        await trio.lowlevel.checkpoint()
        for address in addresses[:-1]:
            try:
                return await self._connect((address, port), source, trace)
            except OSError:
                continue
        return await self._connect((addresses[-1], port), source, trace)

    async def _connect(self, address: Address, source: Address | None, trace: Trace | None) -> TcpStream:
        self.enter()
        stream = TcpStream(self._machine, self._netns.sockets.connect(address, source, trace=trace))
        await stream.connected()
        return stream

    async def open_tcp_listener(self, port: int, *, address: str = ANY, backlog: int = 128) -> TcpListener:
        """Listen. OSError(EADDRINUSE) where the port is taken."""
        await trio.lowlevel.checkpoint()
        self.enter()
        return TcpListener(self._machine, self._netns.sockets.listen((address, port), backlog))

    def open_udp(self, port: int = 0, *, address: str = ANY) -> UdpEndpoint:
        """Bind a UDP socket; port 0 draws a free one. OSError(EADDRINUSE) where the port is taken."""
        self.enter()
        socket = self._netns.sockets.udp()
        socket.bind((address, port))
        return UdpEndpoint(self._machine, socket)

    def open_ping(self, *, source: str = "") -> PingEndpoint:
        """Open an ICMP echo socket, whose requests come from `source` if given. OSError(EADDRNOTAVAIL)."""
        self.enter()
        socket = self._netns.sockets.ping()
        if source:
            try:
                socket.bind(source)
            except OSError:
                socket.close()
                raise
        return PingEndpoint(self._machine, socket)

    async def open_sctp(self, host: str, port: int, *, source: Address | None = None) -> SctpAssociation:
        """Begin an SCTP association with a name's first address. OSError as Linux gives it."""
        from emulator.runtime.sockets.sctp_association import SctpAssociation

        address = (await self.resolve(host))[0]
        await trio.lowlevel.checkpoint()
        self.enter()
        association = SctpAssociation(self._machine, self._netns.sockets.sctp.connect((address, port), source))
        await association.connected()
        return association

    def open_sctp_listener(self, port: int, *, address: str = ANY, backlog: int = 128) -> SctpListener:
        """Listen for SCTP. OSError(EADDRINUSE) where the port is taken."""
        from emulator.runtime.sockets.sctp_association import SctpListener

        self.enter()
        return SctpListener(self._machine, self._netns.sockets.sctp.listen((address, port), backlog))

    async def resolve(self, host: str) -> list[str]:
        """Look a name up as getaddrinfo does. ResolveError if unknown."""
        return await self._resolver.resolve(host)

    async def look_up(self, host: str) -> tuple[list[str], list[str]]:
        """Return a name's own, full name and its aliases, and its addresses. ResolveError if unknown."""
        return await self._resolver.look_up(host)

    def draw(self, bits: int) -> int:
        """Draw random bits from the machine's source."""
        return self._machine.kernel.random.getrandbits(bits)
