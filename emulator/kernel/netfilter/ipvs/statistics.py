"""Counters of a service or a real server, and their rates (ip_vs_est.c).

The kernel looks at the counters every two seconds and lets the rates follow by a quarter. Nothing here ticks: whoever
counts or reads catches up with the ticks that have passed since, which gives the same numbers.
"""

from __future__ import annotations

from msgspec import Struct

INTERVAL = 2.0  # seconds between two looks
_MOST_TICKS = 128  # after so many without traffic a rate has become what it will stay
_SCALE = (9, 9, 9, 4, 4)  # bits by which a difference is scaled: connections and packets more than bytes


class Counters(Struct, frozen=True):
    """What `ipvsadm --stats` prints, or per second `--rate`: connections, packets and bytes in and out."""

    connections: int = 0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


class Statistics:
    """Five counters that only grow, a zero point, and five averages."""

    __slots__ = ("_averages", "_counts", "_last", "_next_tick", "_zero")

    def __init__(self, now: float) -> None:
        self._counts = [0, 0, 0, 0, 0]
        self._zero = [0, 0, 0, 0, 0]
        self._last = [0, 0, 0, 0, 0]
        self._averages = [0, 0, 0, 0, 0]
        self._next_tick = now + INTERVAL

    def connection(self, now: float) -> None:
        """Count a new connection."""
        if now >= self._next_tick:
            self._catch_up(now)
        self._counts[0] += 1

    def packet_in(self, now: float, size: int) -> None:
        """Count a packet to the real server, of `size` bytes from its IP header on."""
        if now >= self._next_tick:
            self._catch_up(now)
        self._counts[1] += 1
        self._counts[3] += size

    def packet_out(self, now: float, size: int) -> None:
        """Count a packet back to the client."""
        if now >= self._next_tick:
            self._catch_up(now)
        self._counts[2] += 1
        self._counts[4] += size

    def totals(self) -> Counters:
        """Return the counts since they were zeroed."""
        return Counters(*(count - zero for count, zero in zip(self._counts, self._zero, strict=True)))

    def rates(self, now: float) -> Counters:
        """Return the averages per second (ip_vs_read_estimator)."""
        if now >= self._next_tick:
            self._catch_up(now)
        return Counters(
            *(average + (1 << scale) - 1 >> scale + 1 for average, scale in zip(self._averages, _SCALE, strict=True))
        )

    def reset(self, now: float) -> None:
        """Count from zero again (`ipvsadm -Z`)."""
        if now >= self._next_tick:
            self._catch_up(now)
        self._zero = list(self._counts)
        self._last = list(self._counts)
        self._averages = [0, 0, 0, 0, 0]

    def _catch_up(self, now: float) -> None:
        ticks = int((now - self._next_tick) // INTERVAL) + 1
        self._next_tick += ticks * INTERVAL
        for index, scale in enumerate(_SCALE):
            average = self._averages[index]
            average += ((self._counts[index] - self._last[index] << scale) - average) >> 2
            for _ in range(min(ticks - 1, _MOST_TICKS)):
                if not average:
                    break
                average += -average >> 2
            self._averages[index] = average
            self._last[index] = self._counts[index]
