"""The timers of one machine: a heap of deadlines with lazy cancellation, run by `Kernel.run`."""

from __future__ import annotations

import heapq
from collections.abc import Callable

FEWEST_CANCELLED = 64  # so many cancelled timers may always stay until their time


class Timer:
    """One armed timer; `cancel()` is cheap and may be called at any time."""

    __slots__ = ("_heap", "callback", "deadline")

    def __init__(self, heap: TimerHeap, deadline: float, callback: Callable[[], None]) -> None:
        self._heap = heap
        self.deadline = deadline
        self.callback: Callable[[], None] | None = callback

    @property
    def armed(self) -> bool:
        """Whether the callback is still to come."""
        return self.callback is not None

    def cancel(self) -> None:
        """Forget the callback; the heap drops the entry later."""
        if self.callback is not None:
            self.callback = None
            self._heap.note_cancelled()


class TimerHeap:
    """Timers in order of deadline, and of arming where deadlines are equal."""

    __slots__ = ("_cancelled", "_entries", "_sequence")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0  # entries that wait for nothing

    def __len__(self) -> int:
        return len(self._entries) - self._cancelled

    @property
    def allocated(self) -> int:
        """How many entries the heap has, cancelled ones too."""
        return len(self._entries)

    def add(self, deadline: float, callback: Callable[[], None]) -> Timer:
        """Arm a timer for `deadline` (seconds on the machine's clock)."""
        timer = Timer(self, deadline, callback)
        self._sequence += 1
        heapq.heappush(self._entries, (deadline, self._sequence, timer))
        return timer

    def next_deadline(self) -> float | None:
        """When the earliest armed timer is due, or None."""
        entries = self._entries
        while entries and entries[0][2].callback is None:
            heapq.heappop(entries)
            self._cancelled -= 1
        return entries[0][0] if entries else None

    def pop_due(self, now: float) -> Callable[[], None] | None:
        """Take the callback of one timer that is due at `now`, or None."""
        entries = self._entries
        while entries and entries[0][0] <= now:
            timer = heapq.heappop(entries)[2]
            callback = timer.callback
            if callback is not None:
                timer.callback = None
                return callback
            self._cancelled -= 1
        return None

    def note_cancelled(self) -> None:
        """Count a cancelled timer; when they are the greater part, drop them, so that the heap does not grow."""
        self._cancelled += 1
        if self._cancelled > FEWEST_CANCELLED and self._cancelled * 2 > len(self._entries):
            self._entries = [entry for entry in self._entries if entry[2].callback is not None]
            heapq.heapify(self._entries)
            self._cancelled = 0
