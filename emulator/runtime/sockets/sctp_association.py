"""SCTP of an emulated namespace for trio: whole messages, not a stream of bytes."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import trio

from emulator.kernel.sctp.association import SctpSocket
from emulator.runtime.sockets.connection import Connection, Listener

if TYPE_CHECKING:
    from emulator.kernel.sctp.inbound import Message


class SctpAssociation(Connection[SctpSocket]):
    """One association, also an async context manager. Errors are OSError as Linux gives them."""

    async def send(self, payload: bytes, stream: int = 0, *, ppid: int = 0, unordered: bool = False) -> None:
        """Send one message; waits while the send buffer is full."""
        await trio.lowlevel.checkpoint()
        while True:
            self._machine.enter()
            if self._socket.send(payload, stream, ppid=ppid, unordered=unordered):
                return
            await self._waiter.wait()

    async def receive(self) -> Message:
        """Wait for one message; one without payload when the other end has ended the association."""
        await trio.lowlevel.checkpoint()
        while True:
            self._machine.enter()
            message = self._socket.receive()
            if message is not None:
                return message
            await self._waiter.wait()

    async def send_eof(self) -> None:
        """Say that nothing more will be sent (SHUTDOWN, once all has arrived)."""
        await trio.lowlevel.checkpoint()
        self._machine.enter()
        self._socket.shutdown()

    async def aclose(self) -> None:
        """End the association in the background, as close(2) does."""
        self._machine.enter()
        self._socket.close()
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class SctpListener(Listener[SctpSocket]):
    """A listening SCTP socket."""

    async def accept(self) -> SctpAssociation:
        """Wait for an association."""
        return SctpAssociation(self._machine, await self._next())
