"""A window above a page: a title and text that scrolls; the keys are those of a pager."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from emulator.api.problem import printable


class Window(ModalScreen[bool]):
    """Subclasses call `show` as soon as they are mounted, and as often as they like; True may end them with a wish."""

    DEFAULT_CSS = """
    Window { align: center middle; }
    Window > Vertical { width: 96%; height: 92%; border: round $primary; background: $surface; padding: 0 1; }
    Window #title { text-style: bold; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "close", "Back", key_display="esc"),
        Binding("y", "copy", "Copy"),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("pageup,b", "scroll_page(-1)", "Page up", show=False),
        Binding("pagedown,space", "scroll_page(1)", "Page down", show=False),
        Binding("home,g", "jump(False)", "Top", show=False),
        Binding("end,G", "jump(True)", "Bottom", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._text = Text()

    def compose(self) -> ComposeResult:
        """Lay the window out."""
        with Vertical():
            yield Static(id="title")
            with VerticalScroll():
                yield Static(id="lines")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Scroll from the start, if it was not closed before it was there."""
        self.query(VerticalScroll).focus()

    def update_rows(self) -> None:
        """Draw anew what may have changed; the application's timer calls it."""

    @property
    def is_drawable(self) -> bool:
        """Whether it is not gone, and has its widgets already: a pushed screen is on the stack before it has."""
        return bool(self.is_current and self.query("#title") and self.query("#lines"))

    def show(self, title: str, text: Text) -> None:
        """Show this text."""
        if not self.is_drawable:
            return
        self.query_one("#title", Static).update(Text(printable(title)))
        if text != self._text:
            self._text = text
            self.query_one("#lines", Static).update(text)

    def action_close(self) -> None:
        """Go back to the page, once however often the key was pressed before the window was gone."""
        if self.is_current:
            self.app.pop_screen()

    def action_copy(self) -> None:
        """Put the text into the terminal's clipboard."""
        self.app.copy_to_clipboard(self._text.plain)
        self.notify("copied", timeout=1)

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        for area in self.query(VerticalScroll):
            area.scroll_relative(y=lines, animate=False)

    def action_scroll_page(self, pages: int) -> None:
        """Scroll by what the window holds."""
        for area in self.query(VerticalScroll):
            area.scroll_relative(y=pages * max(1, area.size.height - 1), animate=False)

    def action_jump(self, bottom: bool) -> None:
        """Go to the top or to the bottom."""
        for area in self.query(VerticalScroll):
            (area.scroll_end if bottom else area.scroll_home)(animate=False)
