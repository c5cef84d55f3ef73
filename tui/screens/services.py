"""The Services page: virtual addresses, ports, and how many endpoints are ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.api.ages import human_duration
from tui.feed import Feed
from tui.model.cluster import ClusterModel
from tui.model.columns import Column
from tui.model.services import ServiceRow, details
from tui.screens.detail import Lines
from tui.screens.page import Page


def _endpoints(row: ServiceRow, _now: float) -> str:
    """Ready of all, then the addresses: those that are not ready in parentheses."""
    shown = [e.address if e.state == "ready" else f"({e.address} {e.state})" for e in row.endpoints]
    return " ".join((row.readiness, *shown))


COLUMNS: tuple[Column[ServiceRow], ...] = (
    Column("namespace", "NAMESPACE", 11, lambda row, _: row.key[0], lambda row: row.key, rank=1, limit=24, stretch=1),
    Column("name", "NAME", 12, lambda row, _: row.key[1], lambda row: row.key[1], stretch=2, limit=40),
    Column("type", "TYPE", 9, lambda row, _: row.type, lambda row: row.type, rank=3, limit=12, stretch=1),
    Column(
        "cluster_ip", "CLUSTER-IP", 14, lambda row, _: row.cluster_ip, lambda row: row.cluster_ip, stretch=1, limit=15
    ),
    Column("ports", "PORT(S)", 12, lambda row, _: row.ports, lambda row: row.ports, stretch=1, limit=30),
    Column(
        "endpoints",
        "ENDPOINTS",
        9,
        _endpoints,
        lambda row: (row.ready, len(row.endpoints)),
        stretch=4,
        limit=120,
        style=lambda row: "good" if row.ready else "warning",
    ),
    Column("age", "AGE", 5, lambda row, now: human_duration(now - row.created), lambda row: -row.created, rank=2),
)


class ServicesPage(Page[ServiceRow]):
    """The Services of all namespaces; endpoints with their pods in the details."""

    TITLE_OF_PAGE = "Services"
    EMPTY = "No Services; create some with: emulator apply -f FILE"

    def __init__(self, model: ClusterModel, feed: Feed) -> None:
        super().__init__(model, feed, COLUMNS, "namespace")

    def wanted_rows(self) -> Sequence[ServiceRow]:
        """Return all Services."""
        return self.model.service_rows()

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return what is known of a Service, with its endpoints."""
        row = next((row for row in self.model.service_rows() if row.key == key), None)
        return None if row is None else (f"Service {'/'.join(row.key)}", details(row))
