"""All about one row, in a window above its page; it goes on changing while it is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rich.text import Text

from emulator.api.problem import printable
from tui.screens.window import Window

Lines = list[tuple[str, str]]
Read = Callable[[], "tuple[str, Lines] | None"]
Ask = Callable[[], Awaitable[Lines]]

ASK_INTERVAL = 2.0


class Detail(Window):
    """A title and lines of name and value. `read` is asked at each tick, `ask` more rarely, since others answer it."""

    def __init__(self, read: Read, ask: Ask | None = None) -> None:
        super().__init__()
        self._read = read
        self._ask = ask
        self._asked: Lines = []
        self._last: tuple[str, Lines] = ("", [])

    def on_mount(self) -> None:
        """Show what is known, and ask for the rest."""
        self.update_rows()
        if self._ask is not None:
            self._begin_asking()
            self.set_interval(ASK_INTERVAL, self._begin_asking)

    def update_rows(self) -> None:
        """Draw the lines as they are now; those of a row that is gone stay, and it is said."""
        if not self.is_drawable:
            return
        found = self._read()
        title = (found or self._last)[0]
        if found is not None:
            self._last = found
        else:
            title += "  (ended)"
        self.show(title, aligned(self._last[1] + self._asked))

    def _begin_asking(self) -> None:
        self.run_worker(self._ask_once(), exclusive=True)

    async def _ask_once(self) -> None:
        if self._ask is not None and self._read() is not None:
            self._asked = await self._ask()
            self.update_rows()


def aligned(lines: Lines) -> Text:
    """Set names in one column. Values are plain text: nothing in them is markup."""
    width = max((len(name) for name, _ in lines if name), default=0)
    text = Text()
    for name, value in lines:
        text.append(printable(name).ljust(width), "bold")
        text.append(f"  {printable(value)}\n" if name else f"{printable(value)}\n")
    return text
