"""All about one row, in a window above its page; it goes on changing while it is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from emulator.api.problem import printable

Lines = list[tuple[str, str]]
Read = Callable[[], "tuple[str, Lines] | None"]
Ask = Callable[[], Awaitable[Lines]]

ASK_INTERVAL = 2.0


class Detail(ModalScreen[None]):
    """A title and lines of name and value. `read` is asked at each tick, `ask` more rarely, since others answer it."""

    DEFAULT_CSS = """
    Detail { align: center middle; }
    Detail > Vertical { width: 96%; height: 92%; border: round $primary; background: $surface; padding: 0 1; }
    Detail #title { text-style: bold; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "close", "Back", key_display="esc"),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
    ]

    def __init__(self, read: Read, ask: Ask | None) -> None:
        super().__init__()
        self._read = read
        self._ask = ask
        self._asked: Lines = []
        self._last: tuple[str, Lines] = ("", [])
        self._composed = False  # pushed screens are on the stack before they have widgets

    def compose(self) -> ComposeResult:
        """Lay the window out."""
        with Vertical():
            yield Static(id="title")
            with VerticalScroll():
                yield Static(id="lines")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show what is known, and ask for the rest."""
        self._composed = True
        self.query(VerticalScroll).focus()
        self.update_rows()
        if self._ask is not None:
            self._begin_asking()
            self.set_interval(ASK_INTERVAL, self._begin_asking)

    def update_rows(self) -> None:
        """Draw the lines as they are now; those of a row that is gone stay, and it is said."""
        if not (self._composed and self.is_current and self.query("#title") and self.query("#lines")):
            return
        found = self._read()
        title = (found or self._last)[0]
        if found is not None:
            self._last = found
        else:
            title += "  (ended)"
        self.query_one("#title", Static).update(Text(printable(title)))
        self.query_one("#lines", Static).update(_text(self._last[1] + self._asked))

    def _begin_asking(self) -> None:
        self.run_worker(self._ask_once(), exclusive=True)

    async def _ask_once(self) -> None:
        if self._ask is not None and self._read() is not None:
            self._asked = await self._ask()
            self.update_rows()

    def action_close(self) -> None:
        """Go back to the page, once however often the key was pressed before the window was gone."""
        if self.is_current:
            self.app.pop_screen()

    def action_scroll(self, lines: int) -> None:
        """Scroll."""
        for area in self.query(VerticalScroll):
            area.scroll_relative(y=lines, animate=False)


def _text(lines: Lines) -> Text:
    """Set names in one column. Values are plain text: nothing in them is markup."""
    width = max((len(name) for name, _ in lines if name), default=0)
    text = Text()
    for name, value in lines:
        text.append(printable(name).ljust(width), "bold")
        text.append(f"  {printable(value)}\n" if name else f"{printable(value)}\n")
    return text
