"""The pods page: as `emulator get pods -A -o wide`, live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.api.ages import human_duration
from tui.feed import Feed
from tui.model.cluster import ClusterModel
from tui.model.columns import Column
from tui.model.pods import PodRow, details
from tui.screens.detail import Lines
from tui.screens.page import Page

COLUMNS: tuple[Column[PodRow], ...] = (
    Column("namespace", "NAMESPACE", 11, lambda row, _: row.key[0], lambda row: row.key, rank=1, limit=24, stretch=1),
    Column("name", "NAME", 19, lambda row, _: row.key[1], lambda row: row.key[1], stretch=4, limit=60),
    Column("ready", "READY", 5, lambda row, _: row.ready, lambda row: (row.summary.ready, row.summary.total)),
    Column(
        "status",
        "STATUS",
        9,
        lambda row, _: row.summary.status,
        lambda row: row.summary.status,
        stretch=1,
        limit=24,
        style=lambda row: "good" if row.is_ready else "warning",
    ),
    Column(
        "restarts",
        "RESTARTS",
        8,
        lambda row, now: row.summary.restarts_text(now),
        lambda row: row.summary.restarts,
        rank=3,
        stretch=1,
        limit=16,
    ),
    Column(
        "age",
        "AGE",
        5,
        lambda row, now: human_duration(now - row.created),
        lambda row: -row.created,
        rank=2,
    ),
    Column("ip", "IP", 12, lambda row, _: row.address, lambda row: _address_order(row.address), stretch=1, limit=15),
    Column("node", "NODE", 8, lambda row, _: row.node, lambda row: row.node, stretch=2, limit=40),
)


def _address_order(address: str) -> tuple[int, ...]:
    parts = address.split(".")
    return tuple(int(part) if part.isdecimal() else -1 for part in parts)


class PodsPage(Page[PodRow]):
    """The pods of all namespaces."""

    TITLE_OF_PAGE = "Pods"
    EMPTY = "No pods; create some with: emulator apply -f FILE"

    def __init__(self, model: ClusterModel, feed: Feed) -> None:
        super().__init__(model, feed, COLUMNS, "namespace")

    def wanted_rows(self) -> Sequence[PodRow]:
        """Return all pods."""
        return self.model.pod_rows()

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return what is known of a pod."""
        pod = self.model.pod(key)
        return None if pod is None else (f"pod {'/'.join(key)}", details(pod))
