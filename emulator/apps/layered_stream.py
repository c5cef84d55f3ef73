"""A stream on top of a TCP stream: what it does not change is that of the TCP stream beneath."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from emulator.apps.environment import Address, TcpStream
    from emulator.kernel.tcp.connection import TcpSocket


class LayeredStream:
    """A stream with the socket and the addresses of its `transport`, as `apps.environment.TcpStream` has it.

    Whoever derives overrides what becomes of the bytes.
    """

    def __init__(self, transport: TcpStream) -> None:
        self._transport = transport

    @property
    def socket(self) -> TcpSocket:
        """The kernel's socket beneath."""
        return self._transport.socket

    @property
    def local_address(self) -> Address:
        """This end's address and port."""
        return self._transport.local_address

    @property
    def remote_address(self) -> Address:
        """The other end's address and port."""
        return self._transport.remote_address

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`. trio.BrokenResourceError where the connection failed."""
        await self._transport.send_all(data)

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        await self._transport.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for some bytes; b"" at the end. trio.BrokenResourceError."""
        return await self._transport.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
