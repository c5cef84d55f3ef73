"""A listening SCTP socket: associations whose cookie came back wait here to be accepted."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from emulator.kernel.sctp.state import State
from emulator.kernel.socket.base import Socket, SocketInfo

if TYPE_CHECKING:
    from emulator.kernel.sctp.association import SctpSocket
    from emulator.kernel.sctp.protocol import Sctp


class SctpListener(Socket):
    """A listener; woken when an association can be accepted. INITs cost it nothing: cookies remember them."""

    __slots__ = ("_ready", "_sctp", "backlog")

    def __init__(self, sctp: Sctp, backlog: int) -> None:
        super().__init__(sctp.netns)
        self._sctp = sctp
        self.backlog = min(max(backlog, 0), sctp.netns.sysctl.number("net.core.somaxconn"))
        self._ready: deque[SctpSocket] = deque()

    def accept(self) -> SctpSocket | None:
        """Take the association that waits longest, or None."""
        self._check_open()
        if not self._ready:
            return None
        association = self._ready.popleft()
        association.listener = None
        return association

    @property
    def readable(self) -> bool:
        """Whether `accept` would give an association or raise."""
        return bool(self._ready) or self.closed

    @property
    def has_room(self) -> bool:
        """Whether another association may wait to be accepted."""
        return len(self._ready) <= self.backlog

    def established(self, association: SctpSocket) -> None:
        """A handshake is complete."""
        association.listener = self
        self._ready.append(association)
        self.netns.kernel.wake(self)

    def close(self) -> None:
        """Stop listening; associations that nobody accepted are aborted."""
        if self.closed:
            return
        waiting = list(self._ready)
        self.detach()
        for association in waiting:
            association.abort()
        self.netns.kernel.wake(self)

    def detach(self) -> None:
        """Leave the tables, silently."""
        self.closed = True
        self._sctp.remove_listener(self)
        self._ready.clear()

    def info(self) -> SocketInfo:
        """Return its row of `ss`: associations that wait, and how many may."""
        return SocketInfo(
            "sctp", State.LISTEN.value, len(self._ready), self.backlog, self.local_address, self.remote_address
        )
