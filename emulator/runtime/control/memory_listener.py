"""Control connections within one process, for simulated clusters: a listener whose clients are memory streams."""

from __future__ import annotations

import math

import trio
from trio.testing import memory_stream_pair


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """A listener within one process: `connect` gives the client's end of a new stream."""

    def __init__(self) -> None:
        self._sender: trio.MemorySendChannel[trio.abc.Stream]
        self._receiver: trio.MemoryReceiveChannel[trio.abc.Stream]
        self._sender, self._receiver = trio.open_memory_channel(math.inf)

    async def connect(self) -> trio.abc.Stream:
        """Return the client's end of a new connection. Raises OSError when nobody listens any more."""
        await trio.lowlevel.checkpoint()
        ours, theirs = memory_stream_pair()
        try:
            self._sender.send_nowait(theirs)
        except trio.BrokenResourceError:
            raise ConnectionRefusedError("nobody listens") from None
        return ours

    async def accept(self) -> trio.abc.Stream:
        """Wait for a client."""
        try:
            return await self._receiver.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        """Stop listening; connections that were not accepted are closed."""
        while True:
            try:
                stream = self._receiver.receive_nowait()
            except trio.WouldBlock:
                break
            await stream.aclose()
        self._receiver.close()
        await trio.lowlevel.checkpoint()
