"""CUBIC (RFC 9438): the window grows by the time since the last loss, and not by the round-trip time.

Since a loss at W_max segments it follows the cubic W(t) = C (t - K)^3 + W_max, which is flat around W_max and goes
beyond it at first carefully, then boldly. Where NewReno would be faster, it is as fast as that (section 4.3).
"""

from __future__ import annotations

from emulator.kernel.tcp.congestion import CongestionControl

SCALE = 0.4  # C, segments per second cubed (section 5.1)
BETA = 0.7  # what a loss leaves of the window (section 4.6)
RENO_GAIN = 3 * (1 - BETA) / (1 + BETA)  # alpha_cubic: as fast as NewReno with its half (section 4.3)
LARGEST_STEP = 1.5  # the target is at most so many windows (section 4.2)


class Cubic(CongestionControl):
    """An epoch is a time of congestion avoidance: from a loss that was mended to the next."""

    __slots__ = ("_credit", "_delay", "_epoch", "_estimate", "_prior", "_timed_out", "_top")

    name = "cubic"

    def __init__(self) -> None:
        super().__init__()
        self._epoch: float | None = None  # when it began; None before the first acknowledgement of one
        self._top = 0.0  # W_max
        self._delay = 0.0  # K, in seconds
        self._prior = 0.0  # the window just before the last loss: cwnd_prior
        self._estimate = 0.0  # W_est, what NewReno would have
        self._credit = 0.0  # of a segment, not yet in `window`
        self._timed_out = True  # no loss yet, or a time-out: no top is known that the window could grow to

    def restart_after_idle(self, idle: float) -> None:
        """Time in which nothing was sent does not count as the epoch's (section 5.8)."""
        super().restart_after_idle(idle)
        if self._epoch is not None:
            self._epoch += idle

    def _avoid(self, segments: int, now: float, round_trip: float) -> None:
        if self._epoch is None:
            self._begin(now)
        window = self.window + self._credit
        elapsed = now - (self._epoch or 0.0)
        gain = RENO_GAIN if self._estimate < self._prior else 1.0
        self._estimate += gain * segments / window
        if self._curve(elapsed) < self._estimate:
            window = max(window, self._estimate)
        else:
            target = min(max(self._curve(elapsed + round_trip), window), LARGEST_STEP * window)
            window += segments * (target - window) / window
        self.window = int(window)
        self._credit = window - self.window

    def _curve(self, elapsed: float) -> float:
        """Return W_cubic (section 4.2, figure 1)."""
        return float(SCALE * (elapsed - self._delay) ** 3 + self._top)

    def _begin(self, now: float) -> None:
        """Begin an epoch (section 4.2, figure 2; after a time-out section 4.8)."""
        self._epoch = now
        self._estimate = float(self.window)
        if self._timed_out or self._top <= self.window:
            self._delay = 0.0
            self._top = float(self.window)
        else:
            self._delay = ((self._top - self.window) / SCALE) ** (1 / 3)
        self._timed_out = False

    def _reduce(self, outstanding: int) -> int:
        """A loss: note where it was, lower if it came sooner than the last (fast convergence, section 4.7)."""
        window = self.window + self._credit
        self._prior = window
        self._top = window * (1 + BETA) / 2 if window < self._top else window
        self._epoch = None
        self._credit = 0.0
        self._timed_out = False
        return int(outstanding * BETA)

    def _restart(self) -> None:
        self._epoch = None
        self._credit = 0.0
        self._timed_out = True
