"""Latencies in buckets that are exact to a thousandth, however long they are, and that add up over clients and nodes.

The layout is that of HdrHistogram with three significant digits: values below 2,048 have a bucket each, and from there
on each power of two has 1,024. Only buckets with something in them are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

SUB_BUCKET_BITS = 11
"""2 ** 11 sub-buckets: the least power of two from which 1,000 steps can be told apart in the upper half."""

_MASK = (1 << SUB_BUCKET_BITS) - 1


def bucket_of(value: int) -> int:
    """Return the bucket of a value of 0 or more."""
    shift = value.bit_length() - SUB_BUCKET_BITS
    return value if shift <= 0 else shift << SUB_BUCKET_BITS | value >> shift


def highest_in(bucket: int) -> int:
    """Return the highest value of a bucket, which stands for all of them, so that no percentile is told too low."""
    return ((bucket & _MASK) + 1 << (bucket >> SUB_BUCKET_BITS)) - 1


class Histogram:
    """How often each latency was met, in microseconds; `longest` is exact, and so is `total`, the sum."""

    __slots__ = ("count", "counts", "longest", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.count = 0
        self.longest = 0
        self.total = 0

    def record(self, seconds: float) -> None:
        """Count one latency."""
        value = max(0, round(seconds * 1e6))
        bucket = bucket_of(value)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.count += 1
        self.total += value
        self.longest = max(self.longest, value)

    def add(self, counts: Iterable[tuple[int, int]], longest: int, total: int) -> None:
        """Add what another histogram has counted."""
        for bucket, count in counts:
            self.counts[bucket] = self.counts.get(bucket, 0) + count
            self.count += count
        self.longest = max(self.longest, longest)
        self.total += total

    def percentile(self, share: float) -> int:
        """Return the least value, in microseconds, that `share` (0 to 1) of all do not exceed; 0 without any."""
        wanted = max(1, ceil(round(self.count * share, 6)))
        if wanted >= self.count:
            return self.longest
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(highest_in(bucket), self.longest)
        return self.longest

    @property
    def mean(self) -> float:
        """The mean in microseconds; 0 without any."""
        return self.total / self.count if self.count else 0.0
