"""Where traffic runs: who hears how it goes, and who ends it early. A script that makes a load does not know."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import trio
from msgspec import Struct, field


class Progress(Struct, frozen=True):
    """How a load goes: since its start, and over the last interval. `latency_ms` is the interval's p99."""

    elapsed: float
    duration: float
    sent: int
    failed: int
    rate: float
    latency_ms: float

    def __str__(self) -> str:
        return (
            f"{self.elapsed:4.0f}/{self.duration:.0f} s   {self.rate:6.0f} answered/s   {self.sent} sent   "
            f"{self.failed} failed   p99 {self.latency_ms:.1f} ms"
        )


class Surroundings(Struct):
    """`on_progress` hears twice a second, `on_step` what is done before and after.

    `stop`, when it is set, ends loads with what there is until then; `running`: how many of them run.
    """

    on_progress: Callable[[Progress], None] | None = None
    on_step: Callable[[str], None] | None = None
    stop: trio.Event = field(default_factory=trio.Event)
    running: int = 0

    def say(self, text: str) -> None:
        """Tell what is done beside the traffic."""
        if self.on_step is not None:
            self.on_step(text)


surroundings: ContextVar[Surroundings | None] = ContextVar("surroundings", default=None)
"""Those of this context."""
