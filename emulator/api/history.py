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
    """The latest events, at least `limit` of them once there were so many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: list[StoreEvent] = []
        self.oldest_revision = 0  # later events are all here
        self._latest = 0

    def restart(self, revision: int) -> None:
        """Forget everything up to `revision`."""
        self._events.clear()
        self.oldest_revision = self._latest = revision

    def add(self, events: Sequence[StoreEvent]) -> None:
        """Note events, in the order of their revisions."""
        self._events += events
        self._latest = events[-1].revision
        if len(self._events) >= 2 * self._limit:  # cut seldom, since cutting moves the rest
            cut = len(self._events) - self._limit
            self.oldest_revision = self._events[cut - 1].revision
            del self._events[:cut]

    def since(self, revision: int) -> Sequence[StoreEvent]:
        """Return every event after `revision`. Raises ControlError (EXPIRED) if some of them are not known any more.

        A revision from the future is refused likewise: it comes from a store that this one has not continued.
        """
        if not self.oldest_revision <= revision <= self._latest:
            known = f"{self.oldest_revision} to {self._latest}"
            raise ControlError(ErrorCode.EXPIRED, f"too old resource version: {revision} (kept: {known}); list again")
        return self._events[bisect_right(self._events, revision, key=lambda event: event.revision) :]
