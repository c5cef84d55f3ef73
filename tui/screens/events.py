"""The events page: as `emulator get events -A`, the latest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.api.ages import human_duration
from tui.feed import Feed
from tui.model.cluster import ClusterModel
from tui.model.columns import Column
from tui.model.events import EventRow, details
from tui.screens.detail import Lines
from tui.screens.page import Page

COLUMNS: tuple[Column[EventRow], ...] = (
    Column("last", "LAST", 5, lambda row, now: now - row.last, human_duration, lambda row: -row.last, right=True),
    Column(
        "type", "TYPE", 7, lambda row, _: row.type, style=lambda row: "warning" if row.type == "Warning" else "good"
    ),
    Column("reason", "REASON", 14, lambda row, _: row.reason, stretch=1, limit=24),
    Column("namespace", "NAMESPACE", 11, lambda row, _: row.key[0], rank=3, stretch=1, limit=24),
    Column("object", "OBJECT", 20, lambda row, _: row.object, stretch=2, limit=50),
    Column("count", "COUNT", 5, lambda row, _: row.count, right=True, rank=2),
    Column("message", "MESSAGE", 20, lambda row, _: row.message, stretch=4, limit=200),
)


class EventsPage(Page[EventRow]):
    """What kubelets told of pods, in all namespaces."""

    TITLE_OF_PAGE = "Events"
    EMPTY = "No events: nothing worth telling happened, or none passes the filter."

    def __init__(self, model: ClusterModel, feed: Feed) -> None:
        super().__init__(model, feed, COLUMNS, "last")

    def wanted_rows(self) -> Sequence[EventRow]:
        """Return all events."""
        return self.model.event_rows()

    def details(self, key: Any) -> tuple[str, Lines] | None:
        """Return all of an event."""
        row = next((row for row in self.model.event_rows() if row.key == key), None)
        return None if row is None else (f"event {row.reason} of {row.object}", details(row))
