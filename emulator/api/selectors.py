"""Label selectors, as objects and as kubectl's `-l` writes them.

They are parsed once into requirements that are then held against many objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct

from emulator.api.checks import formats
from emulator.api.objects.meta import LabelSelector
from emulator.errors import PodwireError


class SelectorError(PodwireError):
    """A selector that cannot be understood."""


class Operator(Enum):
    """How a requirement compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER_THAN = "Gt"
    LESS_THAN = "Lt"


class Requirement(Struct, frozen=True):
    """One condition on a label. NotIn also holds where the label is missing, as in Kubernetes."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil the condition."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
            case Operator.GREATER_THAN | Operator.LESS_THAN:
                return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        (bound,) = self.values
        if not _INTEGER.fullmatch(value):
            return False
        return int(value) > int(bound) if self.operator is Operator.GREATER_THAN else int(value) < int(bound)


class Selector(Struct, frozen=True):
    """All of its requirements must hold; one without requirements matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels are selected."""
        return all(requirement.matches(labels) for requirement in self.requirements)


EVERYTHING = Selector()

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_SET_TERM = re.compile(r"(?P<key>[^\s=!<>(),]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUALS_TERM = re.compile(r"(?P<key>[^\s=!<>(),]+)\s*(?P<operator>==|=|!=|>|<)\s*(?P<value>[^\s=!<>(),]*)")
_EXISTS_TERM = re.compile(r"(?P<negated>!)?\s*(?P<key>[^\s=!<>(),]+)")


def from_labels(labels: Mapping[str, str]) -> Selector:
    """Return the selector for objects that have all of these labels (a Service's `spec.selector`)."""
    return Selector(tuple(Requirement(key, Operator.IN, frozenset((value,))) for key, value in labels.items()))


def from_label_selector(selector: LabelSelector) -> Selector:
    """Return the selector of a `matchLabels` and `matchExpressions` object; an empty one matches everything."""
    expressions = tuple(
        Requirement(entry.key, _operator(entry.operator), frozenset(entry.values))
        for entry in selector.match_expressions
    )
    return Selector(from_labels(selector.match_labels).requirements + expressions)


def _operator(name: str) -> Operator:
    try:
        return Operator(name)
    except ValueError:
        raise SelectorError(f'"{name}" is not a valid label selector operator') from None


def matches_raw(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool | None:
    """Whether a label selector that was not validated yet selects labels; None if it cannot be read."""
    try:
        requirements = [
            Requirement(entry["key"], Operator(entry["operator"]), frozenset(entry.get("values") or ()))
            for entry in selector.get("matchExpressions") or ()
        ]
        match_labels = dict(selector.get("matchLabels") or {})
        return Selector((*from_labels(match_labels).requirements, *requirements)).matches(labels)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def parse_selector(text: str) -> Selector:
    """Parse kubectl's form: `a=b,c!=d,e in (x,y),f notin (z),g,!h,n>3`. Raises SelectorError."""
    requirements = []
    position = 0
    text = text.strip()
    while position < len(text):
        for pattern, make in _TERMS:
            found = pattern.match(text, position)
            if found and (rest := text[found.end() :].lstrip()[:1]) in ("", ","):
                requirements.append(make(found))
                position = len(text) - len(text[found.end() :].lstrip())
                break
        else:
            raise SelectorError(
                f'unable to parse the label selector "{text}" at "{text[position:]}": '
                "write a=b, a!=b, a in (b,c), a notin (b,c), a or !a, with commas between"
            )
        if rest == ",":
            position += 1
            position += len(text[position:]) - len(text[position:].lstrip())
            if position == len(text):
                raise SelectorError(f'unable to parse the label selector "{text}": it ends with a comma')
    return Selector(tuple(requirements))


def _set_requirement(found: re.Match[str]) -> Requirement:
    operator = Operator.IN if found["operator"] == "in" else Operator.NOT_IN
    return _checked(found["key"], operator, [value.strip() for value in found["values"].split(",")])


def _equals_requirement(found: re.Match[str]) -> Requirement:
    operators = {"!=": Operator.NOT_IN, ">": Operator.GREATER_THAN, "<": Operator.LESS_THAN}
    operator = operators.get(found["operator"], Operator.IN)
    if operator in (Operator.GREATER_THAN, Operator.LESS_THAN) and not _INTEGER.fullmatch(found["value"]):
        raise SelectorError(f'label selector: "{found["value"]}" after {found["operator"]} must be an integer')
    return _checked(found["key"], operator, [found["value"]])


def _exists_requirement(found: re.Match[str]) -> Requirement:
    return _checked(found["key"], Operator.DOES_NOT_EXIST if found["negated"] else Operator.EXISTS, [])


_TERMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Requirement]], ...] = (
    (_SET_TERM, _set_requirement),
    (_EQUALS_TERM, _equals_requirement),
    (_EXISTS_TERM, _exists_requirement),
)


def _checked(key: str, operator: Operator, values: list[str]) -> Requirement:
    problems = [f'key "{key}": {problem}' for problem in formats.qualified_name(key)]
    if operator in (Operator.IN, Operator.NOT_IN):
        problems += [f'value "{value}": {problem}' for value in values for problem in formats.label_value(value)]
    if problems:
        raise SelectorError(f"label selector: {problems[0]}")
    return Requirement(key, operator, frozenset(values))
