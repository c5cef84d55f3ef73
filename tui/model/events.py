"""The rows of the events page: as `kubectl get events -A` prints them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from emulator.api.ages import parse_time
from emulator.api.messages import Object


class EventRow(Struct, frozen=True):
    """One event. Times are wall-clock time."""

    key: tuple[str, str]
    type: str
    reason: str
    object: str
    message: str
    count: int
    first: float
    last: float
    source: str


def event_row(event: Object) -> EventRow:
    """Put an event's row together."""
    metadata, about = event["metadata"], event.get("involvedObject") or {}
    source = event.get("source") or {}
    last = _time(event, "lastTimestamp") or parse_time(metadata.get("creationTimestamp", "")) or 0.0
    return EventRow(
        key=(metadata.get("namespace", ""), metadata["name"]),
        type=str(event.get("type", "")),
        reason=str(event.get("reason", "")),
        object=f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        message=str(event.get("message", "")),
        count=int(event.get("count") or 1),
        first=_time(event, "firstTimestamp") or last,
        last=last,
        source=" ".join(str(source[key]) for key in ("component", "host") if source.get(key)),
    )


def details(row: EventRow) -> list[tuple[str, str]]:
    """Return all of an event, as (name, value)."""
    return [
        ("namespace", row.key[0]),
        ("type", row.type),
        ("reason", row.reason),
        ("object", row.object),
        ("count", str(row.count)),
        ("from", row.source),
        ("message", row.message),
    ]


def _time(event: dict[str, Any], field: str) -> float | None:
    return parse_time(event.get(field) or "")
