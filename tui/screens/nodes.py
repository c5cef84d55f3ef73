"""The nodes page: state, addresses, pods, flows, what the underlay lost, restarts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tui.feed import Feed
from tui.model.cluster import ClusterModel
from tui.model.columns import Column
from tui.model.nodes import NodeRow, details
from tui.model.text import count
from tui.screens.detail import Lines
from tui.screens.page import Page


def _number(value: int | None) -> str:
    return "?" if value is None else count(value)


def _order(value: int | None) -> int:
    return -1 if value is None else value


COLUMNS: tuple[Column[NodeRow], ...] = (
    Column("name", "NAME", 12, lambda row, _: row.key, lambda row: row.key, stretch=2, limit=40),
    Column(
        "state",
        "STATE",
        8,
        lambda row, _: row.state,
        lambda row: row.state,
        stretch=1,
        limit=30,
        style=lambda row: "good" if row.state == "Ready" else "bad",
    ),
    Column("address", "ADDRESS", 13, lambda row, _: row.address, lambda row: row.address, limit=15, stretch=1),
    Column("pod_cidr", "POD CIDR", 14, lambda row, _: row.pod_cidr, lambda row: row.pod_cidr, limit=18, stretch=1),
    Column("zone", "ZONE", 10, lambda row, _: row.zone, lambda row: row.zone, rank=5, stretch=1, limit=20),
    Column("pods", "PODS", 4, lambda row, _: str(row.pods), lambda row: row.pods, right=True),
    Column("flows", "FLOWS", 5, lambda row, _: _number(row.flows), lambda row: _order(row.flows), right=True),
    Column("lost", "LOST", 5, lambda row, _: _number(row.lost), lambda row: _order(row.lost), right=True, rank=1),
    Column(
        "dropped", "DROPS", 5, lambda row, _: _number(row.dropped), lambda row: _order(row.dropped), right=True, rank=3
    ),
    Column(
        "restarts",
        "RESTARTS",
        8,
        lambda row, _: _number(row.restarts),
        lambda row: _order(row.restarts),
        right=True,
        rank=2,
    ),
)


class NodesPage(Page[NodeRow]):
    """The nodes. LOST counts underlay datagrams, DROPS packets that ended for any reason."""

    TITLE_OF_PAGE = "Nodes"
    EMPTY = "No nodes: the controller has not told of any yet."

    def __init__(self, model: ClusterModel, feed: Feed) -> None:
        super().__init__(model, feed, COLUMNS, "name")

    def wanted_rows(self) -> Sequence[NodeRow]:
        """Return all nodes."""
        return self.model.node_rows()

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return all that is known of a node."""
        row = next((row for row in self.model.node_rows() if row.key == key), None)
        return None if row is None else (f"node {row.key}", details(row))
