"""The cluster's objects as last told: a replay replaces a kind as a whole, later events change single objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from emulator.api.messages import EventType, Object, WatchEvent
from emulator.api.objects import view

T = TypeVar("T")
Reference = tuple[str, str]  # namespace, name


class ObjectModel:
    """Objects by kind. `version` changes with each of them."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self.version = 0
        self._objects: dict[str, dict[Reference, Object]] = {kind: {} for kind in kinds}
        self._replayed: dict[str, dict[Reference, Object] | None] = dict.fromkeys(self._objects)

    def begin(self, kind: str) -> None:
        """A watch starts anew: what it does not mention before its first bookmark is gone."""
        self._replayed[kind] = {}

    def apply(self, kind: str, event: WatchEvent) -> None:
        """Take over one event of a watch."""
        replayed = self._replayed[kind]
        if event.type is EventType.BOOKMARK:
            if replayed is not None:
                self._objects[kind] = replayed
                self._replayed[kind] = None
                self.version += 1
            return
        objects = self._objects[kind] if replayed is None else replayed
        metadata = event.object["metadata"]
        reference = (metadata.get("namespace", ""), metadata["name"])
        if event.type is EventType.DELETED:
            objects.pop(reference, None)
        else:
            objects[reference] = event.object
        self.version += replayed is None

    def all(self, kind: str) -> list[Object]:
        """Return the objects of a kind by namespace and name."""
        objects = self._objects[kind]
        return [objects[reference] for reference in sorted(objects)]

    def get(self, kind: str, reference: Reference) -> Object | None:
        """Return one object."""
        return self._objects[kind].get(reference)

    def views(self, kind: str, view_type: type[T]) -> list[T]:
        """Return the objects of a kind as typed values, by namespace and name."""
        return [view(obj, view_type) for obj in self.all(kind)]
