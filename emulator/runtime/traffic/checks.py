"""Holds assertions against what came of traffic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from emulator.api.traffic.assertion import Assertion, Unit
from emulator.apps.load.tally import Tally
from emulator.runtime.traffic.report import Cell, Check

_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


def check(
    assertions: Iterable[Assertion], cells: Iterable[Cell], seconds: Mapping[str, float], duration: float
) -> Iterator[Check]:
    """Yield each assertion for each load, client or target that it is about; `seconds` are how long each load took."""
    every = [*cells]
    for assertion in assertions:
        wanted = [cell for cell in every if assertion.load in ("", cell.load)]
        groups: dict[str, list[Tally]] = {}
        for cell in wanted:
            groups.setdefault(_group_of(assertion, cell), []).append(cell.tally)
        for of, tallies in (groups or {assertion.load: []}).items():
            load = assertion.load or (of if assertion.each == "load" else "")
            value = measure(assertion, Tally.sum(tallies), seconds.get(load, duration))
            yield Check(assertion, of, shown(assertion.unit, value), assertion.holds(value))


def _group_of(assertion: Assertion, cell: Cell) -> str:
    part = str(getattr(cell, assertion.each)) if assertion.each else ""
    return ", ".join(dict.fromkeys(word for word in (assertion.load, part) if word))


def measure(assertion: Assertion, tally: Tally, seconds: float) -> float:
    """Return a metric, in the units of the assertion's bound. A latency of which there is none is endless."""
    metric = assertion.metric
    if metric in _PERCENTILES or metric in ("max", "mean"):
        return _latency(metric, tally)
    finished = tally.succeeded + tally.failed
    shares = [count / tally.endpoints.total() for count in tally.endpoints.values()]
    match metric:
        case "answered":
            return tally.succeeded
        case "errors":
            return tally.errors[assertion.argument] if assertion.argument else tally.failed
        case "error_rate":
            return tally.failed / finished if finished else 0.0
        case "endpoints":
            return len(tally.endpoints)
        case "share":
            names = tally.endpoints.items()
            chosen = sum(count for name, count in names if fnmatchcase(name, assertion.argument))
            return chosen / tally.endpoints.total() if chosen else 0.0
        case "least_share":
            return min(shares, default=0.0)
        case "greatest_share":
            return max(shares, default=0.0)
        case "rate":
            return tally.succeeded / seconds if seconds else 0.0
    return float(getattr(tally, metric))


def _latency(metric: str, tally: Tally) -> float:
    latencies = tally.latencies
    if not latencies.count:
        return math.inf
    if metric == "mean":
        return latencies.mean / 1e6
    return latencies.percentile(_PERCENTILES.get(metric, 1.0)) / 1e6


def shown(unit: Unit, value: float) -> str:
    """Return a metric's value as people write it."""
    match unit:
        case Unit.SECONDS:
            return "unknown: nothing was answered" if math.isinf(value) else f"{value * 1000:.1f}ms"
        case Unit.SHARE:
            return f"{value:.2%}"
        case Unit.RATE:
            return f"{value:.1f}"
    return f"{value:.0f}"
