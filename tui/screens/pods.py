"""The pods page: as `emulator get pods -A -o wide`, live."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from emulator.api.ages import human_duration
from emulator.api.messages import LogsParams
from tui.feed import Feed
from tui.model.cluster import ClusterModel
from tui.model.columns import Column
from tui.model.pods import NONE, PodRow, details
from tui.screens.detail import Lines
from tui.screens.logs import LINES_KEPT, LogsWindow
from tui.screens.page import Page

COLUMNS: tuple[Column[PodRow], ...] = (
    Column(
        "namespace", "NAMESPACE", 11, lambda row, _: row.key[0], sort=lambda row: row.key, rank=1, limit=24, stretch=1
    ),
    Column("name", "NAME", 19, lambda row, _: row.key[1], stretch=4, limit=60),
    Column("ready", "READY", 5, lambda row, _: row.ready, sort=lambda row: (row.summary.ready, row.summary.total)),
    Column(
        "status",
        "STATUS",
        9,
        lambda row, _: row.summary.status,
        stretch=1,
        limit=24,
        style=lambda row: "good" if row.is_ready else "warning",
    ),
    Column(
        "restarts",
        "RESTARTS",
        8,
        lambda row, now: row.summary.restarts_text(now),
        sort=lambda row: row.summary.restarts,
        rank=3,
        stretch=1,
        limit=16,
    ),
    Column("age", "AGE", 5, lambda row, now: now - row.created, human_duration, lambda row: -row.created, rank=2),
    Column(
        "ip", "IP", 12, lambda row, _: row.address, sort=lambda row: _address_order(row.address), stretch=1, limit=15
    ),
    Column("node", "NODE", 8, lambda row, _: row.node, stretch=2, limit=40),
)


def _address_order(address: str) -> tuple[int, ...]:
    parts = address.split(".")
    return tuple(int(part) if part.isdecimal() else -1 for part in parts)


class PodsPage(Page[PodRow]):
    """The pods of all namespaces."""

    TITLE_OF_PAGE = "Pods"
    EMPTY = "No pods, or none passes the filter; create some with: emulator apply -f FILE"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("l", "logs", "Logs"), Binding("f", "flows", "Flows")]

    def __init__(self, model: ClusterModel, feed: Feed) -> None:
        super().__init__(model, feed, COLUMNS, "namespace")

    def wanted_rows(self) -> Sequence[PodRow]:
        """Return all pods."""
        return self.model.pod_rows()

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return what is known of a pod, and which Services lead to it."""
        pod = self.model.pod(key)
        if pod is None:
            return None
        services = [
            ("Service", f"{'/'.join(service.key)} {service.ports}: {endpoint.state} as {endpoint.address}")
            for service in self.model.service_rows()
            for endpoint in service.endpoints
            if endpoint.pod == "/".join(key)
        ]
        return f"pod {'/'.join(key)}", [*details(pod), *services]

    def action_flows(self) -> None:
        """Show the flows of the pod."""
        if self.table.cursor_row is not None:
            self.post_message(self.FlowsWanted(f"pod:{'/'.join(self.table.cursor_row.key)}"))

    def action_logs(self) -> None:
        """Follow the logs of all containers of the pod."""
        row = self.table.cursor_row
        if row is None:
            return
        if row.node == NONE:
            self.notify("the pod is on no node yet", severity="warning", timeout=3)
            return
        namespace, name = row.key
        params = LogsParams(pod=name, namespace=namespace, tail=LINES_KEPT, follow=True, all_containers=True)
        self.app.push_screen(LogsWindow(f"logs of {namespace}/{name}", partial(self.feed.logs, row.node, params)))
