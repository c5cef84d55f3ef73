"""Changes of the conntrack table, for whoever watches it: `conntrack -E` (nf_conntrack_ecache.c).

As in Linux an entry gathers what changed while a packet passes, and tells it once the packet leaves the last hook: a
new state and ASSURED are one UPDATE. Where a rule drops the packet, the next packet of the connection tells it.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from emulator.kernel.netfilter.connection import CHANGED_MARK, CHANGED_STATE, CHANGES, CONFIRMED, UNOBSERVED

if TYPE_CHECKING:
    from emulator.kernel.netfilter.connection import Connection

_MOST_WAITING = 10_000  # events that a listener may be behind; the oldest are lost then, and counted


class EventKind(enum.Enum):
    """What happened to an entry; names are those that `conntrack -E` prints."""

    NEW = "NEW"
    UPDATE = "UPDATE"
    DESTROY = "DESTROY"


class Event(NamedTuple):
    """A change of the table. `line` is the entry as it was then, as `conntrack -E` prints it behind the kind."""

    kind: EventKind
    time: float
    connection: Connection
    line: str
    program: str  # the one that made the change by netlink, if it was no packet


class Listener:
    """One that is told: `take` gives what happened since the last call; `on_event` is called at each event."""

    def __init__(self, events: Events, on_event: Callable[[], None] | None) -> None:
        self._events = events
        self.on_event = on_event
        self.waiting: deque[Event] = deque()
        self.lost = 0

    def take(self) -> list[Event]:
        """Hand over what happened since the last call."""
        taken = list(self.waiting)
        self.waiting.clear()
        return taken

    def close(self) -> None:
        """Be told no more."""
        self._events.listeners.remove(self)


class Events:
    """Who listens to one table."""

    __slots__ = ("listeners",)

    def __init__(self) -> None:
        self.listeners: list[Listener] = []

    def listen(self, on_event: Callable[[], None] | None = None) -> Listener:
        """Be told of every change from now on, until the listener is closed."""
        listener = Listener(self, on_event)
        self.listeners.append(listener)
        return listener

    def deliver(self, connection: Connection, now: float) -> None:
        """Tell what an entry has gathered."""
        changes = connection.status & CHANGES
        connection.status &= ~CHANGES
        if connection.status & CONFIRMED:
            self.tell(EventKind.UPDATE, connection, now, changes=changes)

    def tell(
        self, kind: EventKind, connection: Connection, now: float, *, changes: int = CHANGED_STATE, program: str = ""
    ) -> None:
        """Tell every listener of an entry, unless it was made while nf_conntrack_events was off."""
        if not self.listeners or connection.status & UNOBSERVED:
            return
        line = connection.format(
            now, state=bool(changes & CHANGED_STATE), mark=bool(connection.mark or changes & CHANGED_MARK), use=0
        )
        event = Event(kind, now, connection, line, program)
        for listener in self.listeners:
            if len(listener.waiting) >= _MOST_WAITING:
                listener.waiting.popleft()
                listener.lost += 1
            listener.waiting.append(event)
            if listener.on_event is not None:
                listener.on_event()
