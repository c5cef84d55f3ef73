"""A namespace that is being deleted: everything in it goes first, then itself.

Source: pkg/controller/namespace/deletion.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.api.kinds import KINDS
from emulator.api.objects.meta import Object
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import Change, Delete, Key, Moment, Reader, Requeue

_DEFAULT_GRACE = 30
_AGAIN = 1.0
"""Seconds between looks at a namespace of a cluster that has custom resources."""
# Owners before what they own, so that nothing is made anew.
_FIRST = ("CronJob", "Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet", "ReplicationController", "Service")
_NAMESPACED = tuple(dict.fromkeys((*_FIRST, *(kind.kind for kind in KINDS if kind.namespaced))))


class NamespaceController:
    """Empties namespaces that end."""

    watches = frozenset({"Namespace", *_NAMESPACED})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the namespace, or that of the object, if it ends."""
        metadata = event["metadata"]
        name = metadata["name"] if event["kind"] == "Namespace" else metadata.get("namespace", "")
        namespace = reader.get("Namespace", "", name)
        if namespace is not None and namespace["metadata"].get("deletionTimestamp"):
            return [key_of(namespace)]
        return []

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the deletions of what is in the namespace or, when it is empty, its own."""
        del moment
        namespace = reader.get(key.kind, key.namespace, key.name)
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return []
        custom = sorted(kind for kind in reader.kinds() if "." in kind)
        contents = [obj for kind in (*_NAMESPACED, *custom) for obj in reader.list(kind, key.name)]
        if not contents:
            return [Delete(key)]
        deletions: list[Change] = [
            Delete(key_of(obj), _grace(obj)) for obj in contents if not obj["metadata"].get("deletionTimestamp")
        ]
        # Events of custom kinds do not come here.
        return [*deletions, Requeue(key, _AGAIN)] if custom else deletions


def _grace(obj: Object) -> int | None:
    if obj["kind"] != "Pod":
        return None
    seconds: int = obj["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE)
    return seconds
