"""Fan-out of the store's events to watchers: each follows the one bounded history, and who falls behind it is cut off.

The others are not held up by it; it can list again and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import trio

from emulator.api import kinds
from emulator.api.codec import encode_value
from emulator.api.custom_kinds import custom_kinds, find_custom
from emulator.api.field_selectors import parse_field_selector
from emulator.api.kinds import Kind
from emulator.api.messages import (
    ControlError,
    Empty,
    ErrorCode,
    EventType,
    ListParams,
    Object,
    WatchEvent,
    WatchParams,
    plain,
)
from emulator.api.selectors import parse_selector
from emulator.api.store.history import StoreEvent
from emulator.api.store.store import Store
from emulator.runtime.control.server import Exchange
from emulator.runtime.controller.committer import Committer

ENCODED = 256
"""Events kept as bytes for further watchers."""

Predicate = Callable[[Object], bool]


def canonical_kind(store: Store, name: str) -> Kind:
    """Return the kind that a client names. Raises ControlError (INVALID)."""
    known = kinds.find_kind(name) or find_custom(name, custom_kinds(store))
    if known is None:
        hint = kinds.suggest(name)
        text = f'the server doesn\'t have a resource type "{name}"' + (f"; did you mean {hint}?" if hint else "")
        raise ControlError(ErrorCode.INVALID, text)
    return known


def predicate(params: ListParams | WatchParams, kind: Kind) -> Predicate:
    """Return whether an object is meant by the namespace and the selectors. Raises SelectorError."""
    labels = parse_selector(params.label_selector)
    fields = parse_field_selector(params.field_selector, kind)
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
    """One watch: what it wants, how far it has come, and how to cut it off."""

    __slots__ = ("changed", "cut_off", "kind", "position", "selects")

    def __init__(self, kind: str, selects: Predicate, position: int, cut_off: Callable[[], None]) -> None:
        self.kind = kind
        self.selects = selects
        self.position = position
        self.cut_off = cut_off
        self.changed = trio.Event()


class Watches:
    """All watches of one controller. They have no queues: each reads the store's history from where it is."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._published = store.revision
        self._watchers: dict[str, dict[_Watcher, None]] = {}
        self._encoded: dict[tuple[int, EventType], bytes] = {}

    def publish(self, events: Sequence[StoreEvent]) -> None:
        """Let watchers see what was committed; who has fallen behind what the history keeps is cut off."""
        self._published = events[-1].revision
        for kind in {event.reference.kind for event in events}:
            oldest = self._store.oldest_revision(kind)
            for watcher in [*self._watchers.get(kind, ())]:
                watcher.changed.set()
                if watcher.position < oldest:
                    watcher.cut_off()

    async def watch(self, params: WatchParams, exchange: Exchange[WatchEvent], committer: Committer) -> Empty:
        """Send what was and what comes, in the order of revisions, each once. Ends when cancelled.

        Raises ControlError: EXPIRED when events since the asked revision are forgotten.
        """
        known = canonical_kind(self._store, params.kind)
        kind, selects = known.key, predicate(params, known)
        first: Sequence[WatchEvent] = ()
        if params.revision:
            position = _revision(params.revision)
            self._store.events_since(position, kind)
        else:
            position = self._store.revision
            first = [*self._present(kind, params.namespace, selects, position)]

        def cut_off() -> None:
            exchange.connection.disconnect(
                f"it is too slow: events of {kind} after revision {watcher.position} are gone"
            )

        watcher = _Watcher(kind, selects, position, cut_off)
        watchers = self._watchers.setdefault(kind, {})
        watchers[watcher] = None
        try:
            await committer.flush()
            for event in first:
                await exchange.send(event)
            await self._follow(watcher, exchange)
        finally:
            del watchers[watcher]

    async def _follow(self, watcher: _Watcher, exchange: Exchange[WatchEvent]) -> NoReturn:
        while True:
            watcher.changed = changed = trio.Event()
            for event in self._store.events_since(watcher.position, watcher.kind):
                if event.revision > self._published:
                    break
                seen = visible(event, watcher.selects)
                if seen is not None:
                    await exchange.send_encoded(self._encode(seen, event.revision))
                watcher.position = event.revision
            if not changed.is_set():
                # All of its kind is told, so it cannot fall behind by what happens to others meanwhile.
                watcher.position = max(watcher.position, self._published)
                await changed.wait()

    def _encode(self, event: WatchEvent, revision: int) -> bytes:
        """Return the event as bytes; many watchers see the same one, mostly soon after each other."""
        encoded = self._encoded.get((revision, event.type))
        if encoded is None:
            if len(self._encoded) >= ENCODED:
                self._encoded.clear()
            encoded = self._encoded[revision, event.type] = encode_value(plain(event))
        return encoded

    def _present(self, kind: str, namespace: str | None, selects: Predicate, revision: int) -> Iterable[WatchEvent]:
        """Return what a watch without a revision begins with: all objects there are, and a bookmark."""
        for obj in self._store.list(kind, namespace):
            if selects(obj):
                yield WatchEvent(type=EventType.ADDED, object=obj, revision=obj["metadata"]["resourceVersion"])
        yield WatchEvent(type=EventType.BOOKMARK, object={}, revision=str(revision))


def _revision(text: str) -> int:
    """Return the number that a resource version is here; to clients it is opaque."""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ControlError(ErrorCode.INVALID, f'resource version: Invalid value: "{text}"')
    return int(text)
