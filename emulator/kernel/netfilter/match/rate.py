"""Rates as `-m limit` and `-m hashlimit` write them: `5/min`, kept as the time between two packets."""

from __future__ import annotations

import re

from emulator.kernel.netfilter.error import RuleError

_UNITS = (("day", 86_400), ("hour", 3_600), ("min", 60), ("sec", 1))
_SPELLED = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_NUMBER = re.compile(r"\s*\+?(\d{1,4000})", re.ASCII)


def parse_rate(text: str, scale: int) -> tuple[int, int] | None:
    """Return the period in 1/`scale` s and the unit in seconds; None if it is no rate.

    The number is what the text begins with, as atoi has it; a unit may be cut short. RuleError if it is too fast.
    """
    number = _NUMBER.match(text)
    _, slash, unit = text.partition("/")
    seconds = next((value for name, value in _SPELLED.items() if name.startswith(unit.lower())), 0) if slash else 1
    if number is None or not int(number[1]) or not seconds or (slash and not unit):
        return None
    period = seconds * scale // int(number[1])
    if not period:
        raise RuleError(f'Rate too fast "{text}"')
    return period, seconds


def format_rate(period: int, scale: int) -> tuple[str, int]:
    """Return the rate in the longest unit that is precise enough, and that unit in seconds (`print_rate`)."""
    chosen = _UNITS[0]
    for unit in _UNITS[1:]:
        whole = unit[1] * scale
        if period > whole or whole // period < whole % period:
            break
        chosen = unit
    return f"{chosen[1] * scale // period}/{chosen[0]}", chosen[1]
