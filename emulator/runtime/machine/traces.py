"""The steps that traced packets left on one machine, kept for whoever asks for them, before or after they happen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable

import trio

from emulator.api.messages import TraceStep
from emulator.kernel.trace import Step, StepKind

TRACES = 64
STEPS = 4_096
"""Of one trace: a packet in a loop must not fill the memory."""
MISSES = 32_768
"""So many more where rules that do not match have a step each."""


class _Recorded:
    def __init__(self) -> None:
        self.steps: list[TraceStep] = []
        self.misses = 0
        self.changed = trio.Event()

    def wake(self) -> None:
        """Let all who follow the trace look again."""
        self.changed.set()
        self.changed = trio.Event()


class TraceBoard:
    """The latest traces, by identity."""

    def __init__(self) -> None:
        self._traces: OrderedDict[int, _Recorded] = OrderedDict()

    def record(self, steps: Iterable[Step]) -> None:
        """Keep steps, and tell those who wait for them."""
        for step in steps:
            recorded = self._recorded(step.trace)
            if step.kind is StepKind.CONSIDERED:
                recorded.misses += 1
                if recorded.misses > MISSES:
                    continue
            if len(recorded.steps) - min(recorded.misses, MISSES) < STEPS:
                recorded.steps.append(_message(step))
                recorded.wake()

    def recorded(self, identity: int) -> list[TraceStep]:
        """Return the steps that a trace has left so far."""
        recorded = self._traces.get(identity)
        return [] if recorded is None else [*recorded.steps]

    async def collect(self, identity: int) -> AsyncGenerator[TraceStep, None]:
        """Yield the steps of a trace, those that were and those that come, until cancelled."""
        recorded = self._recorded(identity)
        sent = 0
        while True:
            while sent < len(recorded.steps):
                sent += 1
                yield recorded.steps[sent - 1]
            await recorded.changed.wait()

    def _recorded(self, identity: int) -> _Recorded:
        recorded = self._traces.get(identity)
        if recorded is None:
            recorded = self._traces[identity] = _Recorded()
            if len(self._traces) > TRACES:
                self._traces.popitem(last=False)
        return recorded


def _message(step: Step) -> TraceStep:
    return TraceStep(
        trace=step.trace,
        number=step.number,
        time=step.time,
        machine=step.machine,
        netns=step.netns,
        kind=step.kind.value,
        packet=step.packet,
        detail=step.detail,
    )
