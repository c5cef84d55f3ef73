"""Fan-out of the store's events to watchers: each has a bounded queue, and who does not keep up is cut off.

The others are not held up by it; it resumes from the revision it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import trio

from emulator.api import kinds
from emulator.api.history import StoreEvent
from emulator.api.messages import (
    ControlError,
    Empty,
    ErrorCode,
    EventType,
    ListParams,
    Object,
    WatchEvent,
    WatchParams,
)
from emulator.api.selectors import parse_field_selector, parse_selector
from emulator.api.store import Store
from emulator.runtime.committer import Committer
from emulator.runtime.control import Exchange

QUEUE = 8_192

Predicate = Callable[[Object], bool]


def canonical_kind(name: str) -> str:
    """Return the kind that a client names. Raises ControlError (INVALID)."""
    known = kinds.find_kind(name)
    if known is None:
        hint = kinds.suggest(name)
        text = f'the server doesn\'t have a resource type "{name}"' + (f"; did you mean {hint}?" if hint else "")
        raise ControlError(ErrorCode.INVALID, text)
    return known.kind


def predicate(params: ListParams | WatchParams) -> Predicate:
    """Return whether an object is meant by the namespace and the selectors. Raises SelectorError."""
    labels = parse_selector(params.label_selector)
    fields = parse_field_selector(params.field_selector)
    namespace = params.namespace

    def selects(obj: Object) -> bool:
        metadata = obj["metadata"]
        if namespace is not None and metadata.get("namespace", "") != namespace:
            return False
        return labels.matches(metadata.get("labels") or {}) and fields.matches(obj)

    return selects


def visible(event: StoreEvent, selects: Predicate) -> WatchEvent | None:
    """Return what a watcher sees of an event: an object that begins or ceases to be meant comes or goes."""
    before = event.previous is not None and selects(event.previous)
    after = event.type is not EventType.DELETED and selects(event.object)
    if not before and not after:
        return None
    change = EventType.MODIFIED if before and after else EventType.ADDED if after else EventType.DELETED
    return WatchEvent(type=change, object=event.object, revision=str(event.revision))


class _Watcher:
    """One watch: what it wants, from which revision on, and the events that it has not sent."""

    def __init__(self, kind: str, selects: Predicate, revision: int, on_overflow: Callable[[], None]) -> None:
        self.kind = kind
        self.selects = selects
        self.revision = revision
        self.on_overflow = on_overflow
        self.sender, self.receiver = trio.open_memory_channel[WatchEvent](QUEUE)

    def offer(self, event: StoreEvent) -> None:
        """Queue what the watcher shall see of an event; cut it off when it does not keep up."""
        if event.reference.kind != self.kind or event.revision <= self.revision:
            return
        seen = visible(event, self.selects)
        if seen is None:
            return
        try:
            self.sender.send_nowait(seen)
        except trio.WouldBlock:
            self.on_overflow()


class Watches:
    """All watches of one controller."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watchers: dict[_Watcher, None] = {}

    def publish(self, events: Sequence[StoreEvent]) -> None:
        """Hand committed events to everyone whom they concern."""
        for watcher in [*self._watchers]:
            for event in events:
                watcher.offer(event)

    async def watch(self, params: WatchParams, exchange: Exchange[WatchEvent], committer: Committer) -> Empty:
        """Send what was and what comes, in the order of revisions, each once. Ends when cancelled.

        Raises ControlError: EXPIRED when events since the asked revision are forgotten.
        """
        kind = canonical_kind(params.kind)
        selects = predicate(params)

        def cut_off() -> None:
            exchange.connection.disconnect(f"it did not read {QUEUE} events of {kind}")

        watcher = _Watcher(kind, selects, self._store.revision, cut_off)
        first = [*self._first(params, kind, selects)]
        self._watchers[watcher] = None
        try:
            await committer.flush()
            for event in first:
                await exchange.send(event)
            async for event in watcher.receiver:
                await exchange.send(event)
        finally:
            del self._watchers[watcher]
        return Empty()

    def _first(self, params: WatchParams, kind: str, selects: Predicate) -> Iterable[WatchEvent]:
        """Return what the watch begins with: the events since its revision, or all objects and a bookmark."""
        if not params.revision:
            revision = str(self._store.revision)
            for obj in self._store.list(kind, params.namespace):
                if selects(obj):
                    version = obj["metadata"]["resourceVersion"]
                    yield WatchEvent(type=EventType.ADDED, object=obj, revision=version)
            yield WatchEvent(type=EventType.BOOKMARK, object={}, revision=revision)
            return
        if not params.revision.isascii() or not params.revision.isdigit():
            raise ControlError(ErrorCode.INVALID, f'resource version: Invalid value: "{params.revision}"')
        for event in self._store.events_since(int(params.revision)):
            if event.reference.kind == kind and (seen := visible(event, selects)) is not None:
                yield seen
