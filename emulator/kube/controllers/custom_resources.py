"""CustomResourceDefinitions: established as soon as they are there; what they define goes with them.

Source: apiextensions-apiserver, pkg/controller/establish, pkg/controller/finalizer.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.api.custom_kinds import DEFINITION, key_of_definition
from emulator.api.objects.meta import Object
from emulator.kube.ownership import key_of, with_condition
from emulator.kube.reconciler import Change, Delete, Key, Moment, Reader, Replace, Requeue, UpdateStatus

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that holds a definition until its objects are gone."""
_AGAIN = 1.0
"""Seconds between looks at objects whose own finalizers hold them."""
_CONDITIONS = (
    {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"},
    {
        "type": "Established",
        "status": "True",
        "reason": "InitialNamesAccepted",
        "message": "the initial names have been accepted",
    },
)


class CustomResourceController:
    """Writes the status of definitions, and empties those that end."""

    watches = frozenset({DEFINITION})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the definition."""
        del reader
        return [key_of(event)]

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return its finalizer and status, or, while it ends, the deletion of its objects and then of the finalizer."""
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None:
            return []
        finalizers = list(obj["metadata"].get("finalizers") or ())
        if obj["metadata"].get("deletionTimestamp"):
            return _cleanup(reader, key, obj, finalizers)
        if CLEANUP not in finalizers:
            return [_with_finalizers(obj, [*finalizers, CLEANUP])]
        status = _status(obj, moment.wall)
        return [UpdateStatus(key, status)] if status != obj.get("status") else []


def _status(definition: Object, wall: str) -> Object:
    status: Object = dict(definition.get("status") or {})
    conditions: list[Object] = list(status.get("conditions") or ())
    for condition in _CONDITIONS:
        conditions = with_condition(conditions, dict(condition), wall)
    spec = definition["spec"]
    names = spec["names"]
    accepted = {"listKind": f"{names['kind']}List", "singular": names["kind"].lower()} | names
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    before = status.get("storedVersions") or ()
    versions = [*before, *(name for name in stored if name not in before)]
    return status | {"acceptedNames": accepted, "conditions": conditions, "storedVersions": versions}


def _cleanup(reader: Reader, key: Key, definition: Object, finalizers: list[str]) -> list[Change]:
    if CLEANUP not in finalizers:
        return []
    kind = key_of_definition(definition)
    objects = list(reader.list(kind))
    if not objects:
        return [_with_finalizers(definition, [name for name in finalizers if name != CLEANUP])]
    deletions = [Delete(key_of(obj)) for obj in objects if not obj["metadata"].get("deletionTimestamp")]
    return [*deletions, Requeue(key, 0.0 if deletions else _AGAIN)]


def _with_finalizers(definition: Object, finalizers: list[str]) -> Replace:
    return Replace(definition | {"metadata": definition["metadata"] | {"finalizers": finalizers}})
