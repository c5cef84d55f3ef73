"""Sockets of an emulated namespace for trio: where programs wait for what the kernel's sockets have no answer to yet.

A kernel socket never waits; these call it, and park the task until the machine says that the socket's state changed.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import trio

from emulator.kernel.socket.base import Address, parse_address
from emulator.kernel.socket.ping import PingSocket
from emulator.kernel.socket.udp import UdpSocket

if TYPE_CHECKING:
    from emulator.kernel.socket.base import Socket
    from emulator.kernel.socket.datagram import DatagramSocket
    from emulator.kernel.socket.ping import PingReply
    from emulator.kernel.socket.udp import Datagram
    from emulator.kernel.trace import Trace
    from emulator.runtime.machine.machine import Machine


T = TypeVar("T")
S = TypeVar("S", bound="DatagramSocket[Any]")


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


class _Endpoint(Generic[S]):
    """A socket of whole messages; also a context manager, at whose end it is closed."""

    def __init__(self, machine: Machine, socket: S) -> None:
        self._machine = machine
        self._socket = socket
        self._waiter = Waiter(machine, socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the port, or the identifier, back."""
        self._machine.enter()
        self._socket.close()

    async def _next(self, take: Callable[[], T | None]) -> T:
        """Wait until `take`, which asks the kernel's socket, gives something, or raises."""
        await trio.lowlevel.checkpoint()
        while True:
            self._machine.enter()
            taken = take()
            if taken is not None:
                return taken
            await self._waiter.wait()


class UdpEndpoint(_Endpoint[UdpSocket]):
    """A UDP socket; also a context manager."""

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
        self,
        payload: bytes,
        address: Address | None = None,
        *,
        ttl: int | None = None,
        dont_fragment: bool = False,
        trace: Trace | None = None,
    ) -> None:
        """Send one datagram, to the connected peer if there is no address. OSError as Linux gives it."""
        await trio.lowlevel.checkpoint()
        self._machine.enter()
        self._socket.send_to(payload, address, ttl=ttl, dont_fragment=dont_fragment, trace=trace)

    async def receive(self) -> Datagram:
        """Wait for one datagram. OSError where an ICMP error came in for a connected socket."""
        return await self._next(self._socket.receive)

    async def wait_readable(self) -> None:
        """Wait until a datagram or an error report (`socket.errors`) is there."""
        await trio.lowlevel.checkpoint()
        while not self._socket.readable and not self._socket.errors:
            await self._waiter.wait()


class PingEndpoint(_Endpoint[PingSocket]):
    """An ICMP echo socket; also a context manager."""

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
        return await self._next(self._socket.receive)
