"""What a node knows of the cluster: the objects that its watches brought, those of some kinds as typed views.

Of Services and EndpointSlices there may be ten thousands, of which a node needs a few fields: each is converted when it
comes, and the whole object is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import trio

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.meta import Object
from emulator.api.objects.service import Service
from emulator.api.objects.view import view

T = TypeVar("T")
Named = tuple[str, str]
"""Namespace and name."""

_TYPES: dict[str, type[Any]] = {"Service": Service, "EndpointSlice": EndpointSlice}


class Follower(Protocol):
    """Who is told of each object by itself. It must not raise, nor wait."""

    def put(self, kind: str, obj: Any) -> None:
        """Take an object, or the view of it, that came or changed."""

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Forget an object."""


class ObjectCache:
    """Objects by kind and name. It keeps what it has while the controller is away."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[Named, Any]] = {}
        self._views: dict[str, dict[Named, tuple[Object, Any]]] = {}
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._followers: dict[str, list[Follower]] = {}
        self._synced: dict[str, trio.Event] = {}

    def subscribe(self, kinds: Iterable[str], listener: Callable[[], None]) -> None:
        """Call `listener` after each change of an object of these kinds; it must not raise, nor wait."""
        for kind in kinds:
            self._listeners.setdefault(kind, []).append(listener)

    def follow(self, kinds: Iterable[str], follower: Follower) -> None:
        """Tell `follower` of each object of these kinds that is there, comes, changes or goes."""
        for kind in kinds:
            self._followers.setdefault(kind, []).append(follower)
            for obj in self._objects.get(kind, {}).values():
                follower.put(kind, obj)

    def replace(self, kind: str, objects: Iterable[Object]) -> None:
        """Take all objects of a kind, as a list has them. Followers hear of what is another than before."""
        before = self._objects.get(kind, {})
        now = {_name(obj): _kept(kind, obj) for obj in objects}
        self._objects[kind] = now
        for follower in self._followers.get(kind, ()):
            for namespace, name in before.keys() - now.keys():
                follower.remove(kind, namespace, name)
            for key, obj in now.items():
                if key not in before or before[key] != obj:
                    follower.put(kind, obj)
        self._synced_event(kind).set()
        self._changed(kind)

    def put(self, kind: str, obj: Object) -> None:
        """Take one object that came or changed."""
        kept = self._objects.setdefault(kind, {})[_name(obj)] = _kept(kind, obj)
        for follower in self._followers.get(kind, ()):
            follower.put(kind, kept)
        self._changed(kind)

    def remove(self, kind: str, obj: Object) -> None:
        """Forget one object."""
        key = _name(obj)
        if self._objects.setdefault(kind, {}).pop(key, None) is not None:
            for follower in self._followers.get(kind, ()):
                follower.remove(kind, *key)
        self._changed(kind)

    def objects(self, kind: str) -> list[Object]:
        """The objects of a kind that is kept whole, oldest knowledge first."""
        return [*self._objects.get(kind, {}).values()]

    def views(self, kind: str, view_type: type[T]) -> list[T]:
        """The objects of a kind as typed values; each object is converted once."""
        if kind in _TYPES:
            assert _TYPES[kind] is view_type
            return [*self._objects.get(kind, {}).values()]
        before = self._views.get(kind, {})
        now: dict[Named, tuple[Object, Any]] = {}
        for name, obj in self._objects.get(kind, {}).items():
            known = before.get(name)
            now[name] = known if known is not None and known[0] is obj else (obj, view(obj, view_type))
        self._views[kind] = now
        return [value for _, value in now.values()]

    async def wait_synced(self, kinds: Iterable[str]) -> None:
        """Wait until each of these kinds was listed once."""
        for kind in kinds:
            await self._synced_event(kind).wait()

    def is_synced(self, kinds: Iterable[str]) -> bool:
        """Whether each of these kinds was listed once."""
        return all(kind in self._synced and self._synced[kind].is_set() for kind in kinds)

    def _synced_event(self, kind: str) -> trio.Event:
        event = self._synced.get(kind)
        if event is None:
            event = self._synced[kind] = trio.Event()
        return event

    def _changed(self, kind: str) -> None:
        for listener in self._listeners.get(kind, ()):
            listener()


def _name(obj: Object) -> Named:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _kept(kind: str, obj: Object) -> Any:
    view_type = _TYPES.get(kind)
    return obj if view_type is None else view(obj, view_type)
