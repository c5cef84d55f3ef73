"""`kubectl apply` at the server's side: a user's objects merged three ways into the stored ones, all or none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from emulator.api.custom_kinds import DEFINITION, kind_in
from emulator.api.messages import ApplyAction, ApplyOutcome, ControlError, ErrorCode, Object
from emulator.api.service_update import without_stale_fields
from emulator.api.store.merge import three_way
from emulator.api.store.normalize import normalized, reference_of
from emulator.api.store.store import Store
from emulator.api.validate import validate

_FIRST = frozenset({"Namespace", DEFINITION})
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def apply(store: Store, objects: Sequence[Object]) -> list[ApplyOutcome]:
    """Apply what a user wrote: all objects, or none if one is refused. Raises PodwireError.

    Namespaces and definitions come first, whatever their place; the outcomes are in the order of `objects`.
    """
    order = sorted(range(len(objects)), key=lambda index: objects[index].get("kind") not in _FIRST)
    outcomes: dict[int, ApplyOutcome] = {}
    with store.transaction():
        for index in order:
            outcomes[index] = _apply(store, objects[index])
    return [outcomes[index] for index in range(len(objects))]


def _apply(store: Store, obj: Object) -> ApplyOutcome:
    metadata = obj.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("generateName") and not metadata.get("name"):
        prefix = metadata["generateName"]
        raise ControlError(ErrorCode.INVALID, f"from {prefix}: cannot use generateName with apply; give it a name")
    modified = _annotated(normalized(obj, kind_in(store, obj)))
    reference = reference_of(modified)
    old = store.get(*reference)
    if old is None:
        action, stored = ApplyAction.CREATED, store.create(modified)
    else:
        stored = store.replace(_merged(modified, old))
        action = ApplyAction.UNCHANGED if stored is old else ApplyAction.CONFIGURED
    return ApplyOutcome(
        kind=reference.kind, namespace=reference.namespace, name=reference.name, action=action, object=stored
    )


def _merged(modified: Object, old: Object) -> Object:
    """Return `old` as `modified` changes it. Raises ControlError (INVALID): both may be right, and the result wrong."""
    merged = without_stale_fields(three_way(_last_applied(old), modified, old), old)
    problems = [] if merged.get("spec") == old.get("spec") else validate(_without_annotation(merged))
    if problems:
        reference = reference_of(old)
        text = "; ".join(map(str, problems))
        raise ControlError(ErrorCode.INVALID, f'{reference.kind} "{reference.name}": {text}')
    return merged


def _annotated(obj: Object) -> Object:
    """Return `obj` with itself as an annotation, as kubectl writes it, for the next `apply` to compare with."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED}
    configuration = {**obj, "metadata": {**metadata, "annotations": annotations}}
    text = json.dumps(configuration, separators=(",", ":"), sort_keys=True) + "\n"
    return {**obj, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: text}}}


def _without_annotation(obj: Object) -> Object:
    """Return `obj` as its author wrote it: our own annotation may be longer than annotations may be."""
    metadata = obj["metadata"]
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED}
    return obj | {"metadata": metadata | {"annotations": annotations}}


def _last_applied(obj: Object) -> Mapping[str, Any]:
    """Return the configuration that was applied last; empty if there was none or users broke the annotation."""
    text = obj["metadata"].get("annotations", {}).get(LAST_APPLIED)
    if not isinstance(text, str):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}
