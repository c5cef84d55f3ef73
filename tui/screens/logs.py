"""The logs of a pod's containers, followed."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable

from rich.text import Text
from textual.containers import VerticalScroll

from emulator.api.messages import LogLine
from emulator.api.problem import printable
from emulator.errors import PodwireError
from tui.feed import failure_text
from tui.screens.window import Window

LINES_KEPT = 1_000


class LogsWindow(Window):
    """Follows a log; stays at its end while it is there."""

    def __init__(self, title: str, follow: Callable[[], AsyncIterator[LogLine]]) -> None:
        super().__init__()
        self._title = title
        self._follow = follow
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._drawn = -1
        self._count = 0

    def on_mount(self) -> None:
        """Begin to follow."""
        self.show(self._title, Text("nothing was written yet"))
        self.run_worker(self._run())

    async def _run(self) -> None:
        try:
            async for line in self._follow():
                name = f"[{line.container}] " if line.container else ""
                self._add(f"{line.time[11:23]} {name}{line.text}")
            self._add("— the container ended —")
        except (OSError, PodwireError) as error:
            self._add(f"— no more: {failure_text(error)} —")

    def _add(self, line: str) -> None:
        self._lines.append(printable(line))
        self._count += 1

    def update_rows(self) -> None:
        """Draw what came since."""
        if self._count in (0, self._drawn) or not self.is_drawable:
            return
        self._drawn = self._count
        area = self.query_one(VerticalScroll)
        is_at_end = area.scroll_offset.y >= area.max_scroll_y - 1
        self.show(self._title, Text("\n".join(self._lines)))
        if is_at_end:
            self.call_after_refresh(area.scroll_end, animate=False)
