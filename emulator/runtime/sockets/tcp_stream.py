"""TCP of an emulated namespace as trio streams, so that h11, `trio.SSLStream` and users' code run on it unchanged."""

from __future__ import annotations

import errno
import operator
from typing import TYPE_CHECKING

import trio

from emulator.kernel.tcp.connection import TcpSocket
from emulator.runtime.sockets.connection import Connection, Listener

if TYPE_CHECKING:
    from emulator.runtime.machine.machine import Machine

DEFAULT_RECEIVE = 65_536


class TcpStream(Connection[TcpSocket], trio.abc.HalfCloseableStream):
    """One connection. A connection that failed raises BrokenResourceError, caused by the OSError that Linux gives."""

    def __init__(self, machine: Machine, socket: TcpSocket) -> None:
        super().__init__(machine, socket)
        socket.nodelay = True  # as trio.SocketStream, Go and nginx set TCP_NODELAY: else answers in parts wait for ACKs
        self._sending = _Conflict("another task is sending on this stream")
        self._receiving = _Conflict("another task is receiving on this stream")
        self._closed = False
        self._eof_sent = False

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
        if not self._closed:
            self._closed = True
            super().abort()
            self._waiter.wake()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")


class TcpListener(Listener[TcpSocket], trio.abc.Listener[trio.abc.HalfCloseableStream]):
    """A listening socket."""

    _closed = False

    async def accept(self) -> TcpStream:
        """Wait for a connection."""
        return TcpStream(self._machine, await self._next())

    async def aclose(self) -> None:
        """Stop listening; connections that nobody accepted are reset."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        self._waiter.wake()
        await super().aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this listener was closed")


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
