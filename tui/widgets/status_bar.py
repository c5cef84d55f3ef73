"""The line at the top: which page this is, which cluster, what does not answer."""

from __future__ import annotations

from msgspec import Struct
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from emulator.api.problem import printable
from tui.model.text import fit


class Status(Struct, frozen=True):
    """What the line tells; `marks` are short words such as PAUSED."""

    page: str = ""
    pages: tuple[str, ...] = ()
    cluster: str = ""
    marks: tuple[str, ...] = ()


class StatusBar(Widget):
    """The pages, the current one in brackets, and what is worth knowing of all."""

    DEFAULT_CSS = """
    StatusBar { height: 1; background: $primary-background; color: $foreground; }
    """

    status: reactive[Status] = reactive(Status(), always_update=False)

    class PageWanted(Message):
        """A page was clicked."""

        def __init__(self, page: str) -> None:
            super().__init__()
            self.page = page

    def _tabs(self) -> list[str]:
        pages = enumerate(self.status.pages, 1)
        return [f"[{n} {page}]" if page == self.status.page else f" {n} {page} " for n, page in pages]

    def on_click(self, event: events.Click) -> None:
        """Tell which page was clicked."""
        end = 0
        for page, tab in zip(self.status.pages, self._tabs(), strict=True):
            end += len(tab)
            if event.x < end:
                self.post_message(self.PageWanted(page))
                return

    def render(self) -> Text:
        """Draw the line; what does not fit is left out from the right."""
        tabs = Text()
        for tab in self._tabs():
            tabs.append(tab, "bold reverse" if tab.startswith("[") else "")
        width = self.size.width
        right = fit("  ".join((printable(self.status.cluster), *self.status.marks)), max(0, width - len(tabs) - 2))
        tabs.append(right.rjust(max(0, width - len(tabs) - 1)))
        tabs.truncate(width)
        return tabs


class Notice(Widget):
    """One line for what is wrong, only there while something is."""

    DEFAULT_CSS = """
    Notice { height: 1; background: $warning-muted; color: $text-warning; display: none; }
    """

    text: reactive[str] = reactive("")

    def watch_text(self, text: str) -> None:
        """Show the line while it has something to say."""
        self.display = bool(text)

    def render(self) -> Text:
        """Draw the line."""
        return Text(fit(f"! {self.text}", self.size.width), no_wrap=True)
