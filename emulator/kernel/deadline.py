"""A timer that is moved forward far more often than it runs out, such as the retransmission timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.kernel.kernel import Kernel
    from emulator.kernel.timer import Timer


class Deadline:
    """One callback at one moment. Moving it forward costs an assignment: the heap's timer looks again when it runs.

    `callback` runs at most once for each `start`.
    """

    __slots__ = ("_callback", "_kernel", "_timer", "at")

    def __init__(self, kernel: Kernel, callback: Callable[[], None]) -> None:
        self._kernel = kernel
        self._callback: Callable[[], None] | None = callback
        self._timer: Timer | None = None
        self.at: float | None = None  # when the callback is due; None if it is not armed

    def start(self, delay: float) -> None:
        """Arm for `delay` seconds from now, in place of what was set before."""
        self.at = at = self._kernel.now + delay
        timer = self._timer
        if timer is not None:
            if timer.armed and timer.deadline <= at:
                return
            timer.cancel()
        self._timer = self._kernel.schedule(delay, self._due)

    def stop(self) -> None:
        """Disarm; a later `start` arms it again."""
        self.at = None

    def discard(self) -> None:
        """Disarm for good, and let go of the callback."""
        self.at = None
        self._callback = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        if self.at is None:
            return
        if self.at > self._kernel.now:
            self._timer = self._kernel.schedule(self.at - self._kernel.now, self._due)
            return
        self.at = None
        if self._callback is not None:
            self._callback()
