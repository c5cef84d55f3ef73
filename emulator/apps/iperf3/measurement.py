"""One iperf3 test as one side sees it while it runs: senders, receivers, and a report of each interval."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import trio
from msgspec import Struct, field
from msgspec.structs import replace

from emulator.apps.iperf3.flow import Counts, Flow, Load
from emulator.apps.iperf3.protocol import Parameters, StreamResult
from emulator.apps.iperf3.text import RULE, Line, header, interval, summary, total

_SHORTEST = 0.1  # of an interval: less than that, without a byte, is no interval
SETTLE = 1e-6  # seconds: an interval ends before what happens at the same moment, and the last one before both


class Measurement(Struct):
    """What is counted. `write` takes the lines, `every` is the seconds of an interval (0: the whole test)."""

    parameters: Parameters
    flows: Sequence[Flow]
    every: float
    unit: str
    write: Callable[[str], None]
    began: float = field(default_factory=trio.current_time)
    ended: float = 0.0
    intervals: list[list[Line]] = field(default_factory=list)
    details: list[list[Counts]] = field(default_factory=list)
    _latest: float = 0.0
    _seen: list[Counts] = field(default_factory=list)

    @property
    def sender(self) -> bool:
        """Whether this side sends."""
        return self.flows[0].sender

    async def run(self, over: trio.Event, load: Load, *, ends: bool) -> None:
        """Move data until `over` is set, which this side sets itself when all is sent."""
        self._seen = [replace(flow.counts) for flow in self.flows]
        self.write(header(udp=self.parameters.udp, sender=self.sender, summary=False))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report)
            for flow in self.flows:
                nursery.start_soon(_guard, load.send if flow.sender else _receive, flow)
            if ends:
                nursery.start_soon(_forward, load.sent_all, over)
            await over.wait()
            nursery.cancel_scope.cancel()
        self.ended = trio.current_time() - self.began
        self._close_interval()

    async def _report(self) -> None:
        """Close an interval after another."""
        if not self.every:
            await trio.sleep_forever()
        number = 1
        while True:
            await trio.sleep_until(self.began + number * self.every - SETTLE)
            self._close_interval()
            number += 1

    def _close_interval(self) -> None:
        now = trio.current_time() - self.began
        length = now - self._latest
        moved = any(flow.counts.size > seen.size for flow, seen in zip(self.flows, self._seen, strict=True))
        if length < max(SETTLE * 2, self.every * _SHORTEST) and not moved:
            return
        lines = [self._line(flow, seen, now) for flow, seen in zip(self.flows, self._seen, strict=True)]
        self._seen = [replace(flow.read()) for flow in self.flows]
        self._latest = now
        self.intervals.append(lines)
        self.details.append(list(self._seen))
        for line in lines:
            self.write(interval(line, self.unit))
        if len(lines) > 1:
            self.write(interval(total(lines), self.unit))
            self.write(RULE)

    def _line(self, flow: Flow, seen: Counts, now: float) -> Line:
        counts = flow.read()
        line = Line(flow.number, self._latest, now, counts.size - seen.size, flow.sender)
        if self.parameters.udp:
            packets, errors = counts.packets - seen.packets, counts.errors - seen.errors
            return replace(line, packets=packets, errors=0 if flow.sender else max(0, errors), jitter=counts.jitter)
        if flow.sender:
            return replace(line, retransmits=counts.retransmits - seen.retransmits, window=counts.window)
        return line

    def results(self) -> list[StreamResult]:
        """Return what this side counted of each stream."""
        return [flow.result(self.ended) for flow in self.flows]

    def lines_of(self, results: Sequence[StreamResult], *, sender: bool) -> list[Line]:
        """Make summary lines of one side's results, in the order of the streams."""
        by_identifier = {result.identifier: result for result in results}
        found = []
        for flow in self.flows:
            result = by_identifier.get(flow.identifier, StreamResult(flow.identifier))
            line = Line(flow.number, 0.0, result.end or self.ended, result.size, sender)
            if self.parameters.udp:
                errors, jitter = (0, 0.0) if sender else (result.errors, result.jitter)
                line = replace(line, packets=result.packets, errors=errors, jitter=jitter)
            elif sender and result.retransmits >= 0:
                line = replace(line, retransmits=result.retransmits)
            found.append(line)
        return found

    def summarize(self, sent: Sequence[Line], received: Sequence[Line]) -> None:
        """Write the end: for each stream who sent and who received, whichever is known, then the sums."""
        if len(self.flows) == 1:
            self.write(RULE)
        self.write(header(udp=self.parameters.udp, sender=bool(sent), summary=True))
        sides = [side for side in (sent, received) if side]
        for lines in zip(*sides, strict=True):
            for line in lines:
                self.write(summary(line, self.unit))
        if len(self.flows) > 1:
            for side in sides:
                self.write(summary(total(side), self.unit))


async def _receive(flow: Flow) -> None:
    await flow.receive()


async def _guard(act: Callable[[Flow], Awaitable[None]], flow: Flow) -> None:
    """Let one stream that breaks end alone: the control connection tells how the test goes on."""
    with suppress(trio.BrokenResourceError, OSError):
        await act(flow)


async def _forward(source: trio.Event, target: trio.Event) -> None:
    await source.wait()
    target.set()
