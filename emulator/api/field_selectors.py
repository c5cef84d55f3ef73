"""Field selectors as `--field-selector` writes them, over the few fields of each kind that the API server knows.

Sources: Kubernetes pkg/apis/{core,apps,batch,certificates}/v1/conversion.go (which fields), the kinds' strategies in
pkg/registry (ToSelectableFields, and what a field reads as that is not set).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from emulator.api.kinds import Kind
from emulator.api.problem import quoted
from emulator.api.selectors import SelectorError


class Field(Struct, frozen=True):
    """Where a field is in an object, and what it reads as where it is missing."""

    path: tuple[str, ...]
    default: str = ""

    def of(self, obj: Mapping[str, Any]) -> str:
        """Return its value as text."""
        value: Any = obj
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, bool):
            return str(value).lower()
        return self.default if value is None else str(value)


def _field(label: str, default: str = "") -> Field:
    return Field(tuple(label.split(".")), default)


_METADATA = {label: _field(label) for label in ("metadata.name", "metadata.namespace")}
_POD = {
    **{label: _field(label) for label in ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName")},
    **{label: _field(label) for label in ("spec.serviceAccountName", "status.phase", "status.podIP")},
    "spec.hostNetwork": _field("spec.hostNetwork", "false"),
    "status.podIPs": _field("status.podIP"),
    "status.nominatedNodeName": _field("status.nominatedNodeName"),
    "spec.host": _field("spec.nodeName"),  # of old clients
}
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT = {
    **{label: _field(label) for label in (f"involvedObject.{name}" for name in _INVOLVED)},
    **{label: _field(label) for label in ("reason", "reportingComponent", "type")},
    "source": _field("source.component"),
}
_OF_KIND: Mapping[str, Mapping[str, Field]] = {
    "Pod": _POD,
    "Event": _EVENT,
    "Node": {"spec.unschedulable": _field("spec.unschedulable", "false")},
    "Namespace": {"status.phase": _field("status.phase", "Active")},
    "Secret": {"type": _field("type", "Opaque")},
    "Service": {label: _field(label) for label in ("spec.clusterIP", "spec.type")},
    "ReplicaSet": {"status.replicas": _field("status.replicas", "0")},
    "ReplicationController": {"status.replicas": _field("status.replicas", "0")},
    "StatefulSet": {"status.successful": _field("status.successful")},
    "Job": {"status.successful": _field("status.succeeded", "0")},
    "CertificateSigningRequest": {"spec.signerName": _field("spec.signerName")},
}


def fields_of(kind: Kind) -> Mapping[str, Field]:
    """Return the fields of a kind that can be selected by."""
    metadata = _METADATA if kind.namespaced else {"metadata.name": _METADATA["metadata.name"]}
    return {**metadata, **({} if kind.custom else _OF_KIND.get(kind.kind, {}))}


class FieldTerm(Struct, frozen=True):
    """One condition of a field selector."""

    field: Field
    equal: bool
    value: str

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether the object's field fulfils the condition."""
        return (self.field.of(obj) == self.value) is self.equal


class FieldSelector(Struct, frozen=True):
    """All of its terms must hold."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether the object is selected."""
        return all(term.matches(obj) for term in self.terms)


_TERM = re.compile(r"\s*(?P<label>[A-Za-z][A-Za-z0-9.]*)\s*(?P<operator>==|=|!=)(?P<value>.*)", re.DOTALL)


def parse_field_selector(text: str, kind: Kind) -> FieldSelector:
    """Parse `spec.nodeName=node-a,status.phase!=Running`; values may escape `,`, `=` and a backslash by a backslash.

    Raises SelectorError, in the API server's words for a field that the kind does not have.
    """
    terms = []
    known = fields_of(kind)
    for part in re.split(r"(?<!\\),", text) if text.strip() else ():
        found = _TERM.fullmatch(part)
        if not found or found["label"].endswith("."):
            raise SelectorError(f"invalid field selector {quoted(part)}: write field=value or field!=value")
        field = known.get(found["label"])
        if field is None:
            raise SelectorError(_not_supported(text, found["label"], kind))
        value = re.sub(r"\\([,=\\])", r"\1", found["value"].strip())
        terms.append(FieldTerm(field, found["operator"] != "!=", value))
    return FieldSelector(tuple(terms))


def _not_supported(text: str, label: str, kind: Kind) -> str:
    group = kind.api_version if kind.group else f"/{kind.version}"
    known = ", ".join(sorted(fields_of(kind)))
    return (
        f'Unable to find "{group}, Resource={kind.plural}" that match label selector "", '
        f"field selector {quoted(text)}: field label not supported: {label}; {kind.plural} have: {known}"
    )
