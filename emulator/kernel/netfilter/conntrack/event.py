"""Changes of the conntrack table, for whoever watches it: `conntrack -E` (nf_conntrack_ecache.c).

As in Linux an entry gathers what changed while a packet passes, and tells it once the packet leaves the last hook: a
new state and ASSURED are one UPDATE. Where a rule drops the packet, the next packet of the connection tells it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from emulator.kernel.netfilter.conntrack.connection import (
    CHANGED_MARK,
    CHANGED_STATE,
    CHANGES,
    CONFIRMED,
    DYING,
    UNOBSERVED,
)

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection


class EventKind(enum.Enum):
    """What happened to an entry; names are those that `conntrack -E` prints."""

    NEW = "NEW"
    UPDATE = "UPDATE"
    DESTROY = "DESTROY"


class Event(NamedTuple):
    """A change of the table. The entry is as it is at the moment of the call, and may change right after it."""

    kind: EventKind
    time: float
    connection: Connection
    changes: int  # the CHANGED_* bits; all for a new entry and one that ended
    program: str  # the one that made the change by netlink, if it was no packet

    @property
    def shows_state(self) -> bool:
        """Whether it tells the protocol's state."""
        return bool(self.changes & CHANGED_STATE)

    @property
    def shows_mark(self) -> bool:
        """Whether it tells the mark; one of zero only if that is what changed."""
        return bool(self.connection.mark or self.changes & CHANGED_MARK)

    def __str__(self) -> str:
        line = self.connection.format(self.time, state=self.shows_state, mark=self.shows_mark, use=0)
        return f"[{self.kind.value}] {line}"


Callback = Callable[[Event], None]


class Events:
    """Who listens to one table."""

    __slots__ = ("_callbacks",)

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []

    def listen(self, callback: Callback) -> Callable[[], None]:
        """Have `callback` called at every change from now on; what is returned ends that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def deliver(self, connection: Connection, now: float) -> None:
        """Tell what an entry has gathered."""
        changes = connection.status & CHANGES
        connection.status &= ~CHANGES
        if connection.status & (CONFIRMED | DYING) == CONFIRMED:
            self.tell(EventKind.UPDATE, connection, now, changes=changes)

    def tell(
        self, kind: EventKind, connection: Connection, now: float, *, changes: int = CHANGED_STATE, program: str = ""
    ) -> None:
        """Tell every listener of an entry, unless it was made while nf_conntrack_events was off."""
        if not self._callbacks or connection.status & UNOBSERVED:
            return
        event = Event(kind, now, connection, changes, program)
        for callback in list(self._callbacks):
            callback(event)
