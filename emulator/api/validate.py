"""Validation of a whole object before it is kept: its type, its schema, and what must hold beyond the schema.

All problems are found at once, in the words that kubectl's users know. `apply` and the controller both ask here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from jsonschema_rs import ValidationError, ValidationErrorKind

from emulator.api import schema
from emulator.api.checks import cluster, pod, service, workload
from emulator.api.checks.metadata import check_metadata
from emulator.api.kinds import Kind, kind_of, why_unknown
from emulator.api.objects.meta import Object
from emulator.api.problem import Cursor, Path, Problem, closest, format_path, listed, quoted

_CHECKS: Mapping[str, Callable[[Cursor], None]] = MappingProxyType(
    {
        "ConfigMap": cluster.check_config_map,
        "CronJob": workload.check_cron_job,
        "CustomResourceDefinition": cluster.check_definition,
        "DaemonSet": workload.check_daemon_set,
        "Deployment": workload.check_deployment,
        "EndpointSlice": service.check_endpoint_slice,
        "Job": workload.check_job,
        "NetworkPolicy": cluster.check_network_policy,
        "Node": cluster.check_node,
        "Pod": pod.check_pod,
        "ReplicaSet": workload.check_workload,
        "ReplicationController": workload.check_replication_controller,
        "Secret": cluster.check_secret,
        "Service": service.check_service,
        "StatefulSet": workload.check_stateful_set,
    }
)

_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

MAX_SCHEMA_PROBLEMS = 100
"""So many of an object's schema problems are told; a file that is no manifest at all has thousands."""


def validate(obj: Any) -> list[Problem]:
    """Return everything that is wrong with an object, in the order of its fields; nothing if it may be kept.

    Values that are null must have been left out before (`objects.without_nulls`).
    """
    malformed, refused = examine(obj)
    return _in_order(obj, [*malformed, *refused])


def examine(obj: Any) -> tuple[list[Problem], list[Problem]]:
    """Return what is wrong with an object's form, and of a well-formed one what the API server refuses nevertheless.

    With the latter whoever only reads objects can do, as all of a cluster's components can, who check nothing again.
    """
    if not isinstance(obj, dict):
        return [Problem((), f"expected an object with apiVersion and kind, got {_type_name(obj)}")], []
    root = Cursor(obj)
    for name in ("apiVersion", "kind"):
        field = root.get(name)
        if not field.given:
            field.required()
        elif field.text is None:
            field.invalid("must be a string")
    if root.problems:
        return root.problems, []
    kind = kind_of(obj["apiVersion"], obj["kind"])
    if kind is None:
        return [Problem(("kind",), why_unknown(obj["apiVersion"], obj["kind"]))], []
    if kind.custom:
        check_metadata(root.get("metadata"), kind)
        return root.problems, []
    root.problems.extend(islice(_schema_problems(obj, kind), MAX_SCHEMA_PROBLEMS))
    check_metadata(root.get("metadata"), kind)
    spec = root.get("spec")
    if spec.value is None and kind.kind in ("Pod", "Service"):
        spec.required()
        return root.problems, []
    malformed = len(root.problems)
    if check := _CHECKS.get(kind.kind):
        check(root)
    return root.problems[:malformed], root.problems[malformed:]


def _schema_problems(obj: Object, kind: Kind) -> Iterator[Problem]:
    """Yield what the schema finds; a value of the wrong type is reported once, for its type."""
    errors = sorted(schema.validator(kind).iter_errors(obj), key=_is_not_type)
    mistyped: set[Path] = set()
    for error in errors:
        path = tuple(error.instance_path)
        if isinstance(error.kind, ValidationErrorKind.Type):
            mistyped.add(path)
        elif path in mistyped:
            continue
        yield from _translated(error, path, kind)


def _is_not_type(error: ValidationError) -> bool:
    return not isinstance(error.kind, ValidationErrorKind.Type)


def _translated(error: ValidationError, path: Path, kind: Kind) -> Iterator[Problem]:
    where = format_path(path)
    match error.kind:
        case ValidationErrorKind.AdditionalProperties(unexpected=unexpected):
            for name in unexpected:
                yield _unknown_field((*path, name), kind)
        case ValidationErrorKind.Required(property=name):
            yield Problem((*path, name), f"{format_path((*path, name))}: Required value")
        case ValidationErrorKind.Enum(options=options):
            supported = listed(str(option) for option in options)
            value = quoted(error.instance)
            yield Problem(path, f"{where}: Unsupported value: {value}: supported values: {supported}")
        case ValidationErrorKind.Type(types=types):
            wanted = " or ".join(_TYPE_NAMES[name] for name in types)
            text = (
                f"{where}: Invalid value: {quoted(error.instance)}: must be {wanted}, not {_type_name(error.instance)}"
            )
            scalar = not isinstance(error.instance, dict | list)
            yield Problem(path, text, expects_text=scalar and "string" in types)
        case ValidationErrorKind.Pattern():
            yield Problem(path, f"{where}: Invalid value: {quoted(error.instance)}: {_QUANTITY}")
        case _:
            yield Problem(path, f"{where}: Invalid value: {error.message}")


def _unknown_field(path: Path, kind: Kind) -> Problem:
    name = str(path[-1])
    message = f'unknown field "{format_path(path)}"'
    close = closest(name, schema.fields_at(kind, list(path[:-1])))
    return Problem(path, f'{message}; did you mean "{close}"?' if close else message)


_TYPE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "array": "a list",
        "boolean": "a boolean",
        "integer": "an integer",
        "null": "null",
        "number": "a number",
        "object": "a mapping",
        "string": "a string",
    }
)


def _type_name(value: Any) -> str:
    """Return what a user calls the type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "a mapping"


def _in_order(obj: Object, problems: list[Problem]) -> list[Problem]:
    """Sort problems by where their fields stand in the object; missing fields come after those that are there."""

    def position(problem: Problem) -> tuple[int, ...]:
        value: Any = obj
        places: list[int] = []
        for part in problem.path:
            if isinstance(value, dict):
                keys = list(value)
                places.append(keys.index(part) if part in value else len(keys))
                value = value.get(part) if isinstance(part, str) else None
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                places.append(part)
                value = value[part]
        return tuple(places)

    return sorted(dict.fromkeys(problems), key=position)
