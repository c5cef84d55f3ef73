"""What a program in a pod, or a command of `emulator exec`, gets from its surroundings.

The runtime implements `Network` over a netns; programs and commands know only these types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.socket import Datagram, PingReply
    from emulator.kernel.trace import Trace
    from emulator.packet.dns_record import Record

Address = tuple[str, int]


class UdpEndpoint(Protocol):
    """A UDP socket for trio; receiving waits, sending does not."""

    @property
    def local_address(self) -> Address:
        """The bound address and port."""

    async def send_to(self, payload: bytes, address: Address) -> None:
        """Send one datagram. OSError as Linux gives it (EHOSTUNREACH, EPERM, EMSGSIZE, ...)."""

    async def receive(self) -> Datagram:
        """Wait for one datagram. OSError where an ICMP error came in for a connected socket."""

    def close(self) -> None:
        """Give the port back."""


class PingEndpoint(Protocol):
    """An ICMP echo socket for trio."""

    def send_echo(
        self, address: str, sequence: int, payload: bytes, *, ttl: int = 64, dont_fragment: bool = False
    ) -> None:
        """Send one echo request."""

    async def receive(self) -> PingReply:
        """Wait for an echo reply, or for an ICMP error about one of our requests."""

    def close(self) -> None:
        """End the socket."""


class Network(Protocol):
    """A network namespace as programs see it: sockets for trio, and names."""

    @property
    def netns(self) -> Netns:
        """The namespace itself, for commands that show or change it."""

    @property
    def nameservers(self) -> Sequence[str]:
        """The name servers of its resolv.conf."""

    @property
    def search(self) -> Sequence[str]:
        """The search list of its resolv.conf."""

    @property
    def ndots(self) -> int:
        """The ndots option of its resolv.conf."""

    @property
    def hosts(self) -> Mapping[str, str]:
        """Its hosts file: name to address."""

    async def open_tcp_stream(
        self, host: str, port: int, *, trace: Trace | None = None
    ) -> trio.abc.HalfCloseableStream:
        """Connect to a name or address. OSError as Linux gives it (ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ...)."""

    async def open_tcp_listener(
        self, port: int, *, address: str = "0.0.0.0", backlog: int = 128
    ) -> trio.abc.Listener[trio.abc.HalfCloseableStream]:
        """Listen. OSError(EADDRINUSE) where the port is taken."""

    def open_udp(self, port: int = 0, *, address: str = "0.0.0.0") -> UdpEndpoint:
        """Bind a UDP socket; port 0 draws a free one."""

    def open_ping(self) -> PingEndpoint:
        """Open an ICMP echo socket."""

    async def resolve(self, host: str) -> list[str]:
        """Look a name up as getaddrinfo does (hosts, search list, DNS); ResolveError if unknown."""


class ResolveError(OSError):
    """A name that could not be resolved; the message is what programs print ("Could not resolve host: x")."""


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What a zone says of a name and a type. No records of a name that exists is NODATA, of one that does not NXDOMAIN.

    `authoritative` is False for names outside the zone: somebody else must be asked.
    """

    records: tuple[Record, ...]
    exists: bool
    authoritative: bool = True


class Zone(Protocol):
    """The names of the cluster, as its DNS server sees them."""

    def lookup(self, name: str, record_type: int) -> DnsAnswer:
        """Look up a full name ("web.default.svc.cluster.local.") of a type as `packet.dns` numbers it."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod, as the program inside it sees the world."""

    name: str
    image: str
    pod_name: str
    namespace: str
    pod_ip: str
    node_name: str
    network: Network
    log: Callable[[str], None]
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[tuple[str, str, int], ...] = ()  # (name, protocol, containerPort)
    labels: Mapping[str, str] = field(default_factory=dict)
    zone: Zone | None = None  # for the cluster's DNS server


class Input(Protocol):
    """Standard input of a command."""

    async def read(self) -> bytes:
        """Return some bytes, or b"" at the end."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of a command in a pod or on a node. `write` and `write_error` never wait."""

    argv: tuple[str, ...]
    network: Network
    stdin: Input
    write: Callable[[str], None]
    write_error: Callable[[str], None]
    wall_clock: Callable[[], float]  # seconds since the epoch at this moment, on the cluster's clock
    hostname: str = "localhost"
    terminal: bool = False


class Program(Protocol):
    """What an image runs: serves until cancelled, returns an exit status, or raises."""

    async def __call__(
        self, container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> int:
        """Run; `task_status.started()` once its ports are bound."""


class Command(Protocol):
    """A command of `emulator exec`."""

    async def __call__(self, invocation: Invocation) -> int:
        """Run and return the exit status."""
