"""Sockets of pods lent over a node's control socket, at the user's end: what `Cluster.pod(...)` opens."""

from __future__ import annotations

import errno
import os
from types import TracebackType
from typing import Self

import msgspec
import trio

from emulator.api.messages import ControlError, Empty, TcpData, UdpReceived
from emulator.apps.environment import ResolveError
from emulator.runtime.control.client import ClientExchange, ConnectionLostError

Address = tuple[str, int]


class RemoteStream(trio.abc.HalfCloseableStream):
    """A TCP connection of a pod. `close` ends the connection to the node that carries it."""

    def __init__(self, exchange: ClientExchange[TcpData, Empty], close: trio.CancelScope) -> None:
        self._exchange = exchange
        self._close = close
        self._left = b""
        self._ended = False
        self._closed = False
        self._eof_sent = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hand all of `data` to the connection."""
        await trio.lowlevel.checkpoint()
        if self._closed or self._eof_sent:
            raise trio.ClosedResourceError("this stream was closed for sending")
        try:
            await self._exchange.send_input(bytes(data))
        except ConnectionLostError as error:
            raise trio.BrokenResourceError(str(error)) from error

    async def wait_send_all_might_not_block(self) -> None:
        """Return at once: the node takes what fits its buffers, and `send_all` waits for the rest."""
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        """Send no more."""
        if not self._eof_sent:
            self._eof_sent = True
            await self._exchange.end_input()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for some bytes; b"" when the other end has closed its side."""
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")
        while not self._left and not self._ended:
            try:
                event = await self._exchange.next_event()
            except ControlError as error:
                cause = os_error(error)
                raise trio.BrokenResourceError(str(cause)) from cause
            if event is None or not event.data:
                self._ended = True
            else:
                self._left = event.data
        count = len(self._left) if max_bytes is None else max_bytes
        data, self._left = self._left[:count], self._left[count:]
        return data

    async def aclose(self) -> None:
        """Close the connection."""
        self._closed = True
        self._close.cancel()
        await trio.lowlevel.checkpoint()


class RemoteUdp:
    """A UDP socket of a pod; also a context manager."""

    def __init__(
        self, exchange: ClientExchange[UdpReceived, Empty], local_address: Address, close: trio.CancelScope
    ) -> None:
        self.local_address = local_address
        self._exchange = exchange
        self._close = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def send_to(self, payload: bytes, address: Address) -> None:
        """Send one datagram to (name or address, port). An error that it meets is raised by `receive`."""
        host, port = address
        await self._exchange.send_input(msgspec.msgpack.encode((host, port, payload)))

    async def receive(self) -> tuple[bytes, Address]:
        """Wait for a datagram and its source. OSError where one that was sent met an error."""
        try:
            event = await self._exchange.next_event()
        except ControlError as error:
            raise os_error(error) from None
        if event is None:
            raise trio.ClosedResourceError("this socket was closed")
        if event.errno:
            raise OSError(event.errno, os.strerror(event.errno))
        return event.payload, (event.host, event.port)

    def close(self) -> None:
        """Give the port back."""
        self._close.cancel()


def os_error(error: ControlError) -> OSError:
    """Return the OSError that a node's socket met (see `lent_sockets.socket_error`)."""
    name, _, text = error.message.partition(": ")
    if name == "ENONAME":
        return ResolveError(text)
    number = getattr(errno, name, None) if name.startswith("E") else None
    return OSError(number, text) if isinstance(number, int) else OSError(errno.EIO, error.message)
