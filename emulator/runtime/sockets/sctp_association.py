"""SCTP of an emulated namespace for trio: whole messages, not a stream of bytes."""

from __future__ import annotations

import errno
from types import TracebackType
from typing import TYPE_CHECKING, Self

import trio

from emulator.kernel.socket.error import os_error
from emulator.runtime.sockets.sockets import Waiter

if TYPE_CHECKING:
    from emulator.kernel.sctp.association import SctpSocket
    from emulator.kernel.sctp.inbound import Message
    from emulator.kernel.sctp.listener import SctpListener as KernelListener
    from emulator.kernel.socket.base import Address
    from emulator.runtime.machine.machine import Machine


class SctpAssociation:
    """One association, also an async context manager. Errors are OSError as Linux gives them."""

    def __init__(self, machine: Machine, socket: SctpSocket) -> None:
        self._machine = machine
        self._socket = socket
        self._waiter = Waiter(machine, socket)

    @property
    def socket(self) -> SctpSocket:
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
            if self._socket.error is not None:
                raise self._socket.error
        except BaseException:
            self._machine.enter()
            self._socket.abort()
            raise

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


class SctpListener:
    """A listening SCTP socket."""

    def __init__(self, machine: Machine, socket: KernelListener) -> None:
        self._machine = machine
        self._socket = socket
        self._waiter = Waiter(machine, socket)

    @property
    def local_address(self) -> Address:
        """The bound address and port."""
        return self._socket.local_address

    async def accept(self) -> SctpAssociation:
        """Wait for an association."""
        await trio.lowlevel.checkpoint()
        while True:
            self._machine.enter()
            if self._socket.closed:
                raise os_error(errno.EINVAL)
            socket = self._socket.accept()
            if socket is not None:
                return SctpAssociation(self._machine, socket)
            await self._waiter.wait()

    async def aclose(self) -> None:
        """Stop listening; associations that nobody accepted are aborted."""
        self._machine.enter()
        self._socket.close()
        await trio.lowlevel.checkpoint()
