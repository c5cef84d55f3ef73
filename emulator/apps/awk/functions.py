"""awk's own functions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from emulator.apps.awk.lexer import AwkError
from emulator.apps.awk.machine import Machine, Value, expression, number, text
from emulator.apps.regular_expression import Expression, Match

Function = Callable[[Machine, list[Value]], Value]
TARGETS = frozenset({"gsub", "match", "split", "sub"})
"""Functions of which an argument is a place, an array or an expression; the parser makes them."""

_DIRECTIVE = re.compile(r"%(?:%|([-+ 0#]*)(\*|[0-9]+)?(?:\.(\*|[0-9]*))?([a-zA-Z]))")
_WIDEST = 4_096


class _Assignable(Protocol):
    def get(self, machine: Machine) -> Value: ...

    def put(self, machine: Machine, value: Value) -> None: ...


def formatted(values: list[Value]) -> str:
    """Format values by the first one, as sprintf does. AwkError."""
    if not values:
        raise AwkError("printf: no format")
    left = list(values[1:])

    def next_value() -> Value:
        return left.pop(0) if left else ""

    def convert(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        flags, width, precision, letter = match.groups()
        spec = flags
        if width is not None:
            size = int(number(next_value())) if width == "*" else int(width)
            spec += ("-" if size < 0 else "") + str(min(abs(size), _WIDEST))
        if precision is not None:
            size = int(number(next_value())) if precision == "*" else int(precision or "0")
            spec += f".{min(size, _WIDEST)}"
        value = next_value()
        if letter in "di":
            return f"%{spec}d" % int(number(value))
        if letter in "oxXu":
            return f"%{spec}{'d' if letter == 'u' else letter}" % int(number(value))
        if letter in "eEfFgG":
            return f"%{spec}{letter}" % number(value)
        if letter == "c":
            return f"%{spec}s" % (chr(int(value)) if isinstance(value, float) else value[:1])
        if letter == "s":
            return f"%{spec}s" % text(value)
        raise AwkError(f"printf: %{letter} is no conversion")

    return _DIRECTIVE.sub(convert, text(values[0]))


def replace_in(
    machine: Machine, pattern: Expression, replacement: Callable[[Machine], Value], target: _Assignable, *,
    everywhere: bool,
) -> Value:  # fmt: skip
    """Replace what matches in a place; return how often."""
    source = text(replacement(machine))

    def put(match: Match) -> str:
        return re.sub(r"\\(.)|&", lambda each: _put(each, match.whole), source)

    changed, count = pattern.subn(put, text(target.get(machine)), count=0 if everywhere else 1)
    if count:
        target.put(machine, changed)
    return float(count)


def parts_of(subject: str, separator: Value | Expression) -> list[str]:
    """Cut text as split does."""
    if not subject:
        return []
    if isinstance(separator, Expression):
        return separator.split(subject)
    mark = text(separator)
    if mark == " ":
        return subject.split()
    if not mark:
        return list(subject)
    return subject.split(mark) if len(mark) == 1 else expression(mark).split(subject)


def _length(machine: Machine, values: list[Value]) -> Value:
    return float(len(text(values[0] if values else machine.field(0))))


def _substr(_machine: Machine, values: list[Value]) -> Value:
    subject, start = text(values[0]), round(number(values[1]))
    end = start + round(number(values[2])) if len(values) > 2 else len(subject) + 1
    return subject[max(start, 1) - 1 : max(end, 1) - 1]


def _index(_machine: Machine, values: list[Value]) -> Value:
    return float(text(values[0]).find(text(values[1])) + 1)


def _of_number(act: Callable[[float], float]) -> Function:
    def run(_machine: Machine, values: list[Value]) -> Value:
        try:
            return float(act(number(values[0])))
        except (ValueError, OverflowError):
            return math.nan

    return run


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "cos": _of_number(math.cos),
        "exp": _of_number(math.exp),
        "index": _index,
        "int": _of_number(math.trunc),
        "length": _length,
        "log": _of_number(math.log),
        "sin": _of_number(math.sin),
        "sprintf": lambda _machine, values: formatted(values),
        "sqrt": _of_number(math.sqrt),
        "substr": _substr,
        "tolower": lambda _machine, values: text(values[0]).lower(),
        "toupper": lambda _machine, values: text(values[0]).upper(),
    }
)


def _put(each: re.Match[str], matched: str) -> str:
    """Return what `&` or an escape stands for in what is put in."""
    if each[0] == "&":
        return matched
    return each[1] if each[1] in "&\\" else each[0]
