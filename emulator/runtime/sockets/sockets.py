"""Sockets of an emulated namespace for trio: where programs wait for what the kernel's sockets have no answer to yet.

A kernel socket never waits; these call it, and park the task until the machine says that the socket's state changed.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import trio

from emulator.kernel.socket_base import Address, parse_address

if TYPE_CHECKING:
    from emulator.kernel.ping import PingReply, PingSocket
    from emulator.kernel.socket_base import Socket
    from emulator.kernel.trace import Trace
    from emulator.kernel.udp import Datagram, UdpSocket
    from emulator.runtime.node.machine import Machine


class Waiter:
    """The tasks that wait on one kernel socket."""

    __slots__ = ("_parked", "machine")

    def __init__(self, machine: Machine, socket: Socket) -> None:
        self.machine = machine
        self._parked = trio.lowlevel.ParkingLot()
        socket.on_wake = self.wake

    def wake(self) -> None:
        """Let every waiting task look again."""
        self._parked.unpark_all()

    async def wait(self) -> None:
        """Wait until the socket's state changed."""
        await self._parked.park()


class UdpEndpoint:
    """A UDP socket; also a context manager."""

    def __init__(self, machine: Machine, socket: UdpSocket) -> None:
        self._machine = machine
        self._socket = socket
        self._waiter = Waiter(machine, socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def socket(self) -> UdpSocket:
        """The kernel's socket, for its errors and options."""
        return self._socket

    @property
    def local_address(self) -> Address:
        """The bound address and port."""
        return self._socket.local_address

    def connect(self, address: Address) -> None:
        """Set the peer, and hear from it alone. ENETUNREACH without a route."""
        self._machine.enter()
        self._socket.connect(address)

    async def send_to(
        self, payload: bytes, address: Address | None = None, *, ttl: int | None = None, trace: Trace | None = None
    ) -> None:
        """Send one datagram, to the connected peer if there is no address. OSError as Linux gives it."""
        await trio.lowlevel.checkpoint()
        self._machine.enter()
        self._socket.send_to(payload, address, ttl=ttl, trace=trace)

    async def receive(self) -> Datagram:
        """Wait for one datagram. OSError where an ICMP error came in for a connected socket."""
        await trio.lowlevel.checkpoint()
        while True:
            self._machine.enter()
            datagram = self._socket.receive()
            if datagram is not None:
                return datagram
            await self._waiter.wait()

    async def wait_readable(self) -> None:
        """Wait until a datagram or an error report (`socket.errors`) is there."""
        await trio.lowlevel.checkpoint()
        while not self._socket.readable and not self._socket.errors:
            await self._waiter.wait()

    def close(self) -> None:
        """Give the port back."""
        self._machine.enter()
        self._socket.close()


class PingEndpoint:
    """An ICMP echo socket; also a context manager."""

    def __init__(self, machine: Machine, socket: PingSocket) -> None:
        self._machine = machine
        self._socket = socket
        self._waiter = Waiter(machine, socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def identifier(self) -> int:
        """The identifier in its requests."""
        return self._socket.identifier

    def send_echo(
        self,
        address: str,
        sequence: int,
        payload: bytes,
        *,
        ttl: int = 64,
        dont_fragment: bool = False,
        trace: Trace | None = None,
    ) -> None:
        """Send one echo request. OSError as Linux gives it."""
        host, _ = parse_address((address, 0))
        self._machine.enter()
        self._socket.send_echo(host, sequence, payload, ttl=ttl, dont_fragment=dont_fragment, trace=trace)

    async def receive(self) -> PingReply:
        """Wait for an echo reply, or for an ICMP error about one of our requests."""
        await trio.lowlevel.checkpoint()
        while True:
            self._machine.enter()
            reply = self._socket.receive()
            if reply is not None:
                return reply
            await self._waiter.wait()

    def close(self) -> None:
        """End the socket."""
        self._machine.enter()
        self._socket.close()
