"""The line at the top: which page this is, which cluster, what does not answer."""

from __future__ import annotations

from msgspec import Struct
from rich.text import Text
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

    def render(self) -> Text:
        """Draw the line; what does not fit is left out from the right."""
        tabs = Text()
        for number, page in enumerate(self.status.pages, 1):
            current = page == self.status.page
            tabs.append(f"[{number} {page}]" if current else f" {number} {page} ", "bold reverse" if current else "")
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
