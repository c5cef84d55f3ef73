"""When each pod wants to be looked at next: one timer for all of them."""

from __future__ import annotations

import heapq


class Deadlines:
    """At most one time for each name, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._when: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # entries that `_when` no longer has are stale

    def set(self, name: str, when: float | None) -> None:
        """Have `name` due at `when`, and not at any other time; None: not at all."""
        if when is None:
            self._when.pop(name, None)
        elif self._when.get(name) != when:
            self._when[name] = when
            heapq.heappush(self._heap, (when, name))

    def next(self) -> float | None:
        """Return the earliest time, or None."""
        while self._heap and self._when.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[str]:
        """Return the names that are due, earliest first, and forget their times."""
        due = []
        while (when := self.next()) is not None and when <= now:
            _, name = heapq.heappop(self._heap)
            del self._when[name]
            due.append(name)
        return due
