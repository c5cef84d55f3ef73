"""A table of any length: only the lines on the screen are drawn, and rows keep their cursor while they move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.model.columns import Column, Placed, R, place
from tui.model.text import fit

HEADER_LINES = 1


class Table(ScrollView, Generic[R], can_focus=True):
    """Rows under a header. Give it rows with `show`; it tells what was chosen and which order is wanted.

    The cursor stays with its row. Until it is moved it stays at the top, so that what is new can be seen.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--cursor",
        "table--good",
        "table--bad",
        "table--warning",
        "table--unanswered",
        "table--stale",
    }
    DEFAULT_CSS = """
    Table {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .table--header { text-style: bold; color: $foreground; background: $panel; }
        & > .table--cursor { text-style: reverse; }
        & > .table--good { color: $text-success; }
        & > .table--bad { color: $text-error; text-style: bold; }
        & > .table--warning { color: $text-warning; text-style: bold; }
        & > .table--unanswered { color: $text-warning; }
        & > .table--stale { color: $text-muted; text-style: italic; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "top", "Top", show=False),
        Binding("end,G", "bottom", "Bottom", show=False),
        Binding("enter", "choose", "Details"),
    ]

    class Chosen(Message):
        """A row was chosen."""

        def __init__(self, key: Any) -> None:
            super().__init__()
            self.key = key

    class OrderWanted(Message):
        """The header of a column was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, columns: Sequence[Column[R]], empty: str) -> None:
        super().__init__()
        self._columns = columns
        self._empty = empty
        self._rows: Sequence[R] = ()
        self._now = 0.0
        self._sorted = ("", False)
        self._cursor: Any = None  # the key of the cursor's row; None: the top
        self._index = 0
        self._base = Style.null()  # of a plain line, looked up once for all lines of a picture
        self._placed: list[Placed[R]] = []
        self._placed_width = -1

    # --- attributes down ---

    def show(self, rows: Sequence[R], now: float, *, sorted_by: str, descending: bool) -> None:
        """Show these rows in this order; `now` is the wall-clock time that ages are counted to."""
        self._rows = rows
        self._now = now
        self._sorted = (sorted_by, descending)
        self._follow_cursor()
        self._resize_content()
        self.refresh()

    def set_columns(self, columns: Sequence[Column[R]]) -> None:
        """Show these columns, as far as they fit."""
        self._columns = columns
        self._placed_width = -1
        self.refresh()

    @property
    def rows(self) -> Sequence[R]:
        """The rows that are shown, in their order."""
        return self._rows

    @property
    def cursor_row(self) -> R | None:
        """The row under the cursor."""
        return self._rows[self._index] if self._rows else None

    @property
    def titles(self) -> list[str]:
        """The titles of the columns that fit."""
        self._place(self.scrollable_content_region.width)
        return [placed.column.title for placed in self._placed]

    def cells(self, row: R) -> dict[str, str]:
        """Return the texts of a row's cells as they are drawn, by column name."""
        self._place(self.scrollable_content_region.width)
        return {placed.column.name: self._cell(placed, row).strip() for placed in self._placed}

    def _follow_cursor(self) -> None:
        if self._cursor is None:
            self._index = 0
            return
        if self._index < len(self._rows) and self._rows[self._index].key == self._cursor:
            return
        for index, row in enumerate(self._rows):
            if row.key == self._cursor:
                self._index = index
                self._keep_visible()
                return
        self._index = max(0, min(self._index, len(self._rows) - 1))
        self._cursor = self._rows[self._index].key if self._rows else None

    def _resize_content(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._rows) + HEADER_LINES)

    def _keep_visible(self) -> None:
        """Scroll so that the cursor's line is seen below the header, which always lies over the first line."""
        region = Region(0, self._index, 1, HEADER_LINES + 1)
        self.scroll_to_region(region, animate=False, force=True)

    # --- drawing ---

    def on_resize(self) -> None:
        """Lay the columns out for the new width."""
        self._resize_content()

    def _place(self, width: int) -> None:
        """Choose the columns that fit; the width changes with the terminal, and when the scrollbar comes or goes."""
        if width != self._placed_width:
            self._placed_width = width
            self._placed = place(self._columns, max(1, width))

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        self._place(width)
        if y == 0 or not self._base:
            self._base = self.rich_style
        if y == 0:
            return self._header(width)
        index = int(self.scroll_offset.y) + y - HEADER_LINES
        if not self._rows and y == 2:
            return Strip([Segment(f"  {fit(self._empty, width - 2)}".ljust(width), self._base)], width)
        if index >= len(self._rows):
            return Strip.blank(width, self._base)
        return self._line(self._rows[index], width, at_cursor=index == self._index)

    def _header(self, width: int) -> Strip:
        style = self.get_component_rich_style("table--header")
        name, descending = self._sorted
        parts = []
        for placed in self._placed:
            title = placed.column.title
            if placed.column.name == name:
                mark = "▼" if descending else "▲"
                title = f"{fit(title, placed.width - 1)}{mark}"
            parts.append(_justified(fit(title, placed.width), placed))
        return Strip([Segment(" ".join(parts), style)]).adjust_cell_length(width, style)

    def _line(self, row: R, width: int, *, at_cursor: bool) -> Strip:
        base = self._base
        if getattr(row, "stale", False):
            base += self.get_component_rich_style("table--stale", partial=True)
        if at_cursor:
            base += self.get_component_rich_style("table--cursor", partial=True)
        segments = []
        for number, placed in enumerate(self._placed):
            if number:
                segments.append(Segment(" ", base))
            segments.append(Segment(self._cell(placed, row), base + self._cell_style(placed.column, row)))
        return Strip(segments).adjust_cell_length(width, base)

    def _cell(self, placed: Placed[R], row: R) -> str:
        column = placed.column
        return _justified(column.shorten(column.cell(row, self._now), placed.width), placed)

    def _cell_style(self, column: Column[R], row: R) -> Style:
        name = column.style(row) if column.style is not None else ""
        return self.get_component_rich_style(f"table--{name}", partial=True) if name else Style.null()

    # --- messages up ---

    def action_move(self, lines: int) -> None:
        """Move the cursor."""
        if self._rows:
            self._index = max(0, min(self._index + lines, len(self._rows) - 1))
            self._cursor = self._rows[self._index].key
            self._keep_visible()
            self.refresh()

    def action_page(self, pages: int) -> None:
        """Move the cursor by what the screen holds."""
        self.action_move(pages * max(1, self.size.height - HEADER_LINES))

    def action_top(self) -> None:
        """Go to the top, and stay there whatever comes."""
        self._index, self._cursor = 0, None
        self.scroll_home(animate=False, force=True)
        self.refresh()

    def action_bottom(self) -> None:
        """Go to the last row."""
        self.action_move(len(self._rows))

    def action_choose(self) -> None:
        """Tell which row is under the cursor."""
        row = self.cursor_row
        if row is not None:
            self.post_message(self.Chosen(row.key))

    def on_click(self, event: events.Click) -> None:
        """Sort by a header, move to a row; a second click chooses it."""
        if event.y == 0:
            for placed in self._placed:
                if placed.left <= event.x < placed.left + placed.width:
                    self.post_message(self.OrderWanted(placed.column.name))
            return
        index = int(self.scroll_offset.y) + event.y - HEADER_LINES
        if index < len(self._rows):
            chosen = index == self._index and event.chain > 1
            self.action_move(index - self._index)
            if chosen:
                self.action_choose()


def _justified(text: str, placed: Placed[Any]) -> str:
    return text.rjust(placed.width) if placed.column.right else text.ljust(placed.width)
