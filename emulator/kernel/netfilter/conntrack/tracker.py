"""What connection tracking asks of each protocol: is the packet sound, may it begin a connection, what does it change.

`track` runs for every packet with an entry, new or known, after the entry was found (nf_conntrack_handle_packet).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
    from emulator.kernel.skb import Skb


class Tracked(enum.Enum):
    """What a protocol says of a packet."""

    ACCEPT = 0
    INVALID = 1  # the packet goes on without a connection, as ctstate INVALID
    REPEAT = 2  # the entry was deleted: look again, and find none
    DROP = 3


TRACKED: Final = Tracked.ACCEPT  # for every packet's way, as in `netfilter/hook.py`


class Tracker(Protocol):
    """One protocol's part of connection tracking."""

    def __call__(
        self, conntrack: Conntrack, connection: Connection, skb: Skb, direction: int, *, verify: bool
    ) -> Tracked:
        """Judge a packet and move the connection on. `verify`: checksums are checked (a received packet)."""
