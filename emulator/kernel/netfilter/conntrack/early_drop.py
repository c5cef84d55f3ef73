"""Makes room in a full conntrack table: entries that are not assured go first, the oldest of them (`early_drop`).

Linux looks through the eight hash buckets after the new connection's own, so which entry goes there depends on a hash
that nobody can predict; the oldest one is the entry that it, too, means to end. Where that fails the packet is dropped,
and the garbage collector, when it next comes round, ends closing connections too, assured or not (`gc_worker`).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack import sctp_state
from emulator.kernel.netfilter.conntrack.connection import ASSURED, DYING
from emulator.kernel.netfilter.conntrack.tcp_state import CLOSING

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
    from emulator.kernel.timer import Timer

_BATCH = 4096
_ROUND = 60.0  # seconds after which the collector has come round (GC_SCAN_INTERVAL_MAX)
_PAUSE = 1.0  # seconds between two looks through a table that has nothing to evict


class EarlyDrop:
    """Remembers candidates between calls, so that a flood of new connections costs each of them little."""

    def __init__(self, conntrack: Conntrack) -> None:
        self._conntrack = conntrack
        self._victims: list[Connection] = []  # the oldest last
        self._none_until = float("-inf")
        self._collector: Timer | None = None

    def make_room(self) -> bool:
        """End one entry. False if all of them are assured."""
        self._victims = self._victims or self._find()
        while self._victims:
            victim = self._victims.pop()
            if not victim.status & (ASSURED | DYING):
                self._conntrack.statistics.early_drop += 1
                self._conntrack.delete(victim)
                return True
        if self._collector is None:
            self._collector = self._conntrack.netns.kernel.schedule(_ROUND, self._collect)
        return False

    def _collect(self) -> None:
        """End connections that are closing or not assured, as long as the table is over 95 percent full."""
        self._collector = None
        enough = self._conntrack.maximum // 100 * 95
        for connection in list(self._conntrack.entries()):
            if not enough or len(self._conntrack) < enough:
                return
            if not connection.status & ASSURED or is_closing(connection):
                self._conntrack.delete(connection)
        self._none_until = float("-inf")

    def clear(self) -> None:
        """Forget the candidates."""
        self._victims.clear()
        if self._collector is not None:
            self._collector.cancel()
            self._collector = None

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


def is_closing(connection: Connection) -> bool:
    """Whether it may be ended early although it is assured (`can_early_drop`)."""
    if connection.tcp is not None:
        return connection.tcp.state in CLOSING
    return connection.sctp is not None and connection.sctp.state in sctp_state.CLOSING
