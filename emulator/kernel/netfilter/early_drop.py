"""Makes room in a full conntrack table: entries that are not assured go first, the oldest of them (`early_drop`).

Linux looks through the eight hash buckets after the new connection's own, so which entry goes there depends on a hash
that nobody can predict; the oldest one is the entry that it, too, means to end.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.connection import ASSURED, DYING

if TYPE_CHECKING:
    from emulator.kernel.netfilter.connection import Connection
    from emulator.kernel.netfilter.conntrack import Conntrack

_BATCH = 4096
_PAUSE = 1.0  # seconds between two looks through a table that has nothing to evict


class EarlyDrop:
    """Remembers candidates between calls, so that a flood of new connections costs each of them little."""

    def __init__(self, conntrack: Conntrack) -> None:
        self._conntrack = conntrack
        self._victims: list[Connection] = []  # the oldest last
        self._none_until = float("-inf")

    def make_room(self) -> bool:
        """End one entry. False if all of them are assured."""
        self._victims = self._victims or self._find()
        while self._victims:
            victim = self._victims.pop()
            if not victim.status & (ASSURED | DYING):
                self._conntrack.statistics.early_drop += 1
                self._conntrack.delete(victim)
                return True
        return False

    def clear(self) -> None:
        """Forget the candidates."""
        self._victims.clear()

    def _find(self) -> list[Connection]:
        """Return connections that are not assured: among the oldest of all, else wherever they are."""
        now = self._conntrack.now
        if now < self._none_until:
            return []
        victims: list[Connection] = []
        for count in (_BATCH, len(self._conntrack)):
            oldest = islice(self._conntrack.entries(), count)
            victims = [connection for connection in oldest if not connection.status & ASSURED][:_BATCH]
            if victims:
                break
        else:
            self._none_until = now + _PAUSE
        victims.reverse()
        return victims
