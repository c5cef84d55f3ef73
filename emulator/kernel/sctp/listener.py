"""A listening SCTP socket: associations whose cookie came back wait here to be accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.sctp.association import SctpSocket
from emulator.kernel.socket.listener import Listener

if TYPE_CHECKING:
    from emulator.kernel.sctp.protocol import Sctp


class SctpListener(Listener[SctpSocket]):
    """A listener; woken when an association can be accepted. INITs cost it nothing: cookies remember them."""

    __slots__ = ("_sctp",)

    protocol = "sctp"

    def __init__(self, sctp: Sctp, backlog: int) -> None:
        super().__init__(sctp.netns, backlog)
        self._sctp = sctp

    def _give_port_back(self) -> None:
        self._sctp.remove_listener(self)
