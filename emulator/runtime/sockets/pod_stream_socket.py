"""TCP sockets behind trio's socket interface: unbound, bound, listening or connected, as the calls come."""

from __future__ import annotations

import errno
import os
import socket as stdlib
from typing import TYPE_CHECKING, Any, overload

import trio

from emulator.kernel.socket.base import Address
from emulator.kernel.socket.error import os_error
from emulator.kernel.tcp.bound import BoundTcp
from emulator.kernel.tcp.connection import TcpSocket
from emulator.kernel.tcp.listener import TcpListener
from emulator.runtime.sockets import socket_options as options
from emulator.runtime.sockets.pod_socket import Direction, check_flags, receive_size, shuts_writing
from emulator.runtime.sockets.socket_options import Option, SocketWithOptions

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from emulator.runtime.sockets.network import NetnsNetwork

_SWITCHES = frozenset({options.KEEP_ALIVE, options.NO_DELAY, options.REUSE_ADDRESS})
_BACKLOG = min(stdlib.SOMAXCONN, 128)


class PodStreamSocket(SocketWithOptions):
    """A TCP socket. `connection` is the kernel's, of one that was accepted."""

    def __init__(self, network: NetnsNetwork, protocol: int = 0, connection: TcpSocket | None = None) -> None:
        super().__init__(network, stdlib.SOCK_STREAM, protocol)
        self._switches = dict.fromkeys(_SWITCHES, False)
        self._lingers = (0, 0)
        self._read_shut = False
        self._untold: int | None = None
        if connection is not None:
            self._adopt(connection)

    @property
    def kernel_socket(self) -> BoundTcp | TcpListener | TcpSocket | None:
        """The kernel's socket, for its state and counters; None before bind, listen and connect."""
        kernel = self._kernel
        assert kernel is None or isinstance(kernel, BoundTcp | TcpListener | TcpSocket)
        return kernel

    async def bind(self, address: Any) -> None:
        """Take an address and port, 0 for a free one. EADDRINUSE, EADDRNOTAVAIL, EINVAL twice."""
        self._check_open()
        resolved = await self._resolved(address)
        await trio.lowlevel.checkpoint()
        self._check_open()
        if self._kernel is not None:
            raise os_error(errno.EINVAL)
        self._bind(resolved)

    def _bind(self, address: Address) -> BoundTcp:
        self._network.enter()
        reuse = self._switches[options.REUSE_ADDRESS]
        bound = self._network.netns.sockets.bind_tcp(address, reuse_address=reuse)
        self._adopt(bound)
        return bound

    def listen(self, backlog: int = _BACKLOG) -> None:
        """Listen; on a free port if it has none. EINVAL when connected, EADDRINUSE."""
        self._check_open()
        kernel = self.kernel_socket or self._bind(("0.0.0.0", 0))
        self._network.enter()
        if isinstance(kernel, TcpListener):
            kernel.backlog = max(backlog, 0)
        elif isinstance(kernel, BoundTcp):
            self._adopt(kernel.listen(backlog))
        else:
            raise os_error(errno.EINVAL)

    async def accept(self) -> tuple[trio.socket.SocketType, Address]:
        """Wait for a connection. EINVAL when not listening."""
        connection = await self._when(Direction.READ, self._take_connection)
        return PodStreamSocket(self._network, self._protocol, connection), connection.remote_address

    def _take_connection(self) -> TcpSocket | None:
        listener = self.kernel_socket
        if not isinstance(listener, TcpListener) or listener.closed:  # the latter: its namespace went away
            raise os_error(errno.EINVAL)
        return listener.accept()

    async def connect(self, address: Any) -> None:
        """Connect, and wait for the end of the handshake. ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, EISCONN, ..."""
        self._check_open()
        resolved = await self._resolved(address)
        await trio.lowlevel.checkpoint()
        self._check_open()
        if self._has_told():
            return
        connection = self._begin_connection(resolved)
        try:
            while connection.connecting:
                await self._wait(Direction.WRITE)
        except trio.Cancelled:
            self.close()  # as trio does: nobody could say whether it is connected
            raise
        number = connection.error_number
        if number:
            connection.close()
            self._kernel = self._waiter = None  # Linux lets the program try again
            self._untold = errno.ECONNABORTED
            raise OSError(number, f"Error connecting to {address!r}: {os.strerror(number)}")
        self._untold = 0

    def _has_told(self) -> bool:
        """Whether connect(2) now tells, once, of the end of the connect before, which trio has learnt of by poll(2).

        It returns 0 after one that succeeded, fails with ECONNABORTED after one that failed (`__inet_stream_connect`).
        """
        untold, self._untold = self._untold, None
        if untold:
            raise os_error(untold)
        return untold == 0

    def _begin_connection(self, address: Address) -> TcpSocket:
        self._network.enter()
        kernel = self.kernel_socket
        if kernel is None:
            connection = self._network.netns.sockets.connect(address)
        elif isinstance(kernel, BoundTcp):
            connection = kernel.connect(address)
        else:
            connecting = isinstance(kernel, TcpSocket) and kernel.connecting
            raise os_error(errno.EALREADY if connecting else errno.EISCONN)
        self._adopt(connection)
        connection.nodelay = self._switches[options.NO_DELAY]
        if self._switches[options.KEEP_ALIVE]:
            connection.set_keepalive(True)
        return connection

    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """Wait for some bytes; b"" at the end. ENOTCONN, and what ended the connection (ECONNRESET, ETIMEDOUT)."""
        check_flags(flags)
        size = receive_size(bufsize)

        def take() -> bytes | None:
            data = self._connection(errno.ENOTCONN).receive(size) if size else b""
            return b"" if data is None and self._read_shut else data

        return await self._when(Direction.READ, take), None

    async def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Send some of the data, as many bytes as there is room for; return how many. EPIPE, ECONNRESET, ..."""
        check_flags(flags, stdlib.MSG_NOSIGNAL)
        with memoryview(data).cast("B") as view:

            def take() -> int | None:
                connection = self._connection(errno.EPIPE)
                return connection.send(view) or (None if len(view) else 0)

            return await self._when(Direction.WRITE, take)

    @overload
    async def sendto(self, data: Buffer, address: tuple[object, ...] | str | Buffer, /) -> int: ...

    @overload
    async def sendto(self, data: Buffer, flags: int, address: tuple[object, ...] | str | Buffer, /) -> int: ...

    async def sendto(self, data: Buffer, *flags_and_address: Any) -> int:
        """Send; TCP passes the address over."""
        return await self.send(data, *flags_and_address[:-1])

    async def wait_writable(self) -> None:
        """Wait until there is room to send, or an error to be told."""

        def take() -> bool | None:
            kernel = self.kernel_socket
            if not isinstance(kernel, TcpSocket) or kernel.closed or kernel.writable:
                return True
            kernel.write_wanted = True
            return None

        await self._when(Direction.WRITE, take)

    def is_readable(self) -> bool:
        """Whether a receive, or an accept, would not wait."""
        self._check_open()
        kernel = self.kernel_socket
        return kernel.readable if isinstance(kernel, TcpSocket | TcpListener) else True

    def shutdown(self, flag: int) -> None:
        """End the sending side (SHUT_WR), the receiving side (SHUT_RD) or both. ENOTCONN."""
        self._check_open()
        writing = shuts_writing(flag)
        connection = self._connection(errno.ENOTCONN)
        self._network.enter()
        if writing and not self._write_shut:
            connection.shutdown()
            self._write_shut = True
        if flag != stdlib.SHUT_WR:
            self._read_shut = True
            assert self._waiter is not None
            self._waiter.wake()

    def _connection(self, missing: int) -> TcpSocket:
        """The connection; an OSError of errno `missing` if there is none."""
        kernel = self.kernel_socket
        if not isinstance(kernel, TcpSocket):
            raise os_error(missing)
        return kernel

    def _close_kernel_socket(self) -> None:
        kernel = self.kernel_socket
        if isinstance(kernel, TcpSocket) and (kernel.connecting or self._lingers == (1, 0)):
            kernel.abort()  # SO_LINGER of no seconds: a reset
        elif kernel is not None:
            kernel.close()

    def _get_option(self, option: Option) -> int:
        kernel = self.kernel_socket
        if option in self._switches:
            return int(self._switches[option])
        if option == options.ACCEPTS_CONNECTIONS:
            return int(isinstance(kernel, TcpListener))
        if option == options.PROTOCOL:
            return stdlib.IPPROTO_TCP
        if option == options.MAXIMUM_SEGMENT and isinstance(kernel, TcpSocket):
            return kernel.mss
        if option == options.ERROR and isinstance(kernel, TcpSocket):
            number, kernel.error_number = kernel.error_number, 0
            return number
        return super()._get_option(option)

    def _set_option(self, option: Option, value: int) -> None:
        if option not in self._switches:
            raise os_error(errno.ENOPROTOOPT)
        self._switches[option] = bool(value)
        kernel = self.kernel_socket
        if option == options.REUSE_ADDRESS and kernel is not None:
            kernel.reuse_address = bool(value)
        elif isinstance(kernel, TcpSocket) and option == options.NO_DELAY:
            kernel.nodelay = bool(value)
        elif isinstance(kernel, TcpSocket) and option == options.KEEP_ALIVE:
            kernel.set_keepalive(bool(value))

    def _linger(self) -> tuple[int, int]:
        return self._lingers

    def _set_linger(self, on: int, seconds: int) -> None:
        self._lingers = (int(bool(on)), seconds)
