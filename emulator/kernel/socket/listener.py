"""A listening socket of any protocol with connections: those that are established wait here to be accepted."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from emulator.kernel.socket.base import Socket, SocketInfo
from emulator.kernel.socket.connected import ConnectedSocket

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns


C = TypeVar("C", bound=ConnectedSocket)


class Listener(Socket, Generic[C]):
    """A listener; woken when a connection can be accepted. `backlog` bounds the connections that wait for that."""

    __slots__ = ("_ready", "backlog")

    protocol: ClassVar[str]
    """Its name in `ss`."""

    def __init__(self, netns: Netns, backlog: int) -> None:
        super().__init__(netns)
        self.backlog = min(max(backlog, 0), netns.sysctl.number("net.core.somaxconn"))
        self._ready: deque[C] = deque()

    def accept(self) -> C | None:
        """Take the connection that waits longest, or None. One that ended meanwhile tells so when it is used."""
        self._check_open()
        if not self._ready:
            return None
        connection = self._ready.popleft()
        connection.listener = None
        return connection

    @property
    def readable(self) -> bool:
        """Whether `accept` would give a connection or raise."""
        return bool(self._ready) or self.closed

    @property
    def has_room(self) -> bool:
        """Whether another connection may wait to be accepted."""
        return len(self._ready) <= self.backlog

    def established(self, connection: C) -> None:
        """A handshake is complete."""
        connection.listener = self
        self._ready.append(connection)
        self.netns.kernel.wake(self)

    def close(self) -> None:
        """Stop listening; connections that nobody accepted are aborted."""
        if self.closed:
            return
        waiting = self._waiting()
        self.detach()
        for connection in waiting:
            connection.abort()
        self.netns.kernel.wake(self)

    def detach(self) -> None:
        """Leave the tables, silently."""
        self.closed = True
        self._give_port_back()
        for connection in self._waiting():
            connection.listener = None
        self._ready.clear()

    def info(self) -> SocketInfo:
        """Return its row of `ss`: connections that wait, and how many may."""
        return SocketInfo(
            self.protocol, "LISTEN", len(self._ready), self.backlog, self.local_address, self.remote_address
        )

    def _waiting(self) -> Sequence[C]:
        """Return the connections that nobody has accepted."""
        return [*self._ready]

    @abstractmethod
    def _give_port_back(self) -> None:
        """Leave the protocol's table of listeners."""
