"""What all pages have: status line, notice, table, footer; rows are arranged here and drawn by the table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar, Generic

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Static

from emulator.api.ages import human_duration
from tui.feed import Feed
from tui.model.cluster import CONTROLLER, ClusterModel
from tui.model.columns import Column, R, arrange
from tui.screens.detail import Ask, Detail
from tui.widgets.status_bar import Notice, Status, StatusBar
from tui.widgets.table import Table

PAGES = ("Flows", "Nodes", "Pods", "Services")
LEAST_WIDTH = 40
LEAST_HEIGHT = 8
NOTICE_AFTER = 1.0
"""Seconds without an answer before a process is said to be away."""


class Page(Screen[None], Generic[R]):
    """A table over the model. Pages give columns, rows and details."""

    DEFAULT_CSS = """
    Page #too-small { display: none; width: 100%; height: 1; }
    Page.small { & StatusBar, & Notice, & Table, & Footer, & Input { display: none; } }
    Page.small #too-small { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "next_order", "Sort"),
        Binding("r", "reverse", "Reverse"),
        Binding("p,space", "pause", "Pause", key_display="p"),
    ]
    TITLE_OF_PAGE: ClassVar[str]
    EMPTY: ClassVar[str]

    def __init__(self, model: ClusterModel, feed: Feed, columns: Sequence[Column[R]], order: str) -> None:
        super().__init__()
        self.model = model
        self.feed = feed
        self.columns = {column.name: column for column in columns}
        self.order = order
        self.descending = False
        self.paused = False
        self._composed = False  # screens are on the stack before they have widgets
        self.table: Table[R] = Table(columns, self.EMPTY)

    def compose(self) -> ComposeResult:
        """Lay the page out."""
        yield Static(f"Too small: {LEAST_WIDTH}x{LEAST_HEIGHT} is needed", id="too-small")
        yield StatusBar()
        yield Notice()
        yield self.table
        yield from self.compose_below()
        yield Footer(show_command_palette=False)

    def compose_below(self) -> ComposeResult:
        """Add what stands between the table and the footer."""
        yield from ()

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
            rows = arrange(self.wanted_rows(), self.columns[self.order], descending=self.descending)
            self.table.show(rows, now, sorted_by=self.order, descending=self.descending)
        self.query_one(StatusBar).status = Status(self.TITLE_OF_PAGE, PAGES, self.model.name, tuple(self.marks()))
        self.query_one(Notice).text = self.notice(now)

    def wanted_rows(self) -> Sequence[R]:
        """Return the rows that are to be seen."""
        raise NotImplementedError

    def details(self, key: Any) -> tuple[str, list[tuple[str, str]]] | None:
        """Return title and (name, value) lines of a row; None if it is gone."""
        raise NotImplementedError

    def marks(self) -> list[str]:
        """Return the words at the right of the status line."""
        return ["PAUSED"] if self.paused else []

    def notice(self, now: float) -> str:
        """Return what is wrong, in one line."""
        away = []
        for name, link in self.model.links.lost():
            seconds = now - link.since
            if seconds >= NOTICE_AFTER:
                stale = "names and pods as last told" if name == CONTROLLER else "as last seen"
                away.append(f"{name} away for {human_duration(seconds)} ({link.reason}): {stale}")
        return "; ".join(away)

    # --- what the user wants ---

    def action_next_order(self) -> None:
        """Sort by the next column that is shown."""
        shown = [name for name, column in self.columns.items() if column.title in self.table.titles]
        position = shown.index(self.order) if self.order in shown else -1
        self.order = shown[(position + 1) % len(shown)]
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

    def on_table_order_wanted(self, message: Table.OrderWanted) -> None:
        """Sort by the column that was clicked; the other way round at the second click."""
        self.descending = not self.descending if self.order == message.column else False
        self.order = message.column
        self.update_rows()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        """Open a row's details; a second Enter that came before they were there opens no second window."""
        if not self.is_current:
            return
        key = message.key
        self.app.push_screen(Detail(lambda: self.details(key), self.extra(key)))

    def extra(self, _key: Any) -> Ask | None:
        """Return what asks for the lines that the model does not have, or None."""
        return None
