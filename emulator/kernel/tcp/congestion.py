"""How much may be in flight: slow start and congestion avoidance (RFC 5681). Counted in segments.

`CongestionControl` is what every algorithm shares; NewReno is here, CUBIC in `cubic.py`.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod

INITIAL_WINDOW = 10  # segments (RFC 6928)
MINIMUM_THRESHOLD = 2
UNLIMITED = 0x7FFFFFFF


class Phase(enum.Enum):
    """What the sender believes about the path (`enum tcp_ca_state`)."""

    OPEN = "open"  # all is well, or a few duplicates have come
    RECOVERY = "recovery"  # a loss was told by duplicate acknowledgements: fast recovery
    LOSS = "loss"  # the retransmission timer ran out


class CongestionControl(ABC):
    """The congestion window and the threshold below which it grows fast.

    An algorithm says in `_avoid` how the window grows above the threshold, and in `_reduce` what a loss leaves of it.
    """

    __slots__ = ("phase", "recovery_point", "threshold", "window")

    name = ""  # in net.ipv4.tcp_congestion_control

    def __init__(self) -> None:
        self.window = INITIAL_WINDOW
        self.threshold = UNLIMITED
        self.phase = Phase.OPEN
        self.recovery_point = 0  # the loss is mended when everything up to here is acknowledged

    def acknowledged(self, segments: int, in_flight: int, now: float, round_trip: float) -> None:
        """Grow for `segments` acknowledged, if `in_flight` before them shows that the window was what held us back.

        `round_trip` is the smoothed round-trip time in seconds.
        """
        if self.window < self.threshold:
            if in_flight * 2 > self.window:
                self.window = min(self.window + segments, self.threshold)
        elif in_flight >= self.window:
            self._avoid(segments, now, round_trip)

    def enter_recovery(self, outstanding: int, recovery_point: int) -> None:
        """Lower the window after duplicate acknowledgements (RFC 6582 section 3.2)."""
        self.threshold = max(self._reduce(outstanding), MINIMUM_THRESHOLD)
        self.window = self.threshold
        self.phase = Phase.RECOVERY
        self.recovery_point = recovery_point

    def enter_loss(self, outstanding: int, recovery_point: int, *, again: bool) -> None:
        """Begin again with one segment after a time-out (RFC 5681 section 3.1).

        The threshold is lowered once for each loss: not in recovery, and not if it ran out `again` without progress
        (`tcp_enter_loss`).
        """
        if self.phase is Phase.OPEN or (self.phase is Phase.LOSS and not again):
            self.threshold = max(self._reduce(outstanding), MINIMUM_THRESHOLD)
        self._restart()
        self.window = 1
        self.phase = Phase.LOSS
        self.recovery_point = recovery_point

    def leave_recovery(self) -> None:
        """All that was outstanding at the loss is acknowledged."""
        if self.phase is Phase.RECOVERY:
            self.window = self.threshold
        self.phase = Phase.OPEN

    def restart_after_idle(self, idle: float) -> None:
        """Do not burst after a pause of `idle` seconds, longer than the time-out (RFC 5681 section 4.1)."""
        self.window = min(self.window, INITIAL_WINDOW)

    @abstractmethod
    def _avoid(self, segments: int, now: float, round_trip: float) -> None:
        """Grow the window above the threshold."""

    @abstractmethod
    def _reduce(self, outstanding: int) -> int:
        """Return the new threshold after a loss, with `outstanding` segments sent and not acknowledged (FlightSize)."""

    @abstractmethod
    def _restart(self) -> None:
        """Forget what led up to here: the timer ran out."""


class NewReno(CongestionControl):
    """A segment more for each window acknowledged, half of it after a loss (RFC 5681, RFC 6582)."""

    __slots__ = ("_credit",)

    name = "reno"

    def __init__(self) -> None:
        super().__init__()
        self._credit = 0  # segments acknowledged towards the next one

    def leave_recovery(self) -> None:
        """Grow from the threshold on."""
        super().leave_recovery()
        self._credit = 0

    def _avoid(self, segments: int, now: float, round_trip: float) -> None:
        self._credit += segments
        if self._credit >= self.window:
            self._credit -= self.window
            self.window += 1

    def _reduce(self, outstanding: int) -> int:
        self._credit = 0
        return outstanding // 2  # RFC 5681, equation 4

    def _restart(self) -> None:
        self._credit = 0
