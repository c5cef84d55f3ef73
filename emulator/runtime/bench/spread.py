"""Several measurements of one thing: the middle and the ends are told, not the mean, which one bad run spoils."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from msgspec import Struct


class Spread(Struct, frozen=True, kw_only=True):
    """Median, least and greatest of some measurements, in whatever unit they have."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Take measurements, at least one."""
        taken = list(values)
        return cls(median=statistics.median(taken), minimum=min(taken), maximum=max(taken))
