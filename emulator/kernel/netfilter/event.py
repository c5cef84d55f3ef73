"""Changes of the conntrack table, for whoever watches flows: `conntrack -E` and the flows of a node."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from emulator.kernel.netfilter.connection import Connection


class EventKind(enum.Enum):
    """What happened to an entry; names are those that `conntrack -E` prints."""

    NEW = "NEW"
    UPDATE = "UPDATE"
    DESTROY = "DESTROY"


class Event(NamedTuple):
    """A change of the table."""

    kind: EventKind
    time: float
    connection: Connection
