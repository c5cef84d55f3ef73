"""The timers of one machine: a heap of deadlines with lazy cancellation, run by `Kernel.run`."""

import heapq
from collections.abc import Callable


class Timer:
    """One armed timer; `cancel()` is cheap and may be called at any time."""

    __slots__ = ("callback", "deadline")

    def __init__(self, deadline: float, callback: Callable[[], None]) -> None:
        self.deadline = deadline
        self.callback: Callable[[], None] | None = callback

    @property
    def armed(self) -> bool:
        """Whether the callback is still to come."""
        return self.callback is not None

    def cancel(self) -> None:
        """Forget the callback; the heap drops the entry when its time comes."""
        self.callback = None


class TimerHeap:
    """Timers in order of deadline, and of arming where deadlines are equal."""

    __slots__ = ("_entries", "_sequence")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Timer]] = []
        self._sequence = 0

    def add(self, deadline: float, callback: Callable[[], None]) -> Timer:
        """Arm a timer for `deadline` (seconds on the machine's clock)."""
        timer = Timer(deadline, callback)
        self._sequence += 1
        heapq.heappush(self._entries, (deadline, self._sequence, timer))
        return timer

    def next_deadline(self) -> float | None:
        """When the earliest armed timer is due, or None."""
        entries = self._entries
        while entries and entries[0][2].callback is None:
            heapq.heappop(entries)
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
        return None
