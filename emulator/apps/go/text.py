"""How Go's standard library writes and reads what its programs print: times, durations, JSON, log lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Read "1m30s" as time.ParseDuration does; in seconds. ValueError."""
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if rest == "0":
        return 0.0
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * sum(float(number) * _UNITS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """Write seconds as time.Duration's String does: "1m30s", "1.5s", "250ms", "0s"."""
    nanoseconds = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 else ""
    if nanoseconds < 1_000_000_000:
        for unit, size in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if nanoseconds >= size:
                return f"{sign}{_decimal(nanoseconds, size)}{unit}"
        return "0s"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    text = f"{_decimal(rest, 1_000_000_000)}s"
    if minutes:
        text = (f"{minutes // 60}h" if minutes >= 60 else "") + f"{minutes % 60}m" + text
    return sign + text


def _decimal(number: int, size: int) -> str:
    whole, fraction = divmod(number, size)
    digits = f"{fraction:0{len(str(size)) - 1}d}".rstrip("0") if fraction else ""
    return f"{whole}.{digits}" if digits else str(whole)


def to_json(value: object) -> str:
    """Write JSON as encoding/json does: no spaces, sorted keys of maps, `<`, `>` and `&` escaped for HTML."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def quoted(text: str) -> str:
    """Write a string as `%q` does."""
    return json.dumps(text, ensure_ascii=False)


def now_text(now: float, uptime: float) -> str:
    """Write a time as `%v` of time.Now() does in a container (UTC): nanoseconds, and the monotonic reading behind."""
    moment = datetime.fromtimestamp(now, UTC)
    fraction = f"{moment.microsecond:06d}".rstrip("0")
    point = f".{fraction}" if fraction else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{point} +0000 UTC m=+{uptime:.9f}"


def logger(write: Callable[[str], None], wall_clock: Callable[[], float]) -> Callable[[str], None]:
    """Make what log.Printf writes of `write`: each line with its date and time in front."""

    def log(line: str) -> None:
        write(f"{datetime.fromtimestamp(wall_clock(), UTC):%Y/%m/%d %H:%M:%S} {line}")

    return log
