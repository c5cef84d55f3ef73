"""What UDP and ICMP echo sockets share: a receive queue that is charged as Linux charges it, and the way out."""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from emulator.kernel.socket.base import DEFAULT_BUFFER, Socket, truesize
from emulator.kernel.socket.error import os_error, output_error

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.routing.route import RouteResult
    from emulator.kernel.trace import Trace

T = TypeVar("T")

IP_HEADER = 20


class DatagramSocket(Socket, Generic[T]):
    """A socket of whole messages; `T` is what `receive` gives for one. `receive_buffer` is in bytes (SO_RCVBUF)."""

    __slots__ = ("_charged", "_queue", "receive_buffer")

    def __init__(self, netns: Netns) -> None:
        super().__init__(netns)
        self._queue: deque[tuple[T, int]] = deque()
        self._charged = 0
        self.receive_buffer = DEFAULT_BUFFER

    def close(self) -> None:
        """Give the port back. Calling it again does nothing."""
        if not self.closed:
            self.detach()
            self.netns.kernel.wake(self)

    def detach(self) -> None:
        """Leave the tables, silently."""
        self.closed = True
        self._leave()
        self._queue.clear()
        self._charged = 0

    def _leave(self) -> None:
        """Give the port back to its table."""
        raise NotImplementedError

    def _has_room(self, length: int) -> bool:
        """Whether the receive buffer takes a message with a payload of `length` bytes."""
        return self._charged + truesize(length) <= self.receive_buffer

    def _push(self, message: T, length: int) -> None:
        """Queue a message for which there is room, and wake the program."""
        charge = truesize(length)
        self._queue.append((message, charge))
        self._charged += charge
        self.netns.kernel.wake(self)

    def _pop(self) -> T | None:
        """Take the next message, or None if there is none yet."""
        if not self._queue:
            return None
        message, charge = self._queue.popleft()
        self._charged -= charge
        return message

    def _transmit(
        self,
        protocol: int,
        segment: bytearray,
        route: RouteResult,
        *,
        saddr: int,
        daddr: int,
        ttl: int | None,
        dont_fragment: bool,
        trace: Trace | None,
    ) -> None:
        """Send one segment. EMSGSIZE where `dont_fragment` forbids what the MTU asks for; the errors of the way out.

        DF is set on what fits the MTU, as Linux does without a wish of the program (IP_PMTUDISC_WANT).
        """
        fits = len(segment) + IP_HEADER <= route.mtu
        if dont_fragment and not fits:
            raise os_error(errno.EMSGSIZE)
        dropped = self.netns.ip.output(
            protocol,
            segment,
            daddr=daddr,
            saddr=saddr,
            route=route,
            ttl=ttl,
            dont_fragment=fits,
            socket=self,
            trace=trace,
        )
        if dropped is not None and (error := output_error(dropped)) is not None:
            raise error
