"""A TCP connection of which some bytes were read to see what is spoken: they are read again, and then what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from emulator.apps.layered_stream import LayeredStream

if TYPE_CHECKING:
    from emulator.apps.environment import TcpStream


class ReplayedStream(LayeredStream):
    """`apps.environment.TcpStream` over another one, beginning with `first`; b"" is its end."""

    def __init__(self, transport: TcpStream, first: bytes) -> None:
        super().__init__(transport)
        self._first: bytes | None = first

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for some bytes; b"" at the end. trio.BrokenResourceError."""
        first = self._first
        if first is None:
            return await super().receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        part = first if max_bytes is None else first[:max_bytes]
        self._first = first[len(part) :] or None
        return part
