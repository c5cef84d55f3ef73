"""A TCP connection of which some bytes were read to see what is spoken: they are read again, and then what follows."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import trio

if TYPE_CHECKING:
    from emulator.apps.environment import Address, TcpStream
    from emulator.kernel.tcp.connection import TcpSocket


class ReplayedStream:
    """`apps.environment.TcpStream` over another one, beginning with `first`; b"" is its end."""

    def __init__(self, stream: TcpStream, first: bytes) -> None:
        self._stream = stream
        self._first: bytes | None = first

    @property
    def socket(self) -> TcpSocket:
        """The kernel's socket."""
        return self._stream.socket

    @property
    def local_address(self) -> Address:
        """This end's address and port."""
        return self._stream.local_address

    @property
    def remote_address(self) -> Address:
        """The other end's address and port."""
        return self._stream.remote_address

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`. trio.BrokenResourceError where the connection failed."""
        await self._stream.send_all(data)

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for some bytes; b"" at the end. trio.BrokenResourceError."""
        first = self._first
        if first is None:
            return await self._stream.receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        part = first if max_bytes is None else first[:max_bytes]
        self._first = first[len(part) :] or None
        return part

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
