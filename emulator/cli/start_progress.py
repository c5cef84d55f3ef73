"""What `emulator start` says while a cluster comes up, and while it runs: short lines, wherever they go."""

from __future__ import annotations

import time
from collections.abc import Callable

from emulator.runtime.supervisor.readiness import Progress
from emulator.runtime.supervisor.supervisor import Restarted

FIRST = 1.0
"""Seconds after which a start that is not through is told of."""

INTERVAL = 0.5
"""Seconds between two lines, at least."""

_EXPLAIN_AFTER = 5.0


class Narrator:
    """Hears what the supervisor reports, and gives lines to `say`.

    `when_ready` is called once, when all is ready for the first time.
    """

    def __init__(self, say: Callable[[str], None], when_ready: Callable[[], None]) -> None:
        self.was_ready = False
        self._say = say
        self._when_ready = when_ready
        self._began = time.monotonic()
        self._last = self._began + FIRST - INTERVAL

    def begin(self, name: str, nodes: int, objects: int) -> None:
        """Say what is started."""
        self._say(f'starting cluster "{name}": a controller, {count(nodes, "node")}, {count(objects, "object")}')

    def report(self, event: Progress | Restarted) -> None:
        """Tell of an event, in a line at most."""
        if isinstance(event, Restarted):
            self._say(f"{event.name} ended ({event.reason}) and is started again")
            return
        if event.ready:
            self._ready(event)
            return
        now = time.monotonic()
        if now - self._last >= INTERVAL:
            self._last = now
            self._say(progress_line(event, explain=now - self._began >= _EXPLAIN_AFTER))

    def _ready(self, event: Progress) -> None:
        if self.was_ready:
            return
        self.was_ready = True
        seconds = time.monotonic() - self._began
        self._say(f"ready after {seconds:.1f} s: {count(event.nodes, 'node')}, {count(event.pods, 'pod')}")
        self._when_ready()


def progress_line(progress: Progress, *, explain: bool) -> str:
    """Return `nodes 3/3, pods 2/5 ready`; `explain` adds what is waited for first."""
    counts = f"nodes {progress.ready_nodes}/{progress.nodes}, pods {progress.ready_pods}/{progress.pods} ready"
    if not explain:
        return f"{counts} …"
    more = len(progress.waiting_for) - 1
    return f"{counts}; waiting for {progress.waiting_for[0]}" + (f" and {more} more" if more > 0 else "")


def count(number: int, noun: str) -> str:
    """Return `1 node`, `3 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
