"""`$((...))`: C's integer expressions over 64-bit numbers and variables, as shells have them.

Source: IEEE Std 1003.1-2017, volume 3, 2.6.4; `**` and `,` as in ash and bash.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from emulator.apps.shell.scanner import is_name

_TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|[0-9]+#[0-9a-zA-Z]+|[0-9]+|[A-Za-z_][A-Za-z0-9_]*"
    r"|<<=|>>=|\*\*|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%&|^]=|[-+*/%<>=!~&|^?:(),])"
)
_BINARY = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, "<=": 7, ">": 7, ">=": 7, "<<": 8, ">>": 8,
    "+": 9, "-": 9, "*": 10, "/": 10, "%": 10, "**": 11,
}  # fmt: skip
_ASSIGNMENTS = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="})
_DEEPEST = 40


class ArithmeticProblem(Exception):  # noqa: N818 - a message for a shell's user, as ash words it
    """An expression that cannot be evaluated."""


def evaluate(text: str, get: Callable[[str], str], put: Callable[[str, str], None], depth: int = 0) -> int:
    """Evaluate an expression; an empty one is 0. ArithmeticProblem."""
    if depth > _DEEPEST:
        raise ArithmeticProblem("expression recursion loop detected")
    tokens: list[str] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ArithmeticProblem("arithmetic syntax error")
        tokens.append(match[1])
        position = match.end()
    if not tokens:
        return 0
    try:
        evaluation = _Evaluation(tokens, get, put, depth)
        value = evaluation.comma()
    except RecursionError:
        raise ArithmeticProblem("arithmetic syntax error") from None
    if evaluation.rest():
        raise ArithmeticProblem("arithmetic syntax error")
    return value


def wrap(value: int) -> int:
    """Keep the 64 bits that a signed number has."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def constant(text: str) -> int:
    """Read a number: decimal, 0 for octal, 0x, or BASE#DIGITS. ArithmeticProblem."""
    try:
        if "#" in text:
            base, _, digits = text.partition("#")
            return wrap(int(digits, int(base)))
        if text[:2].lower() == "0x":
            return wrap(int(text, 16))
        return wrap(int(text, 8 if text.startswith("0") and len(text) > 1 else 10))
    except ValueError:
        raise ArithmeticProblem("arithmetic syntax error") from None


class _Evaluation:
    """Precedence climbing over tokens. What `&&`, `||` and `?:` leave out is read `_muted`: nothing is assigned."""

    def __init__(
        self, tokens: list[str], get: Callable[[str], str], put: Callable[[str, str], None], depth: int
    ) -> None:
        self._tokens = tokens
        self._get = get
        self._put = put
        self._depth = depth
        self._index = 0
        self._muted = 0

    def rest(self) -> list[str]:
        return self._tokens[self._index :]

    def _peek(self, ahead: int = 0) -> str:
        index = self._index + ahead
        return self._tokens[index] if index < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._index += 1
        return token

    def comma(self) -> int:
        value = self.assignment()
        while self._peek() == ",":
            self._next()
            value = self.assignment()
        return value

    def assignment(self) -> int:
        name, operator = self._peek(), self._peek(1)
        if is_name(name) and operator in _ASSIGNMENTS:
            self._index += 2
            value = self.assignment()
            if operator != "=":
                value = self._apply(operator[:-1], self._value(name), value)
            return self._assign(name, value)
        return self._conditional()

    def _assign(self, name: str, value: int) -> int:
        if not self._muted:
            self._put(name, str(value))
        return value

    def _value(self, name: str) -> int:
        if self._muted:
            return 0
        return evaluate(self._get(name), self._get, self._put, self._depth + 1)

    def _conditional(self) -> int:
        condition = self._binary(1)
        if self._peek() != "?":
            return condition
        self._next()
        first = self._maybe(self.comma, runs=bool(condition))
        if self._next() != ":":
            raise ArithmeticProblem("malformed ?: operator")
        second = self._maybe(self.assignment, runs=not condition)
        return first if condition else second

    def _maybe(self, read: Callable[[], int], *, runs: bool) -> int:
        self._muted += not runs
        value = read()
        self._muted -= not runs
        return value

    def _binary(self, lowest: int) -> int:
        left = self._unary()
        while (operator := self._peek()) in _BINARY and _BINARY[operator] >= lowest:
            self._next()
            power = _BINARY[operator]
            level = power if operator == "**" else power + 1
            if operator in {"&&", "||"}:
                runs = bool(left) == (operator == "&&")
                right = self._maybe(partial(self._binary, level), runs=runs)
                left = int(bool(right)) if runs else int(bool(left))
            else:
                left = self._apply(operator, left, self._binary(level))
        return left

    def _unary(self) -> int:
        token = self._next()
        match token:
            case "+":
                return self._unary()
            case "-":
                return wrap(-self._unary())
            case "~":
                return ~self._unary()
            case "!":
                return int(not self._unary())
            case "(":
                value = self.comma()
                if self._next() != ")":
                    raise ArithmeticProblem("arithmetic syntax error")
                return value
            case "++" | "--":
                if not is_name(self._peek()):  # - -1
                    return self._unary()
                name = self._next()
                return self._assign(name, wrap(self._value(name) + (1 if token == "++" else -1)))
        if is_name(token):
            value = self._value(token)
            if self._peek() in {"++", "--"}:
                self._assign(token, wrap(value + (1 if self._next() == "++" else -1)))
            return value
        if not token[:1].isdigit():
            raise ArithmeticProblem("arithmetic syntax error")
        return constant(token)

    def _apply(self, operator: str, left: int, right: int) -> int:
        if operator in {"/", "%"}:
            if not right:
                if self._muted:
                    return 0
                raise ArithmeticProblem("divide by zero")
            quotient = abs(left) // abs(right)
            quotient = quotient if (left < 0) == (right < 0) else -quotient
            return wrap(quotient if operator == "/" else left - quotient * right)
        if operator == "**":
            if right < 0:
                raise ArithmeticProblem("exponent less than 0")
            return wrap(pow(left, right, 1 << 64))
        return wrap(_PLAIN[operator](left, right))


_PLAIN: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b),
    ">": lambda a, b: int(a > b),
    ">=": lambda a, b: int(a >= b),
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
}
