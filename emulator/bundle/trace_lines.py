"""The steps of one packet through the node, as lines for people: the same renderer as `emulator trace` has."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.api.messages import TraceStep
from emulator.api.trace_text import Names, render

if TYPE_CHECKING:
    from emulator.kernel.trace import Step

_NO_NAMES = Names(MappingProxyType({}), MappingProxyType({}))


def trace_lines(steps: Sequence[Step]) -> list[str]:
    """Return a line for each step."""
    told = [
        TraceStep(
            trace=step.trace,
            number=step.number,
            time=step.time,
            machine=step.machine,
            netns=step.netns,
            kind=step.kind.value,
            packet=step.packet,
            detail=step.detail,
        )
        for step in steps
    ]
    return [str(line) for line in render(told, _NO_NAMES, verbose=True)]
