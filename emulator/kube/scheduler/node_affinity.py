"""Required node affinity: which nodes a pod's `affinity.nodeAffinity` leaves.

Source: component-helpers/scheduling/corev1/nodeaffinity. Terms are alternatives; within one, all must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.api.objects.meta import Object
from emulator.api.objects.node import Node


def matches_affinity(affinity: Object, node: Node) -> bool:
    """Return whether `node` satisfies the required part of `affinity`; the preferred part is no condition."""
    required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": node.metadata.name}
    return any(
        _has_terms(term)
        and all(_holds(expression, node.metadata.labels) for expression in term.get("matchExpressions") or ())
        and all(_holds(expression, fields) for expression in term.get("matchFields") or ())
        for term in required.get("nodeSelectorTerms") or ()
    )


def _has_terms(term: Object) -> bool:
    return bool(term.get("matchExpressions") or term.get("matchFields"))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    values = expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(operator, value, values)
        case _:
            return False


def _compares(operator: str, value: str | None, values: Any) -> bool:
    if value is None or len(values) != 1:
        return False
    try:
        left, right = int(value), int(values[0])
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right
