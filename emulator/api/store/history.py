"""What happened lately to the stored objects, so that a watch that was cut can resume without loss or doubling."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from emulator.api.messages import ControlError, ErrorCode, EventType, Object


class Reference(NamedTuple):
    """Names one object; `namespace` is empty for kinds that have none."""

    kind: str
    namespace: str
    name: str


class StoreEvent(NamedTuple):
    """One change. `previous` is the object before it, None for ADDED; a DELETED one's `object` is its last form."""

    type: EventType
    reference: Reference
    revision: int
    object: Object
    previous: Object | None


class History:
    """The latest events of each kind, at least `limit` of them once there were so many.

    Kinds are kept apart, so that watches of quiet ones can resume however much happens to others.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: dict[str, list[StoreEvent]] = {}
        self._oldest: dict[str, int] = {}
        self._beginning = 0
        self._latest = 0

    def restart(self, revision: int) -> None:
        """Forget everything up to `revision`."""
        self._events.clear()
        self._oldest.clear()
        self._beginning = self._latest = revision

    def add(self, events: Sequence[StoreEvent]) -> None:
        """Note events, in the order of their revisions."""
        for event in events:
            kept = self._events.setdefault(event.reference.kind, [])
            kept.append(event)
            if len(kept) >= 2 * self._limit:  # cut seldom, since cutting moves the rest
                cut = len(kept) - self._limit
                self._oldest[event.reference.kind] = kept[cut - 1].revision
                del kept[:cut]
        self._latest = events[-1].revision

    def oldest_revision(self, kind: str) -> int:
        """Return the revision from which on all events of a kind are here."""
        return self._oldest.get(kind, self._beginning)

    def since(self, revision: int, kind: str) -> Sequence[StoreEvent]:
        """Return every event of a kind after `revision`. Raises ControlError (EXPIRED) if some are not known any more.

        A revision from the future is refused likewise: it comes from a store that this one has not continued.
        """
        oldest = self.oldest_revision(kind)
        if not oldest <= revision <= self._latest:
            known = f"{oldest} to {self._latest}"
            raise ControlError(ErrorCode.EXPIRED, f"too old resource version: {revision} (kept: {known}); list again")
        events = self._events.get(kind, [])
        return events[bisect_right(events, revision, key=lambda event: event.revision) :]
