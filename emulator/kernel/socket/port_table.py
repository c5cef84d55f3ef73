"""Which ports of a namespace are taken, by which sockets, and who may share one.

One table for TCP and one for UDP (`inet_csk_get_port` and `udp_lib_get_port` of Linux).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from emulator.kernel.socket.base import Socket
from emulator.kernel.socket.error import os_error

if TYPE_CHECKING:
    from emulator.kernel.kernel import RandomSource

SocketT = TypeVar("SocketT", bound=Socket)


class Bucket(Generic[SocketT]):
    """The sockets on one port. `automatic`: `connect` drew it for all of them, so other connects may share it."""

    __slots__ = ("automatic", "sockets")

    def __init__(self, automatic: bool) -> None:
        self.automatic = automatic
        self.sockets: dict[SocketT, None] = {}


class PortTable(Generic[SocketT]):
    """Buckets by port. `conflict(new, old)` says whether two sockets whose addresses overlap may not share a port."""

    __slots__ = ("_buckets", "_conflict", "_random")

    def __init__(self, random: RandomSource, conflict: Callable[[SocketT, SocketT], bool]) -> None:
        self._buckets: dict[int, Bucket[SocketT]] = {}
        self._random = random
        self._conflict = conflict

    def __iter__(self) -> Iterator[SocketT]:
        for bucket in list(self._buckets.values()):
            yield from list(bucket.sockets)

    def sockets(self, port: int) -> dict[SocketT, None] | None:
        """The sockets on a port, the earliest first; None if it is free."""
        bucket = self._buckets.get(port)
        return None if bucket is None else bucket.sockets

    def bind(self, socket: SocketT, port: int, port_range: tuple[int, int]) -> None:
        """Give `socket` (whose `laddr` is set) a port; 0 draws a free one. OSError(EADDRINUSE) if it is taken."""
        if port == 0:
            port = self._draw_free(socket, port_range)
        elif not self._may_bind(socket, port):
            raise os_error(errno.EADDRINUSE)
        socket.lport = port
        self._add(socket, port, automatic=False)

    def bind_connected(self, socket: SocketT, taken: Callable[[int], bool], port_range: tuple[int, int]) -> None:
        """Draw a port for `connect`: shared with other connects unless `taken(port)`. OSError(EADDRNOTAVAIL)."""
        for port in _walk(port_range, self._random, odd_first=False):
            bucket = self._buckets.get(port)
            if bucket is None or (bucket.automatic and not taken(port)):
                socket.lport = port
                self._add(socket, port, automatic=True)
                return
        raise os_error(errno.EADDRNOTAVAIL)

    def join(self, socket: SocketT) -> None:
        """Put a socket that a listener made on the listener's port."""
        self._add(socket, socket.lport, automatic=False)

    def replace(self, old: SocketT, new: SocketT) -> None:
        """Let `new` hold the port that `old` held (a TIME_WAIT in place of its connection)."""
        bucket = self._buckets[old.lport]
        del bucket.sockets[old]
        bucket.sockets[new] = None

    def release(self, socket: SocketT) -> None:
        """Give the port back."""
        bucket = self._buckets.get(socket.lport)
        if bucket is not None and socket in bucket.sockets:
            del bucket.sockets[socket]
            if not bucket.sockets:
                del self._buckets[socket.lport]

    def _add(self, socket: SocketT, port: int, *, automatic: bool) -> None:
        bucket = self._buckets.get(port)
        if bucket is None:
            bucket = self._buckets[port] = Bucket(automatic)
        bucket.automatic = bucket.automatic and automatic
        bucket.sockets[socket] = None

    def _may_bind(self, socket: SocketT, port: int) -> bool:
        bucket = self._buckets.get(port)
        if bucket is None:
            return True
        return not any(overlap(socket, other) and self._conflict(socket, other) for other in bucket.sockets)

    def _draw_free(self, socket: SocketT, port_range: tuple[int, int]) -> int:
        for port in _walk(port_range, self._random, odd_first=True):
            if self._may_bind(socket, port):
                return port
        raise os_error(errno.EADDRINUSE)


def overlap(one: Socket, other: Socket) -> bool:
    """Whether two sockets would hear the same address, 0.0.0.0 being all of them."""
    return one.laddr == other.laddr or one.laddr == 0 or other.laddr == 0


def _walk(port_range: tuple[int, int], random: RandomSource, *, odd_first: bool) -> Iterator[int]:
    """Yield every port once from a random start; as Linux, connects try one parity first and binds the other."""
    low, high = port_range
    count = high - low + 1
    start = random.randrange(0, count) & ~1
    for parity in (1, 0) if odd_first else (0, 1):
        for step in range(0, count, 2):
            offset = (start + step) % (count + (count & 1)) + parity
            if offset < count:
                yield low + offset
