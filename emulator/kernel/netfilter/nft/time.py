"""Durations as nft reads and prints them ("1h30m", "59m59s980ms"), in milliseconds."""

from __future__ import annotations

import re

from emulator.kernel.netfilter.nft.error import ValueProblem

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_PART = re.compile(r"(\d+)(ms|[dhms])")
_WHOLE = re.compile(r"(?:\d+(?:ms|[dhms]))+")


def parse_time(text: str) -> int:
    """Read a duration; a bare number is of seconds. ValueProblem otherwise."""
    if text.isdigit():
        return int(text) * 1000
    if _WHOLE.fullmatch(text) is None:
        raise ValueProblem("Could not parse relative time")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def format_time(milliseconds: int) -> str:
    """Print a duration, units that are zero left out."""
    words = []
    for unit, size in _UNITS.items():
        count, milliseconds = divmod(milliseconds, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words) or "0s"
