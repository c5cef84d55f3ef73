"""The Services page: virtual addresses, ports, and how many endpoints are ready."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

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
    Column(
        "namespace", "NAMESPACE", 11, lambda row, _: row.key[0], sort=lambda row: row.key, rank=1, limit=24, stretch=1
    ),
    Column("name", "NAME", 12, lambda row, _: row.key[1], stretch=2, limit=40),
    Column("type", "TYPE", 9, lambda row, _: row.type, rank=3, limit=12, stretch=1),
    Column("cluster_ip", "CLUSTER-IP", 14, lambda row, _: row.cluster_ip, stretch=1, limit=15),
    Column("ports", "PORT(S)", 12, lambda row, _: row.ports, stretch=1, limit=30),
    Column(
        "endpoints",
        "ENDPOINTS",
        9,
        _endpoints,
        sort=lambda row: (row.ready, len(row.endpoints)),
        stretch=4,
        limit=120,
        style=lambda row: "good" if row.ready else "warning",
    ),
    Column("age", "AGE", 5, lambda row, now: now - row.created, human_duration, lambda row: -row.created, rank=2),
)


class ServicesPage(Page[ServiceRow]):
    """The Services of all namespaces; endpoints with their pods in the details."""

    TITLE_OF_PAGE = "Services"
    EMPTY = "No Services, or none passes the filter; create some with: emulator apply -f FILE"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "flows", "Flows")]

    def __init__(self, model: ClusterModel, feed: Feed) -> None:
        super().__init__(model, feed, COLUMNS, "namespace")

    def wanted_rows(self) -> Sequence[ServiceRow]:
        """Return all Services."""
        return self.model.service_rows()

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return what is known of a Service, with its endpoints and how many flows each has now."""
        row = next((row for row in self.model.service_rows() if row.key == key), None)
        if row is None:
            return None
        name = "/".join(key)
        flows: Counter[str] = Counter()
        for flow in self.model.flows.rows():
            if name in flow.services and flow.verdict == "FORWARDED":
                flows[flow.after[3]] += 1
        return f"Service {name}", details(row, flows)

    def action_flows(self) -> None:
        """Show the flows to the Service."""
        if self.table.cursor_row is not None:
            self.post_message(self.FlowsWanted(f"service:{'/'.join(self.table.cursor_row.key)}"))
