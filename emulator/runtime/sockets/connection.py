"""What the connections and listeners of every protocol have in common for trio: addresses, and where they wait."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Generic, TypeVar

import trio

from emulator.kernel.socket.connected import ConnectedSocket
from emulator.kernel.socket.error import os_error
from emulator.kernel.socket.listener import Listener as KernelListener
from emulator.runtime.sockets.sockets import Waiter

if TYPE_CHECKING:
    from emulator.kernel.socket.base import Address
    from emulator.runtime.machine.machine import Machine


C = TypeVar("C", bound=ConnectedSocket)


class Connection(Generic[C]):
    """One end of a connection."""

    def __init__(self, machine: Machine, socket: C) -> None:
        self._machine = machine
        self._socket = socket
        self._waiter = Waiter(machine, socket)

    @property
    def socket(self) -> C:
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
            self.abort()
            raise

    def abort(self) -> None:
        """End the connection at once, and tell the other side."""
        self._machine.enter()
        self._socket.abort()


class Listener(Generic[C]):
    """A listening socket."""

    def __init__(self, machine: Machine, socket: KernelListener[C]) -> None:
        self._machine = machine
        self._socket = socket
        self._waiter = Waiter(machine, socket)

    @property
    def local_address(self) -> Address:
        """The bound address and port."""
        return self._socket.local_address

    async def aclose(self) -> None:
        """Stop listening; connections that nobody accepted are aborted."""
        self._machine.enter()
        self._socket.close()
        await trio.lowlevel.checkpoint()

    async def _next(self) -> C:
        """Wait for the next connection. OSError (EINVAL) once the listener is closed, as with its namespace."""
        await trio.lowlevel.checkpoint()
        while True:
            self._check_open()
            self._machine.enter()
            if self._socket.closed:
                raise os_error(errno.EINVAL)
            socket = self._socket.accept()
            if socket is not None:
                return socket
            await self._waiter.wait()

    def _check_open(self) -> None:
        """Raise where the program itself has closed the listener and is to hear so in another way."""
