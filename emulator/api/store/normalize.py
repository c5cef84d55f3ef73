"""Objects as they come, brought into the form in which the store keeps them, and how they are named in errors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from emulator.api import kinds
from emulator.api.kinds import Kind
from emulator.api.messages import ControlError, ErrorCode, Object
from emulator.api.store.history import Reference

DEFAULT_GRACE = 30
"""Seconds that a pod has to end when it does not say (core/v1 defaults)."""


def reference_of(obj: Mapping[str, Any]) -> Reference:
    """Return what names `obj`."""
    metadata = obj["metadata"]
    known = kinds.kind_of(obj.get("apiVersion", ""), obj["kind"])
    return Reference(obj["kind"] if known is None else known.key, metadata.get("namespace", ""), metadata["name"])


def rfc3339(seconds: float) -> str:
    """Return a wall-clock time as Kubernetes writes it: UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def resource_of(kind: str) -> str:
    """Return plural and group, as Kubernetes' errors name a kind (by `Kind.key`)."""
    known = kinds.find_kind(kind)
    if known is not None:
        return known.resource
    singular, _, group = kind.lower().partition(".")
    return f"{kinds.plural_of(singular)}.{group}"


def normalized(obj: Object, known: Kind) -> Object:
    """Return a copy, writable in its top level and metadata, without status, with a namespace where its kind has one.

    Raises ControlError (INVALID) for an object without a name.
    """
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping):
        raise ControlError(ErrorCode.INVALID, f"{known.resource}: metadata: Required value")
    metadata = {key: value for key, value in metadata.items() if value is not None}
    if not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise ControlError(ErrorCode.INVALID, f"{known.resource}: metadata.name: Required value")
    if not known.namespaced:
        metadata.pop("namespace", None)
    elif not metadata.get("namespace"):
        metadata["namespace"] = "default"
    return {key: value for key, value in obj.items() if key != "status"} | {"metadata": metadata}


def not_found(kind: str, name: str) -> ControlError:
    """Return the error of an object that does not exist."""
    return ControlError(ErrorCode.NOT_FOUND, f'{resource_of(kind)} "{name}" not found')


def owner_uids(obj: Object) -> list[str]:
    """Return the uids of the objects that own `obj`."""
    return [owner.get("uid", "") for owner in obj["metadata"].get("ownerReferences") or ()]


def grace_of(obj: Object, asked: int | None) -> int:
    """Return how many seconds a deletion waits for a confirmation: 0 for all but pods that run on a node."""
    if obj["kind"] != "Pod" or obj.get("apiVersion") != "v1" or not obj.get("spec", {}).get("nodeName"):
        return 0
    if obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    own = obj["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE)
    return max(0, asked if asked is not None else own)
