"""The trace of one packet on a flow's way: every hop, chain and rewrite, as `emulator trace` prints them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rich.text import Text

from emulator.api.trace.text import Line, Style
from emulator.errors import PodwireError
from tui.feed import failure_text
from tui.screens.window import Window

Send = Callable[[], Awaitable[tuple[Sequence[Line], list[str]]]]

_SPACED = frozenset({Style.LEG, Style.GOOD, Style.BAD})
"""Lines with an empty one above."""

_STYLES = {
    Style.LEG: "bold cyan",
    Style.MACHINE: "bold",
    Style.NETNS: "blue",
    Style.REWRITE: "yellow",
    Style.CROSSING: "cyan",
    Style.DELIVERY: "green",
    Style.DROP: "red",
    Style.GOOD: "bold green",
    Style.BAD: "bold red",
}


class TraceWindow(Window):
    """Sends a packet as it opens. `send` returns the lines, and what could not be had."""

    def __init__(self, title: str, send: Send) -> None:
        super().__init__()
        self._title = title
        self._send = send

    def on_mount(self) -> None:
        """Send the packet."""
        self.show(self._title, Text("on its way …"))
        self.run_worker(self._run())

    async def _run(self) -> None:
        try:
            lines, missing = await self._send()
        except (OSError, PodwireError) as error:
            self.show(self._title, Text(f"not sent: {failure_text(error)}", "bold red"))
            return
        text = Text()
        for note in missing:
            text.append(f"note: {note}\n", "yellow")
        for line in lines:
            text.append("\n" if line.style in _SPACED and text else "")
            text.append(f"{line}\n", _STYLES.get(line.style, ""))
        self.show(self._title, text)
