"""Custom kinds: what CustomResourceDefinitions say of them, and which of them a cluster has.

Their objects are kept as they are: no schema is asked, and no controller acts on them.
Source: apiextensions.k8s.io/v1 types.go; the plural of a kind without a definition is guessed (`kinds.kind_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from emulator.api.kinds import CUSTOM_KEPT, Kind, kind_of, why_unknown
from emulator.api.messages import ControlError, ErrorCode, Object
from emulator.api.problem import quoted
from emulator.api.store.index import Index

if TYPE_CHECKING:  # commands that list kinds import this too
    from emulator.api.store.admission import StoreReader

DEFINITION = "CustomResourceDefinition"
UNDEFINED = f"{CUSTOM_KEPT}; it has no CustomResourceDefinition here, so that a real API server refuses it"


def key_of_definition(definition: Object) -> str:
    """Return the `Kind.key` of what a definition defines."""
    spec: Any = definition.get("spec") or {}
    return f"{(spec.get('names') or {}).get('kind', '')}.{spec.get('group', '')}"


def _keys(definition: Object) -> Iterator[str]:
    yield key_of_definition(definition)


DEFINITIONS = Index(DEFINITION, _keys)
"""By the key of the kind that they define."""


def defined_kinds(definition: Object) -> list[Kind]:
    """Return the kinds of a definition, one for each version that is served, the stored one first."""
    spec = definition["spec"]
    names = spec["names"]
    served = [version for version in spec["versions"] if version.get("served")]
    served.sort(key=lambda version: not version.get("storage"))
    return [
        Kind(
            names["kind"],
            f"{spec['group']}/{version['name']}",
            names["plural"],
            tuple(names.get("shortNames") or ()),
            namespaced=spec.get("scope") == "Namespaced",
            note=CUSTOM_KEPT,
            in_all="all" in (names.get("categories") or ()),
            custom=True,
        )
        for version in served
    ]


def kind_in(reader: StoreReader, obj: Object) -> Kind:
    """Return the kind of an object, a custom one as the cluster's definition has it. Raises ControlError (INVALID)."""
    api_version, name = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    kind = kind_of(api_version, name)
    if kind is None:
        raise ControlError(ErrorCode.INVALID, why_unknown(api_version, name))
    if not kind.custom:
        return kind
    for definition in reader.find(DEFINITIONS, kind.key):
        return _served(definition, kind)
    return replace(kind, note=UNDEFINED)


def _served(definition: Object, asked: Kind) -> Kind:
    served = defined_kinds(definition)
    for kind in served:
        if kind.api_version == asked.api_version:
            return kind
    text = f"no matches for kind {quoted(asked.kind)} in version {quoted(asked.api_version)}"
    raise ControlError(ErrorCode.INVALID, f"{text}; use {served[0].api_version}" if served else text)


def find_custom(word: str, custom: Iterable[Kind]) -> Kind | None:
    """Return which of these kinds a word such as `certificates`, `cert` or `gateways.networking.istio.io` means."""
    lower = word.lower()
    return next((kind for kind in custom if lower in kind.names or lower == kind.key.lower()), None)


def custom_kinds(reader: StoreReader) -> list[Kind]:
    """Return the custom kinds of a cluster: the defined ones, and those of which there are objects all the same."""
    found = {key_of_definition(each): kind for each in reader.list(DEFINITION) for kind in defined_kinds(each)[:1]}
    for key in reader.kinds():
        if "." in key and key not in found:
            obj = next(iter(reader.list(key)), None)
            known = kind_of(obj["apiVersion"], obj["kind"]) if obj is not None else None
            if known is not None:
                found[key] = replace(known, note=UNDEFINED)
    return sorted(found.values(), key=lambda kind: kind.resource)
