"""expr: an expression of its arguments. Source: IEEE Std 1003.1-2017, volume 3, `expr`."""

from __future__ import annotations

import re

from emulator.apps.environment import Invocation
from emulator.apps.regular_expression import ExpressionError, compile_posix

_LEVELS = ({"|"}, {"&"}, {"=", "==", "!=", "<", "<=", ">", ">="}, {"+", "-"}, {"*", "/", "%"}, {":"})
_SYNTAX = 2


class _ProblemError(Exception):
    """What is no expression."""


async def main(invocation: Invocation) -> int:
    """Run `expr EXPRESSION`. Exit status 0; 1 where the value is empty or 0; 2 where it is no expression."""
    try:
        evaluation = _Evaluation(list(invocation.argv[1:]))
        value = evaluation.whole()
    except (_ProblemError, ExpressionError) as problem:
        invocation.write_error(f"expr: {problem}\n")
        return _SYNTAX
    invocation.write(f"{value}\n")
    return int(value in {"", "0"})


class _Evaluation:
    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._last = ""

    def whole(self) -> str:
        if not self._words:
            raise _ProblemError("missing operand\nTry 'expr --help' for more information.")
        value = self._level(0)
        if self._words:
            raise _ProblemError(f"syntax error: unexpected argument ‘{self._words[0]}’")
        return value

    def _next(self) -> str:
        if not self._words:
            raise _ProblemError(f"syntax error: missing argument after ‘{self._last}’")
        self._last = self._words.pop(0)
        return self._last

    def _level(self, level: int) -> str:
        if level == len(_LEVELS):
            return self._primary()
        value = self._level(level + 1)
        while self._words and self._words[0] in _LEVELS[level]:
            operator = self._next()
            value = _apply(operator, value, self._level(level + 1))
        return value

    def _primary(self) -> str:
        word = self._next()
        if word == "(":
            value = self._level(0)
            if self._next() != ")":
                raise _ProblemError("syntax error: expecting ')'")
            return value
        if word == "length" and self._words:
            return str(len(self._primary()))
        if word == "substr" and len(self._words) >= 3:
            text, start, length = self._primary(), self._primary(), self._primary()
            if not (_is_number(start) and _is_number(length)) or int(start) < 1:
                return ""
            return text[int(start) - 1 : int(start) - 1 + max(0, int(length))]
        if word == "match" and len(self._words) >= 2:
            return _match(self._primary(), self._primary())
        return word


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+", text) is not None


def _apply(operator: str, left: str, right: str) -> str:
    if operator == ":":
        return _match(left, right)
    if operator == "|":
        return left if left not in {"", "0"} else (right or "0")
    if operator == "&":
        return left if left not in {"", "0"} and right not in {"", "0"} else "0"
    numbers = _is_number(left) and _is_number(right)
    if operator in _LEVELS[2]:
        order = (int(left) > int(right)) - (int(left) < int(right)) if numbers else (left > right) - (left < right)
        return str(int(_compare(operator, order)))
    if not numbers:
        raise _ProblemError("non-integer argument")
    a, b = int(left), int(right)
    if operator in {"/", "%"}:
        if not b:
            raise _ProblemError("division by zero")
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return str(quotient if operator == "/" else a - quotient * b)
    return str({"+": a + b, "-": a - b, "*": a * b}[operator])


def _compare(operator: str, order: int) -> bool:
    return {
        "=": order == 0, "==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0,
        ">=": order >= 0,
    }[operator]  # fmt: skip


def _match(text: str, expression: str) -> str:
    """Match from the beginning: what the first group holds, else how many characters matched."""
    match = compile_posix(expression, extended=False).match(text)
    if re.search(r"\\\(", expression):
        return "" if match is None else match[1] or ""
    return str(0 if match is None else len(match.whole))
