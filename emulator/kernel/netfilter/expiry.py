"""When connections end: buckets of one second, so that a table of any size costs nothing while nothing is due.

A connection that is refreshed stays in its bucket; when that is due, it moves on to where its deadline is by then.
Lookups do not rely on this: they ignore an entry whose deadline has passed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.connection import DYING

if TYPE_CHECKING:
    from emulator.kernel.kernel import Kernel
    from emulator.kernel.netfilter.connection import Connection
    from emulator.kernel.timer import Timer


class ExpiryWheel:
    """Calls `expire` for each connection within a second of its deadline."""

    __slots__ = ("_buckets", "_expire", "_kernel", "_order", "_timer")

    def __init__(self, kernel: Kernel, expire: Callable[[Connection], None]) -> None:
        self._kernel = kernel
        self._expire = expire
        self._buckets: dict[int, list[Connection]] = {}
        self._order: list[int] = []
        self._timer: Timer | None = None

    def add(self, connection: Connection) -> None:
        """Put a connection where its deadline is; where it was before no longer counts."""
        bucket = int(connection.deadline) + 1
        connection.bucket = bucket
        members = self._buckets.get(bucket)
        if members is None:
            self._buckets[bucket] = [connection]
            heapq.heappush(self._order, bucket)
            if self._order[0] == bucket:
                self._arm()
        else:
            members.append(connection)

    def clear(self) -> None:
        """Forget all connections."""
        self._buckets.clear()
        self._order.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._order:
            self._timer = self._kernel.schedule(self._order[0] - self._kernel.now, self._run)

    def _run(self) -> None:
        now = self._kernel.now
        self._timer = None
        while self._order and self._order[0] <= now:
            bucket = heapq.heappop(self._order)
            for connection in self._buckets.pop(bucket):
                if connection.bucket != bucket or connection.status & DYING:
                    continue
                if connection.deadline <= now:
                    self._expire(connection)
                else:
                    self.add(connection)
        self._arm()
