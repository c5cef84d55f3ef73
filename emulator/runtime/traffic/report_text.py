"""A report as people read it: tables, shares, what happened when, and what of the assertions held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from emulator.api.problem import printable
from emulator.apps.load.tally import Tally
from emulator.runtime.traffic.report import PERCENTILES, Part, Report

_HEADER = ("SENT", "OK", "FAILED", "P50 MS", "P90 MS", "P99 MS", "MAX MS", "OUT", "IN")
_PARTS: tuple[Part, ...] = ("load", "client", "target")
_PREFIXES = ("B", "kB", "MB", "GB", "TB")


def lines(report: Report) -> list[str]:
    """Return the whole report."""
    return [printable(line) for line in _parts(report)]


def _parts(report: Report) -> Iterator[str]:
    total = report.total
    rate = total.succeeded / report.duration if report.duration else 0.0
    state = ", interrupted" if report.interrupted else ""
    yield f"{report.name}: {total.sent} requests in {report.duration:.1f} s{state}, {rate:.1f} answered a second"
    if report.description:
        yield report.description
    for part in _PARTS:
        rows = report.by(part)
        if len(rows) > 1 or part == "load":
            yield ""
            yield from _table(part.upper(), rows, total if len(rows) > 1 else None)
    yield from _shares("ENDPOINT", total.endpoints)
    yield from _shares("ERROR", total.errors)
    yield from _notes(report)
    if report.events:
        yield ""
        yield from (f"{event.at:6.1f} s  {event.text}" for event in report.events)
    if report.checks:
        yield ""
        yield from (f"{'pass' if check.passed else 'FAIL'}  {check}" for check in report.checks)


def _table(title: str, rows: Mapping[str, Tally], total: Tally | None) -> Iterator[str]:
    cells = [(title, *_HEADER), *(_row(name, tally) for name, tally in rows.items())]
    if total is not None:
        cells.append(_row("total", total))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, *rest in cells:
        numbers = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        yield "   ".join((name.ljust(widths[0]), *numbers))


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    latencies = tally.latencies
    times = [f"{latencies.percentile(share) / 1000:.1f}" if latencies.count else "-" for _, share in PERCENTILES]
    counts = (str(tally.sent), str(tally.succeeded), str(tally.failed))
    return (name, *counts, *times, amount(tally.bytes_sent), amount(tally.bytes_received))


def amount(count: int) -> str:
    """Return a number of bytes with a unit of thousands: "1.5 MB"."""
    value, unit = float(count), 0
    while value >= 999.95 and unit < len(_PREFIXES) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_PREFIXES[unit]}" if unit else f"{count} B"


def _shares(title: str, counts: Counter[str]) -> Iterator[str]:
    if not counts:
        return
    every, width = counts.total(), max(map(len, (title, *counts)))
    yield ""
    yield f"{title.ljust(width)}    COUNT    SHARE"
    for name, count in sorted(counts.items()):
        yield f"{name.ljust(width)}   {count:>6}   {count / every:6.1%}"


def _notes(report: Report) -> Iterator[str]:
    """Say what the figures mean, where that is not plain."""
    total = report.total
    notes = []
    if set(report.seconds) - report.closed:
        notes.append("Latency counts from when a request was due, also where it was sent later (open loop).")
    if report.closed:
        what = "Latency of closed loops" if set(report.seconds) - report.closed else "Latency"
        notes.append(f"{what} counts from when a request was sent: what a stalled server holds up is not in it.")
    if total.unsent:
        notes.append(f"{total.unsent} requests were due but not sent: too many others were unanswered (in_flight).")
    if total.retried:
        notes.append(f"{total.retried} requests found their connection closed, and were sent again on a new one.")
    unfinished = total.sent - total.succeeded - total.failed
    if unfinished:
        notes.append(f"{unfinished} requests were under way at the end.")
    if notes:
        yield ""
        yield from notes
