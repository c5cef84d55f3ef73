"""When connections end: buckets of one second, so that a table of any size costs nothing while nothing is due.

A connection that is refreshed stays in its bucket; when that is due, it moves on to where its deadline is by then.
Lookups do not rely on this: they ignore an entry whose deadline has passed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.connection import DYING

if TYPE_CHECKING:
    from emulator.kernel.kernel import Kernel
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.timer import Timer

_FEWEST_VACATED = 1024


class _Bucket(list["Connection"]):
    """Connections that may end in one second, `number` on the kernel's clock."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class ExpiryWheel:
    """Calls `expire` for each connection within a second of its deadline."""

    __slots__ = ("_buckets", "_expire", "_kernel", "_order", "_places", "_timer", "_vacated")

    def __init__(self, kernel: Kernel, expire: Callable[[Connection], None]) -> None:
        self._kernel = kernel
        self._expire = expire
        self._buckets: dict[int, _Bucket] = {}
        self._order: list[int] = []
        self._timer: Timer | None = None
        self._places = 0  # in all buckets
        self._vacated = 0  # of them, those that no longer count

    def __len__(self) -> int:
        return self._places

    def add(self, connection: Connection) -> None:
        """Put a connection where its deadline is. Whoever moves one says `vacate` for the place that it had."""
        number = int(connection.deadline) + 1
        self._places += 1
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = _Bucket(number)
            heapq.heappush(self._order, number)
            if self._order[0] == number:
                self._arm()
        connection.bucket = bucket.number  # not an int of its own
        bucket.append(connection)

    def vacate(self) -> None:
        """Count a connection that ended or moved. When these are the greater part, let go of them all."""
        self._vacated += 1
        if self._vacated > _FEWEST_VACATED and self._vacated * 2 > self._places:
            for bucket, members in self._buckets.items():
                members[:] = [each for each in members if each.bucket == bucket and not each.status & DYING]
            self._places = sum(len(members) for members in self._buckets.values())
            self._vacated = 0

    def clear(self) -> None:
        """Forget all connections."""
        self._buckets.clear()
        self._order.clear()
        self._places = self._vacated = 0
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
            members = self._buckets.pop(bucket)
            due = [each for each in members if each.bucket == bucket and not each.status & DYING]
            self._places -= len(members)
            self._vacated -= len(members) - len(due)
            for connection in due:
                if connection.deadline <= now:
                    self._vacated -= 1  # it is about to be counted, but its place is gone already
                    self._expire(connection)
                else:
                    self.add(connection)
        self._arm()
