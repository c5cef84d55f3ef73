"""JSON Schemas of the kinds, generated from Kubernetes' OpenAPI model by scripts/generate-schema; loaded when asked."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema_rs
import msgspec

from emulator.api.kinds import Kind

Schema: TypeAlias = dict[str, Any]

_PREFIX = "#/definitions/"


class _Document(msgspec.Struct, frozen=True):
    source: str
    kinds: dict[str, str]
    definitions: dict[str, Schema]


@cache
def _document() -> _Document:
    return msgspec.json.decode(Path(__file__).with_name("kubernetes.json").read_bytes(), type=_Document)


@cache
def validator(kind: Kind) -> jsonschema_rs.Draft7Validator:
    """Return the compiled schema of a kind; the first call for a kind takes some milliseconds."""
    document = _document()
    root = document.kinds[f"{kind.api_version}/{kind.kind}"]
    definitions: dict[str, Schema] = {}
    pending = [root]
    while pending:
        name = pending.pop()
        if name not in definitions:
            definitions[name] = document.definitions[name]
            pending.extend(re.findall(rf'"{_PREFIX}(\w+)"', msgspec.json.encode(definitions[name]).decode()))
    return jsonschema_rs.Draft7Validator({"$ref": f"{_PREFIX}{root}", "definitions": definitions})


def fields_at(kind: Kind, path: list[str | int]) -> tuple[str, ...]:
    """Return the names of the fields that an object of this kind may have at a path; empty where any may be."""
    document = _document()
    schema: Schema = {"$ref": _PREFIX + document.kinds[f"{kind.api_version}/{kind.kind}"]}
    for part in (*path, None):
        if "$ref" in schema:
            schema = document.definitions[schema["$ref"].removeprefix(_PREFIX)]
        if part is None:
            break
        if isinstance(part, int):
            schema = schema.get("items") or {}
        else:
            further = schema.get("additionalProperties") or {}
            schema = schema.get("properties", {}).get(part, further)
    return tuple(schema.get("properties", ()))
