"""Durations as sleep(1) reads them: "5", "1.5m", "2h", "infinity"."""

from __future__ import annotations

import math
import re

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([smhd]?)")


def seconds_of(text: str) -> float | None:
    """Return the seconds, `math.inf` for "inf" and "infinity"; None for what is no duration."""
    if text.lower() in {"inf", "infinity"}:
        return math.inf
    match = _DURATION.fullmatch(text)
    return None if match is None else float(match[1]) * _UNITS[match[2]]
