"""The flows page: what goes through all nodes, one row a connection, with NAT before and after."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from emulator.api.ages import human_duration
from emulator.errors import PodwireError
from tui.feed import FLOWS_INTERVAL, Feed, failure_text
from tui.model.cluster import ClusterModel
from tui.model.columns import Column
from tui.model.filter import FIELDS, Filter, parse
from tui.model.flow_row import FlowRow, conntrack_line
from tui.model.text import count
from tui.screens.detail import Ask, Lines
from tui.screens.page import Page

_STYLES = {"FORWARDED": "good", "DROPPED": "bad", "REJECTED": "warning", "REFUSED": "warning"}

MOST_ROWS = 2_000
"""Rows that are brought up to date at one tick, so that keys are answered while thousands of flows come at once."""

HOLD = 2 * FLOWS_INTERVAL
"""Seconds from its start that a far half waits for the near one: each node tells once an interval."""

COLUMNS: tuple[Column[FlowRow], ...] = (
    Column(
        "verdict",
        "VERDICT",
        9,
        lambda row, _: row.verdict,
        lambda row: (row.verdict, row.reason),
        style=lambda row: _STYLES.get(row.verdict, ""),
    ),
    Column("protocol", "PROT", 4, lambda row, _: row.protocol, lambda row: row.protocol, rank=2),
    Column(
        "source", "SOURCE", 16, lambda row, _: row.source, lambda row: row.source, stretch=3, limit=44, is_name=True
    ),
    Column(
        "destination",
        "DESTINATION",
        16,
        lambda row, _: row.destination,
        lambda row: row.destination,
        stretch=3,
        limit=44,
        is_name=True,
    ),
    Column(
        "endpoint",
        "⇒ AFTER NAT",
        18,
        lambda row, _: row.endpoint or (f"✗ {row.reason}" if row.reason else ""),
        lambda row: (row.endpoint, row.reason),
        stretch=3,
        limit=44,
        is_name=True,
        rank=1,
    ),
    Column("nat", "NAT BEFORE ⇒ AFTER", 48, lambda row, _: row.nat, lambda row: row.nat, rank=9, stretch=2, limit=66),
    Column("state", "STATE", 11, lambda row, _: row.state, lambda row: row.state, rank=6),
    Column("packets", "PKTS", 5, lambda row, _: count(row.packets), lambda row: row.packets, right=True, rank=3),
    Column("bytes", "BYTES", 5, lambda row, _: count(row.bytes), lambda row: row.bytes, right=True, rank=5),
    Column(
        "age",
        "AGE",
        5,
        lambda row, now: human_duration(row.age(now)),
        lambda row: -row.first_seen,
        right=True,
        rank=4,
    ),
    Column(
        "node",
        "NODE",
        14,
        lambda row, _: ",".join(row.nodes) + (" (stale)" if row.stale else ""),
        lambda row: row.nodes,
        rank=7,
        stretch=1,
        limit=30,
    ),
)


class FlowsPage(Page[FlowRow]):
    """Live flows, a filter line, and a connection's entries on each node in its details."""

    TITLE_OF_PAGE = "Flows"
    EMPTY = "No flows: nothing was sent yet, or nothing passes the filter."
    DEFAULT_CSS = """
    FlowsPage Input { display: none; height: 1; padding: 0 1; background: $boost; }
    FlowsPage Input, FlowsPage Input:focus { border: none; }
    FlowsPage Input.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("escape", "clear_filter", "Clear", show=False),
    ]

    def __init__(self, model: ClusterModel, feed: Feed) -> None:
        super().__init__(model, feed, COLUMNS, "age")
        self.filter = Filter()

    def compose_below(self) -> ComposeResult:
        """Add the filter line."""
        fields = " ".join(f"{name}:" for name in FIELDS)
        yield Input(placeholder=f"words, or {fields}", select_on_focus=False)

    def wanted_rows(self) -> Sequence[FlowRow]:
        """Return the rows that pass the filter."""
        now = time.time()
        rows = [row for row in self.model.flows.rows(MOST_ROWS) if not row.is_awaited(now, HOLD)]
        return rows if self.filter == Filter() else [row for row in rows if self.filter.matches(row)]

    def marks(self) -> list[str]:
        """Say how many rows there are, and that a filter hides some."""
        text = self.query_one(Input).value.strip()
        marks = [f"filter: {text}"] if text else []
        return [*super().marks(), *marks, f"{len(self.table.rows)} flows"]

    def notice(self, now: float) -> str:
        """Add what is not kept."""
        left_out = self.model.flows.left_out
        notice = super().notice(now)
        if not left_out:
            return notice
        return f"{left_out} more records of nodes are not shown, the limit is reached{'; ' if notice else ''}{notice}"

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return the flow, then what each node told of it."""
        row = self.model.flows.row(key)
        if row is None:
            return None
        nat = row.nat or "none"
        lines = [
            ("verdict", f"{row.verdict} {row.reason}".rstrip()),
            ("NAT", nat),
            ("state", row.state or "-"),
            ("packets", f"{row.packets} both ways, {row.bytes} bytes"),
        ]
        for record in self.model.flows.records(key):
            counters = f"{record.packets} packets there, {record.reply_packets} back"
            fate = f", {record.verdict.name} {record.reason}" if record.reason else ""
            fate += f", {record.dropped} packets ended there" if record.dropped else ""
            lines.append((f"on {record.node}", f"{counters}, namespace {record.netns}{fate}"))
        after = f" ⇒ {row.endpoint}" if row.endpoint else ""
        return f"{row.protocol} {row.source} → {row.destination}{after}", lines

    def extra(self, key: Any) -> Ask | None:
        """Ask each node for its own entry."""
        return partial(self._entries, key)

    async def _entries(self, key: Any) -> Lines:
        lines: Lines = []
        for record in self.model.flows.records(key):
            try:
                entries, note = await self.feed.conntrack(record), "no entry now, as last told:"
            except (OSError, PodwireError) as error:
                entries, note = [], f"no answer ({failure_text(error)}), as last told:"
            lines += [("", ""), ("", f"{record.node} # conntrack -L" + ("" if entries else f"   {note}"))]
            lines += [("", entry) for entry in entries or [conntrack_line(record)]]
        return lines

    # --- the filter line ---

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
        line = self.query_one(Input)
        line.value = ""
        line.remove_class("open")
        self.table.focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter while typing."""
        self.filter = parse(message.value)
        self.update_rows()

    def on_input_submitted(self) -> None:
        """Go back to the table; the filter stays."""
        line = self.query_one(Input)
        line.set_class(bool(line.value.strip()), "open")
        self.table.focus()
