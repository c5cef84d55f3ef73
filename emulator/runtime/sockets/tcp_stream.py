"""TCP of an emulated namespace as trio streams, so that h11, `trio.SSLStream` and users' code run on it unchanged."""

from __future__ import annotations

import errno
import operator
from typing import TYPE_CHECKING

import trio

from emulator.kernel.socket.error import os_error
from emulator.runtime.sockets.sockets import Waiter

if TYPE_CHECKING:
    from emulator.kernel.socket.base import Address
    from emulator.kernel.tcp.connection import TcpSocket
    from emulator.kernel.tcp.listener import TcpListener as KernelListener
    from emulator.runtime.machine.machine import Machine

DEFAULT_RECEIVE = 65_536


class TcpStream(trio.abc.HalfCloseableStream):
    """One connection. A connection that failed raises BrokenResourceError, caused by the OSError that Linux gives."""

    def __init__(self, machine: Machine, socket: TcpSocket) -> None:
        self._machine = machine
        self._socket = socket
        socket.nodelay = True  # as trio.SocketStream, Go and nginx set TCP_NODELAY: else answers in parts wait for ACKs
        self._waiter = Waiter(machine, socket)
        self._sending = _Conflict("another task is sending on this stream")
        self._receiving = _Conflict("another task is receiving on this stream")
        self._closed = False
        self._eof_sent = False

    @property
    def socket(self) -> TcpSocket:
        """The kernel's socket, for its state and counters."""
        return self._socket

    @property
    def local_address(self) -> Address:
        """This end's address and port."""
        return self._socket.local_address

    @property
    def remote_address(self) -> Address:
        """The other end's address and port."""
        return self._socket.remote_address

    async def connected(self) -> None:
        """Wait for the end of the handshake. Raises the OSError that `connect` would return; closes the socket then."""
        try:
            while self._socket.connecting:
                await self._waiter.wait()
            error = self._socket.error
            if error is not None:
                raise error
        except BaseException:
            self._abort()
            raise

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hand all of `data` to the connection; waits while its send buffer is full."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            self._check_open()
            if self._eof_sent:
                raise trio.ClosedResourceError("nothing can be sent after send_eof")
            view = memoryview(data)
            while view:
                sent = self._send(view)
                view = view[sent:]
                if view:
                    await self._waiter.wait()

    def _send(self, view: memoryview) -> int:
        self._check_open()
        self._machine.enter()
        try:
            return self._socket.send(view)
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the send buffer has room."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            self._check_open()
            while not self._socket.writable:
                self._socket.write_wanted = True
                await self._waiter.wait()
                self._check_open()

    async def send_eof(self) -> None:
        """Say that nothing more will be sent (FIN); receiving goes on."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            self._check_open()
            if self._eof_sent:
                return
            self._eof_sent = True
            self._machine.enter()
            try:
                self._socket.shutdown()
            except OSError as error:
                if error.errno != errno.ENOTCONN:  # the other end has reset it: there is nobody to tell
                    raise trio.BrokenResourceError(str(error)) from error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for some bytes; b"" when the other end has closed its side."""
        count = DEFAULT_RECEIVE if max_bytes is None else operator.index(max_bytes)
        if count < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._receiving:
            await trio.lowlevel.checkpoint()
            while True:
                self._check_open()
                self._machine.enter()
                try:
                    data = self._socket.receive(count)
                except OSError as error:
                    raise trio.BrokenResourceError(str(error)) from error
                if data is not None:
                    return data
                await self._waiter.wait()

    async def aclose(self) -> None:
        """Close the connection in the background, as close(2) does."""
        if not self._closed:
            self._closed = True
            self._machine.enter()
            self._socket.close()
            self._waiter.wake()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """End the connection with a reset, at once."""
        self._abort()

    def _abort(self) -> None:
        if not self._closed:
            self._closed = True
            self._machine.enter()
            self._socket.abort()
            self._waiter.wake()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")


class TcpListener(trio.abc.Listener[trio.abc.HalfCloseableStream]):
    """A listening socket."""

    def __init__(self, machine: Machine, socket: KernelListener) -> None:
        self._machine = machine
        self._socket = socket
        self._waiter = Waiter(machine, socket)
        self._closed = False

    @property
    def local_address(self) -> Address:
        """The bound address and port."""
        return self._socket.local_address

    async def accept(self) -> TcpStream:
        """Wait for a connection."""
        await trio.lowlevel.checkpoint()
        while True:
            if self._closed:
                raise trio.ClosedResourceError("this listener was closed")
            self._machine.enter()
            if self._socket.closed:
                raise os_error(errno.EINVAL)  # its namespace went away
            socket = self._socket.accept()
            if socket is not None:
                return TcpStream(self._machine, socket)
            await self._waiter.wait()

    async def aclose(self) -> None:
        """Stop listening; connections that nobody accepted are reset."""
        if not self._closed:
            self._closed = True
            self._machine.enter()
            self._socket.close()
            self._waiter.wake()
        await trio.lowlevel.checkpoint()


class _Conflict:
    """Refuses two tasks in the same method, as trio's own streams do."""

    __slots__ = ("_busy", "_message")

    def __init__(self, message: str) -> None:
        self._message = message
        self._busy = False

    def __enter__(self) -> None:
        if self._busy:
            raise trio.BusyResourceError(self._message)
        self._busy = True

    def __exit__(self, *_: object) -> None:
        self._busy = False
