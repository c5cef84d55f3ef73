"""What all pages have: status line, notice, table, filter line, footer; rows are arranged here, drawn by the table."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Generic

from textual import events
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, Input, Static

from emulator.api.ages import human_duration
from tui.feed import Feed
from tui.model.cluster import CONTROLLER, SUPERVISOR, ClusterModel
from tui.model.columns import Column, R, arrange
from tui.model.filter import Filter, Test, parse
from tui.screens.choice import ColumnChoice
from tui.screens.detail import Ask, Detail, Lines
from tui.widgets.status_bar import Notice, Status, StatusBar
from tui.widgets.table import Table

PAGES = ("Flows", "Nodes", "Pods", "Services", "Events")
LEAST_WIDTH = 40
LEAST_HEIGHT = 8
TYPING = 0.1
"""Seconds from a key in the filter line to what it shows."""

MOST_NOTICES = 2
NOTICE_AFTER = 1.0
"""Seconds without an answer before a process is said to be away."""


class Page(Screen[None], Generic[R]):
    """A table over the model. Pages give columns, rows and details; `fields` are what their filter line may ask."""

    DEFAULT_CSS = """
    Page #too-small { display: none; width: 100%; height: 1; }
    Page Input { display: none; height: 1; padding: 0 1; background: $boost; }
    Page Input, Page Input:focus { border: none; }
    Page Input.open { display: block; }
    Page.small { & StatusBar, & Notice, & Table, & Footer, & Input.open { display: none; } }
    Page.small #too-small { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("escape", "clear_filter", "Clear", show=False),
        Binding("s", "next_order(1)", "Sort"),
        Binding("S", "next_order(-1)", "Sort back", show=False),
        Binding("r", "reverse", "Reverse", show=False),
        Binding("p,space", "pause", "Pause", key_display="p"),
        Binding("c", "columns", "Columns", show=False),
        Binding("y", "copy", "Copy", show=False),
    ]
    TITLE_OF_PAGE: ClassVar[str]
    EMPTY: ClassVar[str]

    class FlowsWanted(Message):
        """The flows of what is under the cursor are wanted."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(
        self,
        model: ClusterModel,
        feed: Feed,
        columns: Sequence[Column[R]],
        order: str,
        *,
        fields: Mapping[str, Test[R]] | None = None,
        descending: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.feed = feed
        self.columns = {column.name: column for column in columns}
        self.order = order
        self.descending = descending
        self.paused = False
        self.filter: Filter[R] = Filter()
        self.hidden: frozenset[str] = frozenset()
        self.fields = fields if fields is not None else {name: self._field(name) for name in self.columns}
        self._filtering: Timer | None = None
        self._composed = False  # screens are on the stack before they have widgets
        self.table: Table[R] = Table(columns, self.EMPTY)

    def compose(self) -> ComposeResult:
        """Lay the page out."""
        yield Static(f"Too small: {LEAST_WIDTH}x{LEAST_HEIGHT} is needed", id="too-small")
        yield StatusBar()
        yield Notice()
        yield self.table
        yield Input(placeholder=" ".join(("words", *(f"{name}:" for name in self.fields))), select_on_focus=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start with what is known."""
        self._composed = True
        self.table.focus()
        self.update_rows()

    def on_screen_resume(self) -> None:
        """Show what came while another page was seen."""
        self.update_rows()

    def on_resize(self) -> None:
        """Say so where the terminal is too small for a table."""
        self.set_class(self.size.width < LEAST_WIDTH or self.size.height < LEAST_HEIGHT, "small")

    # --- attributes down ---

    def update_rows(self) -> None:
        """Take the model's rows, unless paused."""
        if not self._composed or not self.is_attached:
            return
        now = time.time()
        if not self.paused:
            self.model.refresh_names()
            wanted = self.wanted_rows()
            if self.filter.terms:
                wanted = [row for row in wanted if self.filter.matches(row, self.has_word, self.fields)]
            rows = arrange(wanted, self.columns[self.order], now, descending=self.descending)
            self.table.show(rows, now, sorted_by=self.order, descending=self.descending)
        for bar in self.query(StatusBar):  # none where the screen is being taken down
            bar.status = Status(self.TITLE_OF_PAGE, PAGES, self.model.name, tuple(self.marks()))
        for notice in self.query(Notice):
            notice.text = self.notice(now)

    def wanted_rows(self) -> Sequence[R]:
        """Return the rows that are to be seen, whatever the filter."""
        raise NotImplementedError

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return title and (name, value) lines of a row; None if it is gone."""
        raise NotImplementedError

    def has_word(self, row: R, value: str) -> bool:
        """Whether a word of the filter is found anywhere in a row."""
        return any(test(row, value) for test in self.fields.values())

    def line(self, row: R) -> str:
        """Return a row as one line, for the clipboard."""
        now = time.time()
        return "  ".join(column.cell(row, now) for column in self.columns.values())

    def marks(self) -> list[str]:
        """Return the words at the right of the status line."""
        text = self.query_one(Input).value.strip()
        shown = f"{len(self.table.rows)} {self.TITLE_OF_PAGE.lower()}"
        return [*(["PAUSED"] if self.paused else []), *([f"filter: {text}"] if text else []), shown]

    def notice(self, now: float) -> str:
        """Return what is wrong, in one line."""
        away = {name: link for name, link in self.model.links.lost() if now - link.since >= NOTICE_AFTER}
        if CONTROLLER in away and SUPERVISOR in away:
            return "the cluster does not run: all is as last seen, and goes on when it is started again"
        parts = []
        for name, link in away.items():
            stale = "names and pods as last told" if name == CONTROLLER else "as last seen"
            parts.append(f"{name} away for {human_duration(now - link.since)} ({link.reason}): {stale}")
        if len(parts) > MOST_NOTICES:
            return f"{len(parts)} processes away, what they told is as last seen: {', '.join(away)}"
        return "; ".join(parts)

    def _field(self, name: str) -> Test[R]:
        column = self.columns[name]
        return lambda row, value: value in column.cell(row, time.time()).lower()

    # --- what the user wants ---

    def action_next_order(self, step: int) -> None:
        """Sort by the next column that is shown."""
        shown = [name for name, column in self.columns.items() if column.title in self.table.titles]
        position = shown.index(self.order) if self.order in shown else -max(step, 0)
        self.order = shown[(position + step) % len(shown)]
        self.descending = False
        self.update_rows()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.descending = not self.descending
        self.update_rows()

    def action_pause(self) -> None:
        """Hold the picture, or let it go on."""
        self.paused = not self.paused
        if self.paused:  # rows are updated in place, so the picture needs its own
            rows = [copy(row) for row in self.table.rows]
            self.table.show(rows, time.time(), sorted_by=self.order, descending=self.descending)
        self.update_rows()

    def action_columns(self) -> None:
        """Let the user choose columns."""

        def chosen(hidden: frozenset[str] | None) -> None:
            self.hidden = hidden or frozenset()
            self.table.set_columns([column for name, column in self.columns.items() if name not in self.hidden])

        titles = [(name, column.title) for name, column in self.columns.items()]
        self.app.push_screen(ColumnChoice(titles, self.hidden), chosen)

    def action_copy(self) -> None:
        """Put the row under the cursor into the terminal's clipboard."""
        row = self.table.cursor_row
        if row is not None:
            self.app.copy_to_clipboard(self.line(row))
            self.notify("copied", timeout=1)

    def on_table_order_wanted(self, message: Table.OrderWanted) -> None:
        """Sort by the column that was clicked; the other way round at the second click."""
        self.descending = not self.descending if self.order == message.column else False
        self.order = message.column
        self.update_rows()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        """Open a row's details; a second Enter that came before they were there opens no second window."""
        if self.is_current:
            self.open_details(message.key)

    def open_details(self, key: Any) -> None:
        """Open the window of a row."""
        self.app.push_screen(Detail(lambda: self.details(key), self.extra(key)))

    def extra(self, _key: Any) -> Ask | None:
        """Return what asks for the lines that the model does not have, or None."""
        return None

    # --- the filter line ---

    def set_filter(self, text: str) -> None:
        """Show what passes this filter."""
        line = self.query_one(Input)
        line.value = text
        line.set_class(bool(text), "open")
        self.table.focus()

    def action_filter(self) -> None:
        """Open the filter line. Its focus is set before the next key is looked at: keys may come many at once."""
        line = self.query_one(Input)
        if self.focused is line:
            raise SkipAction  # a slash in the filter
        line.add_class("open")
        self.set_focus(line)

    def on_paste(self, event: events.Paste) -> None:
        """Take a pasted `/filter`, with or without its Enter."""
        if event.text.startswith("/"):
            self.action_filter()
            text, enter, _ = event.text[1:].replace("\r", "\n").partition("\n")
            self.query_one(Input).value = text
            if enter:
                self.table.focus()

    def action_clear_filter(self) -> None:
        """Show all again."""
        self.set_filter("")

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter while typing; keys that come quickly are looked at together, since there may be thousands of rows."""
        self.filter = parse(message.value, self.fields)
        if self._filtering is None:
            self._filtering = self.set_timer(TYPING, self._filter_rows)

    def _filter_rows(self) -> None:
        self._filtering = None
        self.update_rows()

    def on_input_submitted(self) -> None:
        """Go back to the table; the filter stays."""
        self.set_filter(self.query_one(Input).value.strip())
