"""The nodes page: state, addresses, pods, flows, what crosses the underlay, what was lost, restarts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from tui.feed import Feed
from tui.model.cluster import ClusterModel
from tui.model.columns import Column
from tui.model.nodes import NodeRow, details
from tui.model.rates import sparkline
from tui.model.text import count, rate
from tui.screens.detail import Lines
from tui.screens.page import Page

SPARKS = 30


def _number(value: int | None) -> str:
    return "?" if value is None else count(value)


def _rate(value: float | None) -> str:
    return "?" if value is None else rate(value)


COLUMNS: tuple[Column[NodeRow], ...] = (
    Column("name", "NAME", 12, lambda row, _: row.key, stretch=2, limit=40),
    Column(
        "state",
        "STATE",
        8,
        lambda row, _: row.state,
        stretch=1,
        limit=30,
        style=lambda row: "good" if row.state == "Ready" else "bad",
    ),
    Column("address", "ADDRESS", 13, lambda row, _: row.address, limit=15, stretch=1, rank=4),
    Column("pod_cidr", "POD CIDR", 14, lambda row, _: row.pod_cidr, limit=18, stretch=1, rank=7),
    Column("zone", "ZONE", 10, lambda row, _: row.zone, rank=8, stretch=1, limit=20),
    Column("pods", "PODS", 4, lambda row, _: row.pods, right=True),
    Column("flows", "FLOWS", 5, lambda row, _: row.flows, _number, right=True),
    Column(
        "frames", "FRM/S", 5, lambda row, _: None if row.rate is None else row.rate.frames, _rate, right=True, rank=1
    ),
    Column(
        "octets",
        "BYT/S",
        5,
        lambda row, _: None if row.rate is None else round(row.rate.octets),
        _number,
        right=True,
        rank=6,
    ),
    Column(
        "spark",
        f"LAST {SPARKS} S",
        10,
        lambda row, _: sparkline(row.frames, SPARKS),
        sort=lambda row: sum(row.frames),
        rank=5,
        stretch=2,
        limit=SPARKS,
        shorten=lambda text, width: text[-width:],
    ),
    Column("lost", "LOST", 5, lambda row, _: row.lost, _number, right=True, rank=1),
    Column("dropped", "DROPS", 5, lambda row, _: row.dropped, _number, right=True, rank=3),
    Column("restarts", "RESTARTS", 8, lambda row, _: row.restarts, _number, right=True, rank=2),
)


class NodesPage(Page[NodeRow]):
    """The nodes. FRM/S and LOST are of the underlay, DROPS counts packets that ended for any reason."""

    TITLE_OF_PAGE = "Nodes"
    EMPTY = "No nodes: the controller has not told of any yet, or none passes the filter."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "flows", "Flows")]

    def __init__(self, model: ClusterModel, feed: Feed) -> None:
        super().__init__(model, feed, COLUMNS, "name")

    def wanted_rows(self) -> Sequence[NodeRow]:
        """Return all nodes."""
        return self.model.node_rows()

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return all that is known of a node."""
        row = next((row for row in self.model.node_rows() if row.key == key), None)
        if row is None:
            return None
        pods = [("  pod", f"{'/'.join(pod.key)}  {pod.address}") for pod in self.model.pod_rows() if pod.node == key]
        return f"node {row.key}", [*details(row), ("pods", str(row.pods)), *pods]

    def action_flows(self) -> None:
        """Show the flows that go through the node."""
        if self.table.cursor_row is not None:
            self.post_message(self.FlowsWanted(f"node:{self.table.cursor_row.key}"))
