"""Runs the reconcilers: store events name keys, each key waits once however often it is named, changes are written.

One task runs them all, one key after the other, so a cluster's history follows from its inputs and its seed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from random import Random

import trio

from emulator.api.messages import ControlError, ErrorCode, EventType
from emulator.api.store.history import Reference, StoreEvent
from emulator.api.store.normalize import rfc3339
from emulator.api.store.store import Store
from emulator.errors import PodwireError
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reconciler, Replace, Requeue, UpdateStatus

BATCH = 64
BATCH_SECONDS = 0.02
"""Keys, and the time they may take, between two checkpoints: nodes' signs of life wait meanwhile."""

PAUSED = 10_000
"""Keys after which those that need no pause any more are forgotten."""

PAUSE = 0.01
"""Seconds between two looks at one key: the first change is answered at once, those of a storm together."""

PAUSE_SHARE = 4
LONGEST_PAUSE = 0.5
"""A key whose look takes long (a thousand pods) is paused for so many times as long, up to these seconds."""

FIRST_RETRY = 0.01
LONGEST_RETRY = 10.0

_Item = tuple[Reconciler, Key]


class Manager:
    """The controller manager of one cluster."""

    def __init__(
        self,
        store: Store,
        reconcilers: Sequence[Reconciler],
        *,
        clock: Callable[[], float],
        random: Random,
        logger: logging.Logger,
    ) -> None:
        self._store = store
        self._reconcilers = reconcilers
        self._clock = clock
        self._random = random
        self._logger = logger
        self._queue: dict[_Item, None] = {}
        self._wake = trio.Event()
        self._failures: dict[_Item, int] = {}
        self._waiting: dict[_Item, float] = {}  # when each postponed item is due
        self._paused: dict[_Item, float] = {}  # until when each item that was looked at lately is not looked at again
        store.subscribe(self._note)

    def _note(self, events: Sequence[StoreEvent]) -> None:
        """Queue what the events concern; an object that changed may concern others by what it was before."""
        for event in events:
            for reconciler in self._reconcilers:
                if event.reference.kind not in reconciler.watches:
                    continue
                for key in reconciler.keys(self._store, event.object):
                    self._add((reconciler, key))
                if event.previous is not None and _moved(event):
                    for key in reconciler.keys(self._store, event.previous):
                        self._add((reconciler, key))

    def _add(self, item: _Item) -> None:
        self._queue[item] = None
        self._wake.set()

    def look_at_everything(self) -> None:
        """Queue all there is: after a start nobody knows what was left undone."""
        for obj in [*self._store.everything()]:
            for reconciler in self._reconcilers:
                if obj["kind"] in reconciler.watches:
                    for key in reconciler.keys(self._store, obj):
                        self._add((reconciler, key))

    async def run(self) -> None:
        """Reconcile until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._wake.wait()
                end = trio.current_time() + BATCH_SECONDS
                for _ in range(BATCH):
                    if not self._queue:
                        self._wake = trio.Event()
                        break
                    item = next(iter(self._queue))
                    del self._queue[item]
                    self._look_at(item, nursery)
                    if trio.current_time() > end:
                        break

    def _look_at(self, item: _Item, nursery: trio.Nursery) -> None:
        """Reconcile the item now or, if it was looked at a moment ago, a moment later."""
        now = trio.current_time()
        until = self._paused.get(item, now)
        if until > now:
            self._postpone(item, until - now, nursery)
            return
        if len(self._paused) >= PAUSED:
            self._paused = {paused: end for paused, end in self._paused.items() if end > now}
        self._reconcile(item, nursery)
        end = trio.current_time()
        self._paused[item] = end + min(LONGEST_PAUSE, max(PAUSE, PAUSE_SHARE * (end - now)))

    def _reconcile(self, item: _Item, nursery: trio.Nursery) -> None:
        reconciler, key = item
        moment = Moment(rfc3339(self._clock()), trio.current_time(), self._random.getrandbits(64))
        try:
            for change in reconciler.reconcile(self._store, key, moment):
                if isinstance(change, Requeue):
                    self._postpone((reconciler, change.key), change.after, nursery)
                else:
                    self._write(change)
        except ControlError as error:
            # What it saw changed meanwhile, or goes away: it looks again.
            self._logger.debug("%s of %s: %s", type(reconciler).__name__, key, error)
            self._retry(item, nursery)
        except PodwireError as error:
            self._logger.warning("%s of %s: %s", type(reconciler).__name__, key, error)
            self._retry(item, nursery)
        except Exception:
            self._logger.exception("%s of %s failed", type(reconciler).__name__, key)
            self._retry(item, nursery)
        else:
            self._failures.pop(item, None)

    def _write(self, change: Change) -> None:
        match change:
            case Create(object=obj):
                self._store.create(obj)
            case Replace(object=obj):
                self._store.replace(obj)
            case UpdateStatus(key=key, status=status):
                self._store.update_status(Reference(key.kind, key.namespace, key.name), status)
            case Delete(key=key, grace=grace):
                self._delete(Reference(key.kind, key.namespace, key.name), grace or 0)

    def _delete(self, reference: Reference, grace: int) -> None:
        try:
            self._store.delete(reference, grace=grace)
        except ControlError as error:
            if error.code is not ErrorCode.NOT_FOUND:  # that it is gone is what was wanted
                raise

    def _retry(self, item: _Item, nursery: trio.Nursery) -> None:
        failures = self._failures.get(item, 0)
        self._failures[item] = failures + 1
        self._postpone(item, min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(failures, 20)), nursery)

    def _postpone(self, item: _Item, delay: float, nursery: trio.Nursery) -> None:
        """Queue `item` later; of several times the earliest counts."""
        due = trio.current_time() + delay
        if self._waiting.get(item, due + 1) <= due:
            return
        self._waiting[item] = due
        nursery.start_soon(self._add_at, item, due)

    async def _add_at(self, item: _Item, due: float) -> None:
        await trio.sleep_until(due)
        if self._waiting.get(item) == due:
            del self._waiting[item]
            self._add(item)


def _moved(event: StoreEvent) -> bool:
    """Whether more than the status changed, so that the object may have left what it belonged to."""
    if event.type is not EventType.MODIFIED or event.previous is None:
        return False
    old, new = event.previous, event.object
    labels = old["metadata"].get("labels") != new["metadata"].get("labels")
    return labels or old.get("spec") != new.get("spec")
