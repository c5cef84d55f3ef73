"""How much may be in flight: slow start and congestion avoidance (RFC 5681) as NewReno does it. Counted in segments."""

from __future__ import annotations

import enum

INITIAL_WINDOW = 10  # segments (RFC 6928)
MINIMUM_THRESHOLD = 2
UNLIMITED = 0x7FFFFFFF


class Phase(enum.Enum):
    """What the sender believes about the path (`enum tcp_ca_state`)."""

    OPEN = "open"  # all is well, or a few duplicates have come
    RECOVERY = "recovery"  # a loss was told by duplicate acknowledgements: fast recovery
    LOSS = "loss"  # the retransmission timer ran out


class NewReno:
    """The congestion window and the threshold below which it grows fast."""

    __slots__ = ("_credit", "phase", "recovery_point", "threshold", "window")

    def __init__(self) -> None:
        self.window = INITIAL_WINDOW
        self.threshold = UNLIMITED
        self.phase = Phase.OPEN
        self.recovery_point = 0  # the loss is mended when everything up to here is acknowledged
        self._credit = 0

    def acknowledged(self, segments: int, in_flight: int) -> None:
        """Grow for `segments` acknowledged, if `in_flight` before them shows that the window was what held us back."""
        if self.window < self.threshold:
            if in_flight * 2 > self.window:
                self.window = min(self.window + segments, self.threshold)
            return
        if in_flight < self.window:
            return
        self._credit += segments
        if self._credit >= self.window:
            self._credit -= self.window
            self.window += 1

    def enter_recovery(self, outstanding: int, recovery_point: int) -> None:
        """Halve the window after duplicate acknowledgements (RFC 6582 section 3.2)."""
        self._reduce(outstanding)
        self.window = self.threshold
        self.phase = Phase.RECOVERY
        self.recovery_point = recovery_point

    def enter_loss(self, outstanding: int, recovery_point: int) -> None:
        """Begin again with one segment after a time-out (RFC 5681 section 3.1)."""
        if self.phase is not Phase.LOSS:
            self._reduce(outstanding)
        self.window = 1
        self._credit = 0
        self.phase = Phase.LOSS
        self.recovery_point = recovery_point

    def leave_recovery(self) -> None:
        """All that was outstanding at the loss is acknowledged."""
        if self.phase is Phase.RECOVERY:
            self.window = self.threshold
        self.phase = Phase.OPEN
        self._credit = 0

    def restart_after_idle(self) -> None:
        """Do not burst after a pause longer than the time-out (RFC 5681 section 4.1)."""
        self.window = min(self.window, INITIAL_WINDOW)

    def _reduce(self, outstanding: int) -> None:
        self.threshold = max(outstanding // 2, MINIMUM_THRESHOLD)  # of FlightSize, RFC 5681 equation 4
        self._credit = 0
