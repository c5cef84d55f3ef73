"""Typed views kept from one reconciliation to the next: of a thousand pods that a controller looks at, few changed."""

from __future__ import annotations

from typing import Any, TypeVar

from emulator.api.objects.meta import Object
from emulator.api.objects.view import view

T = TypeVar("T")

KEPT = 8_192
"""Views kept at most; the one that was made first goes first."""


class ViewCache:
    """The latest view of each stored object, by uid. Stores never change objects in place: each version is another."""

    __slots__ = ("_kept", "_views")

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._views: dict[str, tuple[Object, Any]] = {}

    def view(self, obj: Object, view_type: type[T]) -> T:
        """Return `obj` as `api.objects.view.view` does, converted only if this version of it was not before."""
        uid = obj["metadata"]["uid"]
        known = self._views.get(uid)
        if known is not None and known[0] is obj and isinstance(known[1], view_type):
            return known[1]
        made = view(obj, view_type)
        if known is None and len(self._views) >= self._kept:
            del self._views[next(iter(self._views))]
        self._views[uid] = (obj, made)
        return made
