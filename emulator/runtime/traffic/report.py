"""What came of traffic: counts by load, client and target, who answered, what happened meanwhile, what was asserted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct

from emulator.api.traffic.assertion import Assertion
from emulator.apps.load.tally import Tally

PERCENTILES = (("p50", 0.50), ("p90", 0.90), ("p99", 0.99), ("max", 1.0))
Part = Literal["load", "client", "target"]


class Cell(Struct, frozen=True):
    """What one client of one load got of one target."""

    load: str
    client: str
    target: str
    tally: Tally


class Event(Struct, frozen=True):
    """Something that happened `at` seconds after the beginning; `failed` makes the whole run fail."""

    at: float
    text: str
    failed: bool = False


class Check(Struct, frozen=True):
    """An assertion and whether it held; `of` names the load, client or target, empty for all together."""

    assertion: Assertion
    of: str
    value: str
    passed: bool

    def __str__(self) -> str:
        of = f"{self.of}: " if self.of else ""
        return f"{of}{self.assertion.text}" + ("" if self.passed else f", but it is {self.value}")


@dataclass(frozen=True)
class Report:
    """All of it. `duration` is in seconds, from the first request to the last answer; `seconds` are those of each load.

    `interrupted`: ended by Ctrl-C before its time, so that `cells` are what there was until then.
    """

    name: str
    duration: float
    cells: tuple[Cell, ...]
    seconds: Mapping[str, float]
    closed: frozenset[str] = frozenset()
    seed: int = 0
    events: tuple[Event, ...] = ()
    checks: tuple[Check, ...] = ()
    interrupted: bool = False
    description: str = field(default="", compare=False)

    @cached_property
    def total(self) -> Tally:
        """All requests together."""
        return Tally.sum(cell.tally for cell in self.cells)

    def by(self, part: Part) -> dict[str, Tally]:
        """Return the sums of each load, client or target, in the order in which they were named."""
        parts: dict[str, list[Tally]] = {}
        for cell in self.cells:
            parts.setdefault(getattr(cell, part), []).append(cell.tally)
        return {name: Tally.sum(tallies) for name, tallies in parts.items()}

    @property
    def failures(self) -> list[str]:
        """What makes the run fail, a line each: assertions that do not hold, and changes that could not be made."""
        failed = [event.text for event in self.events if event.failed]
        return failed + [str(check) for check in self.checks if not check.passed]

    @property
    def passed(self) -> bool:
        """Whether nothing failed that was asserted or asked for."""
        return not self.failures

    def summary(self) -> dict[str, Any]:
        """Return the report as JSON types: times in seconds, latencies in milliseconds."""
        return {
            "name": self.name,
            "seed": self.seed,
            "interrupted": self.interrupted,
            "duration_s": round(self.duration, 3),
            "total": tally_summary(self.total, self.duration),
            "loads": [
                {"name": name, "loop": "closed" if name in self.closed else "open"}
                | tally_summary(tally, self.seconds.get(name, self.duration))
                for name, tally in self.by("load").items()
            ],
            "clients": self._named("client"),
            "targets": self._named("target"),
            "events": [
                {"at_s": round(event.at, 3), "text": event.text, "failed": event.failed} for event in self.events
            ],
            "assertions": [
                {"that": check.assertion.text, "of": check.of, "passed": check.passed, "value": check.value}
                for check in self.checks
            ],
            "passed": self.passed,
        }

    def _named(self, part: Part) -> list[dict[str, Any]]:
        return [{"name": name} | tally_summary(tally, self.duration) for name, tally in self.by(part).items()]


def tally_summary(tally: Tally, seconds: float) -> dict[str, Any]:
    """Return counts as JSON types."""
    latencies = tally.latencies
    quantiles = {name: round(latencies.percentile(share) / 1000, 3) for name, share in PERCENTILES}
    return {
        "sent": tally.sent,
        "answered": tally.succeeded,
        "failed": tally.failed,
        "unsent": tally.unsent,
        "rate": round(tally.succeeded / seconds, 1) if seconds else 0.0,
        "errors": dict(tally.errors.most_common()),
        "latency_ms": {**quantiles, "mean": round(latencies.mean / 1000, 3)} if latencies.count else {},
        "endpoints": dict(sorted(tally.endpoints.items())),
        "bytes_sent": tally.bytes_sent,
        "bytes_received": tally.bytes_received,
        "connections": tally.connections,
        "retried": tally.retried,
    }
