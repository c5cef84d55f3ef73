"""Sockets of an emulated namespace behind trio's own socket interface: what `trio.socket.socket()` gives inside a pod.

Everything that trio builds on sockets (`trio.open_tcp_stream`, `trio.serve_tcp`, `trio.SocketStream`), and what
libraries build on trio, then runs in the pod unchanged. Errors are OSError with Linux's errno; only IPv4 is there.
"""

from __future__ import annotations

import errno
import itertools
import operator
import socket as stdlib
from collections.abc import Callable, Iterable
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import trio

from emulator.kernel.socket.base import Address, Socket
from emulator.kernel.socket.error import os_error
from emulator.runtime.sockets.sockets import Waiter

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from emulator.runtime.sockets.network import NetnsNetwork

T = TypeVar("T")

_FIRST_DESCRIPTOR = 1 << 30  # beyond fs.nr_open: whoever hands it to the real kernel gets EBADF, never another's file
_descriptors = itertools.count(_FIRST_DESCRIPTOR)

_SHUT_WRITE = frozenset({stdlib.SHUT_WR, stdlib.SHUT_RDWR})


class Direction(Enum):
    """What a task waits to do."""

    READ = "read"
    WRITE = "write"


class PodSocket(trio.socket.SocketType):
    """What TCP and UDP sockets share; the kernel's socket behind it changes as a TCP socket binds and connects."""

    def __init__(self, network: NetnsNetwork, kind: stdlib.SocketKind, protocol: int) -> None:
        super().__init__()
        self._network = network
        self._kind = kind
        self._protocol = protocol
        self._descriptor = next(_descriptors)
        self._closed = False
        self._write_shut = False
        self._waiting: set[Direction] = set()
        self._kernel: Socket | None = None
        self._waiter: Waiter | None = None

    # Whoever asks for the socket behind trio's (anyio does, to set options) gets one that answers alike.
    @property
    def _sock(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return f"<podwire socket [closed] type={self._kind.name}>"
        peer = f" raddr={self._kernel.remote_address}" if self._kernel is not None and self._kernel.rport else ""
        return f"<podwire socket type={self._kind.name} laddr={self.getsockname()}{peer}>"

    @property
    def family(self) -> stdlib.AddressFamily:
        """AF_INET."""
        return stdlib.AF_INET

    @property
    def type(self) -> stdlib.SocketKind:
        """SOCK_STREAM or SOCK_DGRAM."""
        return self._kind

    @property
    def proto(self) -> int:
        """The protocol that it was made with; 0 is the usual one of its type."""
        return self._protocol

    @property
    def did_shutdown_SHUT_WR(self) -> bool:  # noqa: N802  trio's name
        """Whether its sending side was shut down."""
        return self._write_shut

    def fileno(self) -> int:
        """Return a number that no file of the process has; -1 when closed."""
        return -1 if self._closed else self._descriptor

    def detach(self) -> int:
        """Refuse: there is no descriptor to give away."""
        raise os_error(errno.EOPNOTSUPP)

    def dup(self) -> trio.socket.SocketType:
        """Refuse: there is no descriptor to duplicate."""
        raise os_error(errno.EOPNOTSUPP)

    def get_inheritable(self) -> bool:
        """Return False: no other process can have it."""
        return False

    def set_inheritable(self, inheritable: bool) -> None:
        """Refuse to be inherited."""
        if inheritable:
            raise os_error(errno.EOPNOTSUPP)

    def getsockname(self) -> Address:
        """Return its own address and port; ("0.0.0.0", 0) while it has none."""
        self._check_open()
        return ("0.0.0.0", 0) if self._kernel is None else self._kernel.local_address

    def getpeername(self) -> Address:
        """Return the peer's address and port. ENOTCONN without one."""
        self._check_open()
        if self._kernel is None or not self._kernel.rport:
            raise os_error(errno.ENOTCONN)
        return self._kernel.remote_address

    def close(self) -> None:
        """End it as close does on Linux; tasks that wait on it get ClosedResourceError."""
        if self._closed:
            return
        self._closed = True
        self._network.enter()
        self._close_kernel_socket()
        if self._waiter is not None:
            self._waiter.wake()

    # Waiting

    async def _when(self, direction: Direction, take: Callable[[], T | None]) -> T:
        """Wait until `take`, which asks the kernel's socket and may raise, gives something.

        BusyResourceError where another task waits in the same direction, as with real sockets under trio.
        """
        await trio.lowlevel.checkpoint()
        self._check_open()
        while True:
            self._network.enter()
            taken = take()
            if taken is not None:
                return taken
            await self._wait(direction)

    async def _wait(self, direction: Direction) -> None:
        """Wait until something changed. ClosedResourceError if that is the socket's end."""
        assert self._waiter is not None  # without a kernel socket there is nothing to wait for
        if direction in self._waiting:
            raise trio.BusyResourceError(f"another task is already waiting to {direction.value} this socket")
        self._waiting.add(direction)
        try:
            await self._waiter.wait()
        finally:
            self._waiting.discard(direction)
        if self._closed:
            raise trio.ClosedResourceError("another task closed this socket")

    def _adopt(self, socket: Socket) -> None:
        """Go on with this socket of the kernel's; tasks that waited on the one before look at it now."""
        before = self._waiter
        self._kernel = socket
        self._waiter = Waiter(self._network.machine, socket)
        if before is not None:
            before.wake()

    def _check_open(self) -> None:
        if self._closed:
            raise os_error(errno.EBADF)

    # Addresses

    async def _resolved(self, address: Any) -> Address:
        """Make an address of what the caller wrote: names are looked up from the pod, "" is any address."""
        if not isinstance(address, tuple) or len(address) != 2:
            raise ValueError("address should be a (host, port) tuple")
        host, port = address
        if isinstance(port, bool) or not isinstance(port, int):
            raise TypeError(f"port must be an int, not {type(port).__name__}")
        if not 0 <= port <= 0xFFFF:
            raise OverflowError("port must be 0-65535.")
        if host in ("", None):
            return "0.0.0.0", port
        if host == "<broadcast>":
            return "255.255.255.255", port
        text = host.decode("ascii") if isinstance(host, bytes) else str(host)
        return (await self._network.resolve(text))[0], port

    # One way in and one way out for each of the many

    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """Wait for bytes, or for one datagram, of which at most `buflen` bytes are given."""
        return (await self.recvfrom(buflen, flags))[0]

    async def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into a buffer; return how many bytes."""
        return (await self.recvfrom_into(buffer, nbytes, flags))[0]

    async def recvfrom_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0, /) -> tuple[int, Any]:
        """Receive into a buffer; return how many bytes, and from whom."""
        with memoryview(buffer).cast("B") as view:
            data, source = await self.recvfrom(nbytes or len(view), flags)
            view[: len(data)] = data
        return len(data), source

    async def recvmsg(
        self,
        bufsize: int,
        ancbufsize: int = 0,  # noqa: ARG002  trio's name
        flags: int = 0,
        /,
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        """Receive; there are no ancillary data."""
        data, source = await self.recvfrom(bufsize, flags)
        return data, [], 0, source

    async def recvmsg_into(
        self,
        buffers: Iterable[Buffer],
        ancbufsize: int = 0,  # noqa: ARG002  trio's name
        flags: int = 0,
        /,
    ) -> tuple[int, list[tuple[int, int, bytes]], int, object]:
        """Receive into buffers, one after the other; there are no ancillary data."""
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        data, source = await self.recvfrom(sum(map(len, views)), flags)
        start = 0
        for view in views:
            part = data[start : start + len(view)]
            view[: len(part)] = part
            start += len(part)
        return len(data), [], 0, source

    async def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> int:
        """Send buffers as one. EOPNOTSUPP for ancillary data."""
        if list(ancdata):
            raise os_error(errno.EOPNOTSUPP)
        data = b"".join(bytes(buffer) for buffer in buffers)
        return await (self.send(data, flags) if address is None else self.sendto(data, flags, address))

    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """Receive; return also from whom, None for TCP."""
        raise NotImplementedError

    def _close_kernel_socket(self) -> None:
        raise NotImplementedError


def check_flags(flags: int, known: int = 0) -> None:
    """Refuse flags that are not `known`. EOPNOTSUPP."""
    if flags & ~(known | stdlib.MSG_DONTWAIT):  # nothing here blocks, so the latter says nothing new
        raise os_error(errno.EOPNOTSUPP)


def receive_size(size: int) -> int:
    """Check how many bytes a receive asks for. TypeError, ValueError."""
    if operator.index(size) < 0:
        raise ValueError("negative buffersize in recv")
    return size


def shuts_writing(how: int) -> bool:
    """Whether a shutdown ends the sending side. EINVAL for what is none of the three."""
    if how not in {stdlib.SHUT_RD, stdlib.SHUT_WR, stdlib.SHUT_RDWR}:
        raise os_error(errno.EINVAL)
    return how in _SHUT_WRITE
