"""What every Kubernetes object carries: metadata, owners, label selectors, conditions.

Objects travel and are stored whole as JSON-like dicts; these views read the fields that the emulator acts on.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

Object: TypeAlias = dict[str, Any]
"""A whole Kubernetes object as it travels and is stored: JSON types only."""

IntOrString: TypeAlias = int | str
"""A number, or a name or percentage (`targetPort: http`, `maxSurge: 25%`)."""


class OwnerReference(Struct, frozen=True, kw_only=True, rename="camel"):
    """The object whose deletion deletes this one."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Struct, frozen=True, kw_only=True, rename="camel"):
    """Names, labels and bookkeeping of an object; timestamps are RFC 3339 strings."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if there is one."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class LabelSelectorRequirement(Struct, frozen=True, kw_only=True, rename="camel"):
    """One `matchExpressions` entry; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Struct, frozen=True, kw_only=True, rename="camel"):
    """A selector over labels: all of `match_labels` and all of `match_expressions` must hold."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    """One entry of `status.conditions`; `status` is True, False or Unknown, as a string."""

    type: str
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class ObjectReference(Struct, frozen=True, kw_only=True, rename="camel"):
    """A pointer from one object to another (`endpoints[].targetRef`)."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class PartialObject(Struct, frozen=True, kw_only=True, rename="camel"):
    """Any object, seen only as far as its metadata."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()
