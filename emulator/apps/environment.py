"""What a program in a pod, or a command of `emulator exec`, gets from its surroundings.

The runtime implements `Network` over a netns; programs and commands know only these types.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import trio
from msgspec import Struct, field

if TYPE_CHECKING:
    from emulator.apps.directory import ServiceDirectory, Zone
    from emulator.apps.filesystem import Files
    from emulator.kernel.netns import Netns
    from emulator.kernel.sctp.inbound import Message
    from emulator.kernel.socket.ping import PingReply
    from emulator.kernel.socket.udp import Datagram, UdpSocket
    from emulator.kernel.tcp.connection import TcpSocket
    from emulator.kernel.trace import Trace

Address = tuple[str, int]


class TcpStream(Protocol):
    """A TCP connection for trio, as `trio.abc.HalfCloseableStream` with its two addresses."""

    @property
    def socket(self) -> TcpSocket:
        """The kernel's socket, for its state and counters."""

    @property
    def local_address(self) -> Address:
        """This end's address and port."""

    @property
    def remote_address(self) -> Address:
        """The other end's address and port."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`. trio.BrokenResourceError, caused by Linux's OSError, where the connection failed."""

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for some bytes; b"" when the other end has closed its side. trio.BrokenResourceError."""

    async def aclose(self) -> None:
        """Close the connection."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class TcpListener(Protocol):
    """A listening TCP socket for trio."""

    async def accept(self) -> TcpStream:
        """Wait for a connection."""

    async def aclose(self) -> None:
        """Stop listening."""


class UdpEndpoint(Protocol):
    """A UDP socket for trio; receiving waits, sending does not."""

    @property
    def local_address(self) -> Address:
        """The bound address and port."""

    @property
    def socket(self) -> UdpSocket:
        """The kernel's socket, for what came back as ICMP errors."""

    def connect(self, address: Address) -> None:
        """Set the peer, and hear from it alone. ENETUNREACH without a route."""

    async def send_to(
        self,
        payload: bytes,
        address: Address | None = None,
        *,
        ttl: int | None = None,
        dont_fragment: bool = False,
        trace: Trace | None = None,
    ) -> None:
        """Send one datagram, to the peer if there is no address. OSError as Linux gives it (EHOSTUNREACH, ...).

        `dont_fragment` refuses what exceeds the path's MTU with EMSGSIZE (IP_PMTUDISC_DO).
        """

    async def wait_readable(self) -> None:
        """Wait until a datagram or an error report (`socket.errors`) is there."""

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


class SctpAssociation(Protocol):
    """An SCTP association for trio: whole messages. Errors are OSError as Linux gives them."""

    @property
    def local_address(self) -> Address:
        """This end's address and port."""

    @property
    def remote_address(self) -> Address:
        """The other end's address and port."""

    async def send(self, payload: bytes, stream: int = 0, *, ppid: int = 0, unordered: bool = False) -> None:
        """Send one message."""

    async def receive(self) -> Message:
        """Wait for one message; one without payload when the other end has ended the association."""

    async def aclose(self) -> None:
        """End the association."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class SctpListener(Protocol):
    """A listening SCTP socket for trio."""

    async def accept(self) -> SctpAssociation:
        """Wait for an association."""

    async def aclose(self) -> None:
        """Stop listening."""


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
    def resolver_options(self) -> Sequence[str]:
        """The options of its resolv.conf, as they are written."""

    @property
    def hosts(self) -> Mapping[str, str]:
        """Its hosts file: name to address."""

    async def open_tcp_stream(
        self, host: str, port: int, *, source: Address | None = None, trace: Trace | None = None
    ) -> TcpStream:
        """Connect to a name or address, from `source` if given (port 0 draws one).

        OSError as Linux gives it (ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, EADDRNOTAVAIL, ...).
        """

    async def open_tcp_listener(self, port: int, *, address: str = "0.0.0.0", backlog: int = 128) -> TcpListener:
        """Listen. OSError(EADDRINUSE) where the port is taken."""

    def open_udp(self, port: int = 0, *, address: str = "0.0.0.0") -> UdpEndpoint:
        """Bind a UDP socket; port 0 draws a free one."""

    def open_ping(self, *, source: str = "") -> PingEndpoint:
        """Open an ICMP echo socket, whose requests come from `source` if given. OSError(EADDRNOTAVAIL)."""

    def draw(self, bits: int) -> int:
        """Draw random bits from the machine's source, which a simulation repeats."""

    async def open_sctp(self, host: str, port: int, *, source: Address | None = None) -> SctpAssociation:
        """Begin an SCTP association with a name or address. OSError as Linux gives it (ECONNREFUSED, ...)."""

    def open_sctp_listener(self, port: int, *, address: str = "0.0.0.0", backlog: int = 128) -> SctpListener:
        """Listen for SCTP. OSError(EADDRINUSE) where the port is taken."""

    async def resolve(self, host: str) -> list[str]:
        """Look a name up as getaddrinfo does (hosts, search list, DNS); ResolveError if unknown."""

    async def look_up(self, host: str) -> tuple[list[str], list[str]]:
        """Return a name's own, full name and its aliases, and its addresses; as `resolve` otherwise."""


