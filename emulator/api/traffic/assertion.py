"""What traffic must have come to: `errors == 0`, `p99 < 50ms`, `share(web-*) >= 20%`, parsed into values."""

from __future__ import annotations

import enum
import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct

from emulator.api.problem import closest, printable
from emulator.errors import PodwireError


class AssertionSyntaxError(PodwireError):
    """An assertion that cannot be understood; the text says why."""


class Unit(enum.Enum):
    """What a metric is counted in, and with that which units its bound may have."""

    COUNT = "a whole number"
    RATE = "a number, of requests a second"
    SHARE = "a percentage, such as 0.1%"
    SECONDS = "a time, such as 50ms"
    BYTES = "a number of bytes, such as 10MB"


METRICS: Mapping[str, Unit] = MappingProxyType(
    {
        "sent": Unit.COUNT,
        "answered": Unit.COUNT,
        "errors": Unit.COUNT,
        "error_rate": Unit.SHARE,
        "unsent": Unit.COUNT,
        "retried": Unit.COUNT,
        "connections": Unit.COUNT,
        "endpoints": Unit.COUNT,
        "share": Unit.SHARE,
        "least_share": Unit.SHARE,
        "greatest_share": Unit.SHARE,
        "rate": Unit.RATE,
        "p50": Unit.SECONDS,
        "p90": Unit.SECONDS,
        "p95": Unit.SECONDS,
        "p99": Unit.SECONDS,
        "p99.9": Unit.SECONDS,
        "max": Unit.SECONDS,
        "mean": Unit.SECONDS,
        "bytes_sent": Unit.BYTES,
        "bytes_received": Unit.BYTES,
    }
)
"""`share(NAME)` is of the endpoints whose names match, `errors(KIND)` of one kind of error."""

_ARGUMENT_NEEDED, _ARGUMENT_TAKEN = frozenset({"share"}), frozenset({"share", "errors"})
_SCALES: Mapping[Unit, Mapping[str, float]] = MappingProxyType(
    {
        Unit.COUNT: {"": 1.0},
        Unit.RATE: {"": 1.0, "/s": 1.0},
        Unit.SHARE: {"%": 0.01},
        Unit.SECONDS: {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0},
        Unit.BYTES: {"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    }
)
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<=": operator.le,
        ">=": operator.ge,
        "<": operator.lt,
        ">": operator.gt,
    }
)
EACH = ("load", "client", "target")
_FORM = re.compile(
    r"\s*(?P<metric>[a-z0-9_.]+)\s*(?:\((?P<argument>[^()]*)\))?\s*(?P<comparison>[<>=!]=?)\s*"
    r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[^\s0-9]*)\s*"
)


class Assertion(Struct, frozen=True, kw_only=True):
    """One metric, held against a bound in seconds, bytes, a share from 0 to 1 or a plain number.

    `load`: of that load alone. `each`: for each load, client or target by itself; empty for all together.
    """

    text: str
    metric: str
    comparison: str
    bound: float
    argument: str = ""
    load: str = ""
    each: str = ""

    @property
    def unit(self) -> Unit:
        """What the metric is counted in."""
        return METRICS[self.metric]

    def holds(self, value: float) -> bool:
        """Whether a value is as is wanted."""
        return COMPARISONS[self.comparison](value, self.bound)


def parse_assertion(text: str, *, load: str = "", each: str = "") -> Assertion:
    """Parse `METRIC OPERATOR VALUE`. Raises AssertionSyntaxError."""
    found = _FORM.fullmatch(text)
    if found is None or found["comparison"] not in COMPARISONS:
        raise AssertionSyntaxError(f'must be such as "errors == 0", "p99 < 50ms", "share(web-*) >= 20%": {text!r}')
    metric, argument, unit = found["metric"], (found["argument"] or "").strip(), found["unit"]
    if metric not in METRICS:
        close = closest(metric, METRICS)
        hint = f'did you mean "{close}"?' if close else f"known are {', '.join(METRICS)}"
        raise AssertionSyntaxError(f"unknown metric {printable(metric)}; {hint}")
    if metric in _ARGUMENT_NEEDED and not argument:
        raise AssertionSyntaxError(f"{metric} needs to know of what: {metric}(web-*)")
    if argument and metric not in _ARGUMENT_TAKEN:
        raise AssertionSyntaxError(f"{metric} is not of something: leave ({printable(argument)}) out")
    scales = _SCALES[METRICS[metric]]
    if unit not in scales:
        raise AssertionSyntaxError(f"{metric} is {METRICS[metric].value}, not {printable(found['number'] + unit)}")
    return Assertion(
        text=" ".join(text.split()),
        metric=metric,
        comparison=found["comparison"],
        bound=float(found["number"]) * scales[unit],
        argument=argument,
        load=load,
        each=each,
    )
