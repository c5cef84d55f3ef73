"""UDP sockets behind trio's socket interface."""

from __future__ import annotations

import errno
import socket as stdlib
from typing import TYPE_CHECKING, Any, overload

import trio

from emulator.kernel.socket.base import Address
from emulator.kernel.socket.error import os_error
from emulator.kernel.socket.udp import UdpSocket
from emulator.runtime.sockets import socket_options as options
from emulator.runtime.sockets.pod_socket import Direction, check_flags, receive_size, shuts_writing
from emulator.runtime.sockets.socket_options import Option, SocketWithOptions

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from emulator.kernel.socket.udp import Datagram
    from emulator.runtime.sockets.network import NetnsNetwork

_DEFAULT_TTL = 64
_HIGHEST_TTL = 255
_SMALLEST_BUFFER = 2_304  # SOCK_MIN_RCVBUF


class PodDatagramSocket(SocketWithOptions):
    """A UDP socket. Connected, it also raises what came back as an ICMP error (ECONNREFUSED), at the next call."""

    def __init__(self, network: NetnsNetwork, protocol: int = 0) -> None:
        super().__init__(network, stdlib.SOCK_DGRAM, protocol)
        network.enter()
        self._ttl: int | None = None
        self._read_shut = False
        self._adopt(network.netns.sockets.udp())

    @property
    def kernel_socket(self) -> UdpSocket:
        """The kernel's socket, for its errors and counters."""
        assert isinstance(self._kernel, UdpSocket)
        return self._kernel

    async def bind(self, address: Any) -> None:
        """Take an address and port, 0 for a free one. EADDRINUSE, EADDRNOTAVAIL, EINVAL twice."""
        self._check_open()
        resolved = await self._resolved(address)
        await trio.lowlevel.checkpoint()
        self._check_open()
        self._network.enter()
        self.kernel_socket.bind(resolved)

    async def connect(self, address: Any) -> None:
        """Set the peer, and hear from it alone; no packet goes out. ENETUNREACH without a route."""
        self._check_open()
        resolved = await self._resolved(address)
        await trio.lowlevel.checkpoint()
        self._check_open()
        self._network.enter()
        self.kernel_socket.connect(resolved)

    def listen(self, backlog: int = 0) -> None:  # noqa: ARG002
        """Refuse: EOPNOTSUPP."""
        self._check_open()
        raise os_error(errno.EOPNOTSUPP)

    async def accept(self) -> tuple[trio.socket.SocketType, Any]:
        """Refuse: EOPNOTSUPP."""
        self._check_open()
        await trio.lowlevel.checkpoint()
        raise os_error(errno.EOPNOTSUPP)

    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """Wait for a datagram; return its first `bufsize` bytes and its source. ECONNREFUSED when connected."""
        check_flags(flags)
        size = receive_size(bufsize)

        def take() -> tuple[bytes, Address | None] | None:
            datagram: Datagram | None = self._kernel_or_down().receive()
            if datagram is not None:
                return datagram.payload[:size], datagram.source
            return (b"", None) if self._read_shut else None

        return await self._when(Direction.READ, take)

    async def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Send a datagram to the peer; return its length. EDESTADDRREQ without one, and what `sendto` raises."""
        return await self._send(bytes(data), flags, None)

    @overload
    async def sendto(self, data: Buffer, address: tuple[object, ...] | str | Buffer, /) -> int: ...

    @overload
    async def sendto(self, data: Buffer, flags: int, address: tuple[object, ...] | str | Buffer, /) -> int: ...

    async def sendto(self, data: Buffer, *flags_and_address: Any) -> int:
        """Send a datagram; return its length. EMSGSIZE, ENETUNREACH, EPERM (a rule dropped it), EACCES, ..."""
        *flags, address = flags_and_address
        self._check_open()
        return await self._send(bytes(data), flags[0] if flags else 0, await self._resolved(address))

    async def _send(self, data: bytes, flags: int, address: Address | None) -> int:
        check_flags(flags, stdlib.MSG_NOSIGNAL)

        def take() -> int:
            if self._write_shut:
                raise os_error(errno.EPIPE)
            self._kernel_or_down().send_to(data, address, ttl=self._ttl)
            return len(data)

        return await self._when(Direction.WRITE, take)

    async def wait_writable(self) -> None:
        """Return at once: there is always room."""
        self._check_open()
        await trio.lowlevel.checkpoint()

    def is_readable(self) -> bool:
        """Whether a receive would not wait."""
        self._check_open()
        return self._read_shut or self.kernel_socket.readable

    def shutdown(self, flag: int) -> None:
        """End the sending side (SHUT_WR), the receiving side (SHUT_RD) or both. ENOTCONN without a peer."""
        self._check_open()
        writing = shuts_writing(flag)
        if not self.kernel_socket.rport:
            raise os_error(errno.ENOTCONN)
        self._write_shut = self._write_shut or writing
        if flag != stdlib.SHUT_WR:
            self._read_shut = True
            assert self._waiter is not None
            self._waiter.wake()

    def _kernel_or_down(self) -> UdpSocket:
        """The kernel's socket. ENETDOWN when its namespace went away."""
        kernel = self.kernel_socket
        if kernel.closed:
            raise os_error(errno.ENETDOWN)
        return kernel

    def _close_kernel_socket(self) -> None:
        self.kernel_socket.close()

    def _get_option(self, option: Option) -> int:
        kernel = self.kernel_socket
        if option == options.REUSE_ADDRESS:
            return int(kernel.reuse_address)
        if option == options.BROADCAST:
            return int(kernel.broadcast)
        if option == options.RECEIVE_BUFFER:
            return kernel.receive_buffer
        if option == options.IP_TTL:
            return _DEFAULT_TTL if self._ttl is None else self._ttl
        if option == options.PROTOCOL:
            return stdlib.IPPROTO_UDP
        if option[0] == stdlib.IPPROTO_TCP:
            raise os_error(errno.EOPNOTSUPP)
        return super()._get_option(option)

    def _set_option(self, option: Option, value: int) -> None:
        kernel = self.kernel_socket
        if option == options.REUSE_ADDRESS:
            kernel.reuse_address = bool(value)
        elif option == options.BROADCAST:
            kernel.broadcast = bool(value)
        elif option == options.RECEIVE_BUFFER:
            kernel.receive_buffer = max(2 * value, _SMALLEST_BUFFER)  # sk_buff overhead included, as socket(7) tells
        elif option == options.IP_TTL:
            if value != -1 and not 1 <= value <= _HIGHEST_TTL:
                raise os_error(errno.EINVAL)
            self._ttl = None if value == -1 else value
        else:
            raise os_error(errno.ENOPROTOOPT)
