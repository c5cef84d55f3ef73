"""The steps of one packet through the node, as lines for people: the same renderer as `emulator trace` has."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.api.messages import TraceStep
from emulator.api.trace.text import Names, Style, render

if TYPE_CHECKING:
    from emulator.kernel.trace import Step

_NO_NAMES = Names(MappingProxyType({}), MappingProxyType({}))
_OF_MANY_MACHINES = frozenset({Style.MACHINE, Style.NETNS})  # there is one here


def trace_lines(steps: Iterable[Step], *, unfolded: bool = False) -> list[str]:
    """Return a line for each step; rules that did not match for one reason are one line, unless `unfolded`."""
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
    lines = render(told, _NO_NAMES, verbose=True, unfolded=unfolded)
    return [_line(line.style, line.text) for line in lines if line.style not in _OF_MANY_MACHINES]


def _line(style: Style, text: str) -> str:
    """Indent a line; a packet that sets out here is one that the node makes, not a request."""
    if style is Style.LEG:
        return f"{'':10}── the node sends: {text.partition(': ')[2]}"
    return f"{'':6}{text}"
