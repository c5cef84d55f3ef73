"""How long ago: as kubectl prints ages (k8s.io/apimachinery, util/duration)."""

from __future__ import annotations

from datetime import UTC, datetime

UNKNOWN = "<unknown>"
_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY


def parse_time(text: str | None) -> float | None:
    """Return a Kubernetes timestamp in seconds of wall-clock time; None if there is none."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def since(text: str | None, now: float) -> str:
    """Return how long before `now` a timestamp lies."""
    moment = parse_time(text)
    return UNKNOWN if moment is None else human_duration(now - moment)


def human_duration(seconds: float) -> str:
    """Return a duration in two units at most: `45s`, `3m20s`, `14m`, `5h1m`, `3d4h`, `12d`, `2y30d`."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    total = max(0, total)
    if total < 2 * _MINUTE:
        return f"{total}s"
    if total < 3 * _HOUR:
        return _two(total, _MINUTE, "m", 1, "s", total < 10 * _MINUTE)
    if total < 2 * _DAY:
        return _two(total, _HOUR, "h", _MINUTE, "m", total < 8 * _HOUR)
    if total < 2 * _YEAR:
        return _two(total, _DAY, "d", _HOUR, "h", total < 8 * _DAY)
    return _two(total, _YEAR, "y", _DAY, "d", total < 8 * _YEAR)


def _two(total: int, unit: int, name: str, small: int, small_name: str, both: bool) -> str:
    """Return `total` in a unit, with the rest in a smaller one where `both` and there is a rest."""
    rest = total % unit // small
    return f"{total // unit}{name}{rest}{small_name}" if both and rest else f"{total // unit}{name}"
