"""The retransmission time-out from measured round-trip times (RFC 6298, with Linux's bounds)."""

INITIAL_TIMEOUT = 1.0  # seconds (RFC 6298 section 2.1)
MINIMUM_VARIANCE = 0.2  # TCP_RTO_MIN: never less than 200 ms above the smoothed round-trip time
MAXIMUM_TIMEOUT = 120.0  # TCP_RTO_MAX


class RoundTrip:
    """Smoothed round-trip time, its variance, and the time-out that follows. All in seconds."""

    __slots__ = ("_base", "backoff", "smoothed", "variance")

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self.variance = 0.0
        self.backoff = 0  # time-outs in a row
        self._base = INITIAL_TIMEOUT

    def sample(self, measured: float) -> None:
        """Take the time from a segment to its acknowledgement; ends the back-off (Karn's algorithm)."""
        if self.smoothed is None:
            self.smoothed = measured
            self.variance = measured / 2
        else:
            self.variance += (abs(self.smoothed - measured) - self.variance) / 4
            self.smoothed += (measured - self.smoothed) / 8
        self._base = self.smoothed + max(4 * self.variance, MINIMUM_VARIANCE)
        self.backoff = 0

    @property
    def timeout(self) -> float:
        """How long to wait for an acknowledgement: doubled for each time-out in a row."""
        return min(self._base * (1 << min(self.backoff, 16)), MAXIMUM_TIMEOUT)
