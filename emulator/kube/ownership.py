"""Who owns whom: the controller references that tie pods to ReplicaSets and ReplicaSets to Deployments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from emulator.api.objects.meta import Object, ObjectMeta
from emulator.api.objects.view import view
from emulator.api.store.normalize import reference_of
from emulator.kube.indexes import BY_CONTROLLER
from emulator.kube.reconciler import Key, Reader

T = TypeVar("T")
SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""The characters of generated names: no vowels, so that no words come out (apimachinery/pkg/util/rand)."""


def key_of(obj: Object) -> Key:
    """Return the key of a whole object."""
    return Key(*reference_of(obj))


def owner_key(obj: Object, kind: str) -> Iterator[Key]:
    """Yield the key of the controller of `obj`, if that is a `kind`."""
    for reference in obj["metadata"].get("ownerReferences", ()):
        if reference.get("controller") and reference.get("kind") == kind:
            yield Key(kind, obj["metadata"].get("namespace", ""), reference["name"])


def owned(
    reader: Reader,
    kind: str,
    owner: ObjectMeta,
    view_type: type[T],
    convert: Callable[[Object, type[T]], T] = view,
) -> list[tuple[Object, T]]:
    """Return the objects of `kind` that `owner` controls, each with its view, in order of name."""
    found = reader.find(BY_CONTROLLER[kind], owner.uid)
    return [(obj, convert(obj, view_type)) for obj in sorted(found, key=lambda obj: str(obj["metadata"]["name"]))]


def controller_reference(owner: Object) -> Object:
    """Return the owner reference that a controller writes into what it makes."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def template_hash(template: Object) -> str:
    """Return ten safe characters that stand for a pod template; equal templates have equal ones."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    letters = []
    for _ in range(10):
        number, digit = divmod(number, len(SAFE_ALPHABET))
        letters.append(SAFE_ALPHABET[digit])
    return "".join(letters)


def generated_name(owner: Object, suffix: str) -> str:
    """Return the name of a pod of `owner`, cut where it is long to what a host name may have."""
    return f"{owner['metadata']['name']}-"[: 63 - len(suffix)] + suffix


def pod_from_template(owner: Object, name: str, extra_labels: Object | None = None) -> Object:
    """Return the pod `name` that `owner`'s template describes, owned by it."""
    template = owner["spec"]["template"]
    metadata = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(metadata.get("labels") or {}) | (extra_labels or {}),
            "annotations": dict(metadata.get("annotations") or {}),
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": dict(template["spec"]),
    }


def with_condition(conditions: Iterable[Object], new: Object, wall: str) -> list[Object]:
    """Return the conditions with `new` in place; its transition time moves only when its status does."""
    kept = []
    stamped = new | {"lastTransitionTime": wall}
    for condition in conditions:
        if condition.get("type") != new["type"]:
            kept.append(condition)
        elif condition.get("status") == new["status"]:
            stamped["lastTransitionTime"] = condition.get("lastTransitionTime", wall)
    return [*kept, stamped]
