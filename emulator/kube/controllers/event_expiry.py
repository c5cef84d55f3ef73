"""Events are kept for an hour after they last happened, as the API server keeps them (`--event-ttl`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from emulator.api.objects.meta import Object
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import Change, Delete, Key, Moment, Reader, Requeue

KEPT = 3600.0
"""Seconds."""


class EventExpiry:
    """Deletes Events that are old."""

    watches = frozenset({"Event"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the Event itself."""
        del reader
        return [key_of(event)]

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return its deletion, or when to look again."""
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None:
            return []
        last = obj.get("lastTimestamp") or obj["metadata"]["creationTimestamp"]
        age = (datetime.fromisoformat(moment.wall) - datetime.fromisoformat(last)).total_seconds()
        return [Delete(key)] if age >= KEPT else [Requeue(key, KEPT - age)]
