"""What hey prints at the end, of histograms that are exact to a thousandth (`apps/load/histogram.py`)."""

from __future__ import annotations

import math
from collections import Counter

from msgspec import Struct, field

from emulator.apps.load.histogram import Histogram, highest_in

_BARS = 40  # characters of the longest bar
_BUCKETS = 10
_TITLES = {
    "dial": "DNS+dialup",
    "lookup": "DNS-lookup",
    "write": "req write",
    "wait": "resp wait",
    "read": "resp read",
}
_PERCENTILES = (10, 25, 50, 75, 90, 95, 99)


class Timing(Struct):
    """The parts of one request, in seconds: name, connection (with the name), sending, waiting, reading."""

    lookup: float = 0.0
    dial: float = 0.0
    write: float = 0.0
    wait: float = 0.0
    read: float = 0.0


class _Part(Struct):
    total: float = 0.0
    least: float = math.inf
    most: float = 0.0

    def add(self, seconds: float) -> None:
        self.total += seconds
        self.least, self.most = min(self.least, seconds), max(self.most, seconds)

    def text(self, count: int) -> str:
        return f"{self.total / count:4.4f} secs, {self.least:4.4f} secs, {self.most:4.4f} secs"


class HeyReport(Struct):
    """Counts of all requests. `total` is how long it all took, in seconds."""

    total: float = 0.0
    latencies: Histogram = field(default_factory=Histogram)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    size: int = 0
    fastest: float = math.inf
    _parts: dict[str, _Part] = field(
        default_factory=lambda: {name: _Part() for name in ("dial", "lookup", "write", "wait", "read")}
    )

    def add(self, seconds: float, timing: Timing, status: int, size: int) -> None:
        """Count a request that was answered."""
        self.latencies.record(seconds)
        self.fastest = min(self.fastest, seconds)
        self.statuses[status] += 1
        self.size += size
        for name, part in self._parts.items():
            part.add(getattr(timing, name))

    def fail(self, reason: str) -> None:
        """Count a request that was not."""
        self.errors[reason] += 1

    def text(self) -> str:
        """Return the report."""
        count = self.latencies.count
        lines = ["", "Summary:", f"  Total:\t{self.total:4.4f} secs"]
        fastest = self.fastest if count else 0.0
        asked = count + self.errors.total()
        lines += [
            f"  Slowest:\t{self.latencies.longest / 1e6:4.4f} secs",
            f"  Fastest:\t{fastest:4.4f} secs",
            f"  Average:\t{self.latencies.mean / 1e6:4.4f} secs",
            f"  Requests/sec:\t{asked / self.total if self.total else 0.0:4.4f}",
            "  ",
        ]
        if self.size:
            lines += [f"  Total data:\t{self.size} bytes", f"  Size/request:\t{self.size // count} bytes"]
        lines += ["", "Response time histogram:", *self._histogram(), "", "", "Latency distribution:"]
        lines += [
            f"  {share}% in {self.latencies.percentile(share / 100) / 1e6:4.4f} secs" for share in _PERCENTILES if count
        ]
        lines += ["", "Details (average, fastest, slowest):"]
        lines += [f"  {title}:\t{self._parts[name].text(count)}" for name, title in _TITLES.items() if count]
        lines += ["", "Status code distribution:"]
        lines += [f"  [{status}]\t{number} responses" for status, number in sorted(self.statuses.items())]
        lines += ["", "Error distribution:"] if self.errors else ["", ""]
        if self.errors:
            lines += [f"  [{number}]\t{reason}" for reason, number in self.errors.most_common()]
        return "\n".join([*lines, "", ""])

    def _histogram(self) -> list[str]:
        """Eleven marks from the fastest to the slowest, with how many took as long as each and longer than the last."""
        if not self.latencies.count:
            return []
        fastest, slowest = self.fastest * 1e6, float(self.latencies.longest)
        marks = [fastest + (slowest - fastest) / _BUCKETS * index for index in range(_BUCKETS)] + [slowest]
        counts = [0] * len(marks)
        for bucket, number in self.latencies.counts.items():
            value = min(highest_in(bucket), self.latencies.longest)
            place = next((index for index, mark in enumerate(marks) if value <= mark * 1.001 + 1), len(marks) - 1)
            counts[place] += number
        most = max(counts)
        return [
            f"  {mark / 1e6:4.3f} [{number}]\t|{'■' * ((number * _BARS + most // 2) // most)}"
            for mark, number in zip(marks, counts, strict=True)
        ]