class ResolveError(OSError):
    """A name that could not be resolved; the message is what programs print ("Could not resolve host: x").

    `temporary`: no name server answered, or none could say (EAI_AGAIN), so the name may exist after all.
    `without_address`: the name exists, with other records (EAI_NODATA).
    """

    def __init__(self, message: str, *, temporary: bool = False, without_address: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary
        self.without_address = without_address

    @property
    def reason(self) -> str:
        """What getaddrinfo's error means, as gai_strerror(3) prints it."""
        if self.without_address:
            return "No address associated with hostname"
        return "Temporary failure in name resolution" if self.temporary else "Name or service not known"


async def no_files(_path: str) -> str | None:
    """Where a container has no files of its own."""
    await trio.lowlevel.checkpoint()
    return None


class ServicePorts(Protocol):
    """To which ports of a pod the cluster's Services send packets."""

    def now(self) -> frozenset[tuple[str, int]]:
        """Return protocol and number of each."""

    async def changed(self) -> None:
        """Wait until they may be others."""


def _never(_act: Callable[[], None]) -> None:
    """Where nobody sends signals."""


class Container(Struct, frozen=True):
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
    probed_ports: tuple[tuple[int, bool], ...] = ()  # TCP ports that its probes ask, and whether over TLS
    service_ports: ServicePorts | None = None  # for the one container of a pod that stands in for what is not declared
    labels: Mapping[str, str] = field(default_factory=dict)
    zone: Zone | None = None  # for name servers outside of clusters
    directory: ServiceDirectory | None = None  # for the cluster's DNS server
    read_file: Callable[[str], Awaitable[str | None]] = no_files  # the text of a mounted file, None without one
    app: str = ""  # "module:function" in place of the image's program
    wall_clock: Callable[[], float] = time.time  # seconds since the epoch, for what programs print as a date
    on_terminate: Callable[[Callable[[], None]], None] = _never
    """Have a function called when SIGTERM (or the image's own stop signal) comes, which otherwise ends the program."""
    files: Files | None = None  # its own; None where it has only those that its network makes
    working_dir: str = "/"


class Input(Protocol):
    """Standard input of a command."""

    async def read(self) -> bytes:
        """Return some bytes, or b"" at the end."""


async def _no_wait() -> None:
    await trio.lowlevel.checkpoint()


class Invocation(Struct, frozen=True):
    """One run of a command in a pod or on a node. `write` and `write_error` never wait.

    `drain` waits while whoever reads the output is behind: whatever prints without end goes through it. With
    `on_interrupt` a command takes Ctrl-C (SIGINT), which otherwise ends it at once.
    """

    argv: tuple[str, ...]
    network: Network
    stdin: Input
    write: Callable[[str], None]
    write_error: Callable[[str], None]
    wall_clock: Callable[[], float]  # seconds since the epoch at this moment, on the cluster's clock
    hostname: str = "localhost"
    terminal: bool = False
    drain: Callable[[], Awaitable[None]] = _no_wait
    on_interrupt: Callable[[Callable[[], None]], None] = _never
    on_terminate: Callable[[Callable[[], None]], None] = _never
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Files | None = None
    directory: str = "/"
    pid: int = 0  # 1 for a container's own process; 0 where nobody has given it one

    async def copy(self, data: bytes) -> None:
        """Print bytes as they are, text or not, and wait while the reader is behind."""
        self.write(data.decode("utf-8", "surrogateescape"))
        await self.drain()


class ProgramFailure(Exception):  # noqa: N818 - as `subprocess` and the kubelet speak of it: how a program ended
    """How a program ended that has told of it in its log already; `message` is for the container's status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Program(Protocol):
    """What an image runs: serves until cancelled or told to end, returns an exit status, or raises."""

    async def __call__(
        self, container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> int:
        """Run; `task_status.started()` once its ports are bound."""


class Command(Protocol):
    """A command of `emulator exec`."""

    async def __call__(self, invocation: Invocation) -> int:
        """Run and return the exit status."""
