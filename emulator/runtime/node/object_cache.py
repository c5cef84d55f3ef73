"""What a node knows of the cluster: the objects that its watches brought, and typed views of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import trio

from emulator.api.objects.meta import Object
from emulator.api.objects.view import view

T = TypeVar("T")

_Name = tuple[str, str]


class ObjectCache:
    """Objects by kind and name. It keeps what it has while the controller is away."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[_Name, Object]] = {}
        self._views: dict[str, dict[_Name, tuple[Object, Any]]] = {}
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._synced: dict[str, trio.Event] = {}

    def subscribe(self, kinds: Iterable[str], listener: Callable[[], None]) -> None:
        """Call `listener` after each change of an object of these kinds; it must not raise, nor wait."""
        for kind in kinds:
            self._listeners.setdefault(kind, []).append(listener)

    def replace(self, kind: str, objects: Iterable[Object]) -> None:
        """Take all objects of a kind, as a list has them."""
        self._objects[kind] = {_name(obj): obj for obj in objects}
        self._synced_event(kind).set()
        self._changed(kind)

    def put(self, kind: str, obj: Object) -> None:
        """Take one object that came or changed."""
        self._objects.setdefault(kind, {})[_name(obj)] = obj
        self._changed(kind)

    def remove(self, kind: str, obj: Object) -> None:
        """Forget one object."""
        self._objects.setdefault(kind, {}).pop(_name(obj), None)
        self._changed(kind)

    def objects(self, kind: str) -> list[Object]:
        """The objects of a kind, oldest knowledge first."""
        return [*self._objects.get(kind, {}).values()]

    def views(self, kind: str, view_type: type[T]) -> list[T]:
        """The objects of a kind as typed values; each object is converted once."""
        before = self._views.get(kind, {})
        now: dict[_Name, tuple[Object, Any]] = {}
        for name, obj in self._objects.get(kind, {}).items():
            known = before.get(name)
            now[name] = known if known is not None and known[0] is obj else (obj, view(obj, view_type))
        self._views[kind] = now
        return [value for _, value in now.values()]

    async def wait_synced(self, kinds: Iterable[str]) -> None:
        """Wait until each of these kinds was listed once."""
        for kind in kinds:
            await self._synced_event(kind).wait()

    def _synced_event(self, kind: str) -> trio.Event:
        event = self._synced.get(kind)
        if event is None:
            event = self._synced[kind] = trio.Event()
        return event

    def _changed(self, kind: str) -> None:
        for listener in self._listeners.get(kind, ()):
            listener()


def _name(obj: Object) -> _Name:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
