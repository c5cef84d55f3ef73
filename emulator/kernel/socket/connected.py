"""What sockets with a peer have in common, TCP's connections and SCTP's associations."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from emulator.kernel.socket.base import Socket
from emulator.kernel.socket.error import os_error

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns
    from emulator.kernel.routing.route import RouteResult


class ConnectedSocket(Socket):
    """A socket with a peer, from the first packet of its handshake on. Addresses are pairs of ints here."""

    __slots__ = ("error_number", "listener", "orphan", "route", "write_wanted")

    def __init__(self, netns: Netns, route: RouteResult, local: tuple[int, int], remote: tuple[int, int]) -> None:
        super().__init__(netns)
        self.laddr, self.lport = local
        self.raddr, self.rport = remote
        self.route = route
        self.listener: Any = None  # the protocol's own, while nobody has accepted the connection
        self.orphan = False  # its program has closed it
        self.write_wanted = False  # its program waits for room
        self.error_number = 0

    @property
    @abstractmethod
    def connecting(self) -> bool:
        """Whether the handshake is still going on."""

    @property
    def error(self) -> OSError | None:
        """What went wrong and was not raised yet; None if nothing did."""
        return os_error(self.error_number) if self.error_number else None

    @abstractmethod
    def abort(self) -> None:
        """End it at once; the peer is told."""

    @property
    def now(self) -> float:
        """The machine's time in seconds."""
        return self.netns.kernel.now

    @property
    def key(self) -> tuple[int, int, int, int]:
        """Its place in its protocol's table."""
        return self.laddr, self.lport, self.raddr, self.rport

    def _raise_error(self) -> None:
        """Raise what went wrong, once."""
        if self.error_number:
            number, self.error_number = self.error_number, 0
            raise os_error(number)
