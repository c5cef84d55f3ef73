"""The table of what happened to an object, at the end of its page."""

from __future__ import annotations

from emulator.api.ages import since
from emulator.api.messages import ListParams, Object
from emulator.cli.client import Client
from emulator.cli.describe.page import Page
from emulator.cli.lists import list_all

_COLUMNS = ["Type", "Reason", "Age", "From", "Message"]


def events_of(client: Client, obj: Object) -> list[Object]:
    """Return the Events of an object, oldest first."""
    metadata = obj["metadata"]
    selector = f"involvedObject.uid={metadata['uid']}"
    params = ListParams(kind="Event", namespace=metadata.get("namespace"), field_selector=selector)
    return sorted(list_all(client, params).items, key=lambda event: str(event.get("lastTimestamp", "")))


def add_events(page: Page, events: list[Object], now: float) -> None:
    """Add the table; `<none>` without events."""
    rows = [
        [
            event.get("type", ""),
            event.get("reason", ""),
            _age(event, now),
            (event.get("source") or {}).get("component", ""),
            str(event.get("message", "")).strip(),
        ]
        for event in events
    ]
    page.add_table("Events", [_COLUMNS, *rows])


def _age(event: Object, now: float) -> str:
    """Return `3s`, or `3s (x4 over 18s)`."""
    last, count = since(event.get("lastTimestamp"), now), event.get("count", 1)
    return last if count <= 1 else f"{last} (x{count} over {since(event.get('firstTimestamp'), now)})"
