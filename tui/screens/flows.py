"""The flows page: what goes through all nodes, one row a connection, with NAT before and after."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from emulator.api.ages import human_duration
from emulator.api.trace.text import counted
from emulator.errors import PodwireError
from tui.feed import Feed, failure_text
from tui.model.cluster import ClusterModel
from tui.model.columns import Column
from tui.model.flow_filter import FIELDS, word
from tui.model.flow_row import INTERVAL, FlowRow, conntrack_line, flow_line, nat_of
from tui.model.text import count, fit_name, rate
from tui.model.trace import TraceRequest, trace_lines, trace_request
from tui.screens.detail import Ask, Detail, Lines
from tui.screens.page import Page
from tui.screens.trace import TraceWindow

_STYLES = {"FORWARDED": "good", "DROPPED": "bad", "REJECTED": "warning", "REFUSED": "warning"}

MOST_ROWS = 2_000
"""Rows that are brought up to date at one tick, so that keys are answered while thousands of flows come at once."""

HOLD = 2 * INTERVAL
"""Seconds from its start that a far half waits for the near one: each node tells once an interval."""


def _end(row: FlowRow, _now: float) -> str:
    """Where NAT leads it; ✗ before where, or why, it did not go on."""
    if not row.reason:
        return row.endpoint
    return f"✗ {row.endpoint or row.reason}"


def _shorten_end(text: str, width: int) -> str:
    mark = "✗ " if text.startswith("✗ ") else ""
    return mark[:width] + fit_name(text.removeprefix(mark), max(0, width - len(mark)))


def _verdict_style(row: FlowRow) -> str:
    return "unanswered" if row.verdict == "FORWARDED" and not row.is_answered else _STYLES.get(row.verdict, "")


COLUMNS: tuple[Column[FlowRow], ...] = (
    Column("verdict", "VERDICT", 9, lambda row, _: row.verdict, style=_verdict_style),
    Column("protocol", "PROT", 4, lambda row, _: row.protocol, rank=2),
    Column("source", "SOURCE", 16, lambda row, _: row.source, stretch=3, limit=44, shorten=fit_name),
    Column("destination", "DESTINATION", 16, lambda row, _: row.destination, stretch=3, limit=44, shorten=fit_name),
    Column("endpoint", "⇒ AFTER NAT", 18, _end, stretch=3, limit=44, shorten=_shorten_end, rank=1),
    Column("nat", "NAT BEFORE ⇒ AFTER", 48, lambda row, _: row.nat, rank=10, stretch=2, limit=66),
    Column(
        "state",
        "STATE, REASON",
        13,
        lambda row, _: row.reason or row.state,
        rank=6,
        stretch=1,
        limit=20,
        style=_verdict_style,
    ),
    Column("packets", "PKTS", 5, lambda row, _: row.packets, count, right=True, rank=3),
    Column("rate", "PKT/S", 5, lambda row, now: row.rate(now), rate, right=True, rank=5),
    Column("bytes", "BYTES", 5, lambda row, _: row.bytes, count, right=True, rank=8),
    Column("octet_rate", "B/S", 5, lambda row, now: round(row.octet_rate(now)), count, right=True, rank=9),
    Column(
        "age", "AGE", 5, lambda row, now: row.age(now), human_duration, lambda row: -row.first_seen, right=True, rank=4
    ),
    Column(
        "node",
        "NODE",
        14,
        lambda row, _: ",".join(row.nodes) + (" (stale)" if row.stale else ""),
        rank=7,
        stretch=1,
        limit=30,
    ),
)  # fmt: skip


class FlowDetail(Detail):
    """A flow's details, from which its trace can be asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "trace", "Trace")]

    def action_trace(self) -> None:
        """Leave, for the page to trace the flow."""
        if self.is_current:
            self.dismiss(True)


class FlowsPage(Page[FlowRow]):
    """Live flows; a connection's entries on each node in its details, and its trace."""

    TITLE_OF_PAGE = "Flows"
    EMPTY = "No flows: nothing was sent yet, or nothing passes the filter."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "trace", "Trace"),
        Binding("f", "follow", "Follow", show=False),
    ]

    def __init__(self, model: ClusterModel, feed: Feed) -> None:
        super().__init__(model, feed, COLUMNS, "age", fields=FIELDS)

    def wanted_rows(self) -> Sequence[FlowRow]:
        """Return the flows, but for far halves that are too young."""
        now = time.time()
        return [row for row in self.model.flows.rows(MOST_ROWS) if not row.is_awaited(now, HOLD)]

    def has_word(self, row: FlowRow, value: str) -> bool:
        """Look at names, addresses, verdict, reason and state."""
        return word(row, value)

    def line(self, row: FlowRow) -> str:
        """Return a flow as `hubble observe` would print it, with its NAT."""
        return flow_line(row)

    def notice(self, now: float) -> str:
        """Add what is not kept."""
        left_out = self.model.flows.left_out
        notice = super().notice(now)
        if not left_out:
            return notice
        return f"{left_out} more records of nodes are not shown, the limit is reached{'; ' if notice else ''}{notice}"

    def action_follow(self) -> None:
        """Show the newest first, and stay at the top."""
        self.order, self.descending = "age", False
        self.table.action_top()
        self.update_rows()

    # --- details ---

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return the flow, then what each node told of it."""
        row = self.model.flows.row(key)
        if row is None:
            return None
        now, records = time.time(), self.model.flows.records(key)
        reason = next((f"{each.reason}: {each.explanation}" for each in records if each.reason == row.reason), "")
        lines = [
            ("verdict", f"{row.verdict} {reason}".rstrip()),
            ("NAT", row.nat or "none"),
            ("state", row.state or "-"),
            ("packets", f"{row.packets} both ways, {row.bytes} bytes; now {rate(row.rate(now))} a second"),
            ("age", human_duration(row.age(now))),
        ]
        for record in records:
            counters = f"{counted(record.packets, 'packet')} there, {record.reply_packets} back"
            fate = f", {record.verdict.name} {record.reason}" if record.reason else ""
            fate += f", {record.dropped} dropped here" if record.dropped else ""
            lines.append((f"on {record.node}", f"{counters}, namespace {record.netns}{fate}"))
            lines += [("  NAT", nat)] if (nat := nat_of(record)) else []
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

    def open_details(self, key: Any) -> None:
        """Open a flow's details; they may end with the wish to trace it."""

        def closed(wants_trace: bool | None) -> None:
            if wants_trace:
                self._trace(key)

        self.app.push_screen(FlowDetail(lambda: self.details(key), self.extra(key)), closed)

    # --- traces ---

    def action_trace(self) -> None:
        """Send a packet on the way of the flow under the cursor, and show what becomes of it."""
        if self.table.cursor_row is not None:
            self._trace(self.table.cursor_row.key)

    def _trace(self, key: Any) -> None:
        row = self.model.flows.row(key)
        if row is None:
            self.notify("the flow has ended", severity="warning", timeout=3)
            return
        request = trace_request(row, self.model.names.of(row.before[1]), int.from_bytes(os.urandom(7), "big"))
        if isinstance(request, str):
            self.notify(request, severity="warning", timeout=5, markup=False)
            return
        self.app.push_screen(TraceWindow(request.title, partial(self._send, request)))

    async def _send(self, request: TraceRequest) -> tuple[Sequence[Any], list[str]]:
        result, steps, missing = await self.feed.trace(request)
        params = request.params
        hint = self.model.port_hint(result.address, params.protocol, params.port)
        return trace_lines(result, steps, self.model.trace_names(), hint), missing
