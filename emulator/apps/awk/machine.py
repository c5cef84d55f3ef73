"""What a running awk program has: fields, variables, arrays; and what its values mean as numbers and strings."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from emulator.apps.awk.lexer import AwkError
from emulator.apps.regular_expression import Expression, ExpressionError, compile_posix

_NUMBER = re.compile(r"\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)")
_MOST_FIELDS = 10_000


class Numeric(str):
    """Text that came from input: it compares as a number if it looks like one."""

    __slots__ = ()


Value = float | str


def number(value: Value) -> float:
    """Return a value as a number: of text what it begins with."""
    if isinstance(value, float):
        return value
    match = _NUMBER.match(value)
    return float(match[1]) if match is not None else 0.0


def text(value: Value, form: str = "%.6g") -> str:
    """Return a value as text."""
    if isinstance(value, str):
        return str(value)
    if value == int(value) if abs(value) < 1e16 else False:
        return str(int(value))
    return form % value


def is_true(value: Value) -> bool:
    """Whether a value counts as true."""
    if isinstance(value, Numeric) and looks_numeric(value):
        return number(value) != 0
    return value != 0.0 if isinstance(value, float) else bool(value)


def looks_numeric(value: str) -> bool:
    """Whether text is a number and nothing else."""
    match = _NUMBER.match(value)
    return match is not None and not value[match.end() :].strip()


def _is_number(value: Value) -> bool:
    return isinstance(value, float) or (isinstance(value, Numeric) and looks_numeric(value))


def compare(left: Value, right: Value) -> int:
    """Return -1, 0 or 1: as numbers where both are or look like it, else as text."""
    if _is_number(left) and _is_number(right):
        a, b = number(left), number(right)
        return (a > b) - (a < b)
    first, second = text(left), text(right)
    return (first > second) - (first < second)


@lru_cache(maxsize=32)
def expression(source: str) -> Expression:
    """Compile an extended regular expression. AwkError."""
    try:
        return compile_posix(source, extended=True)
    except ExpressionError as error:
        raise AwkError(f"{error}: /{source}/") from None


class Machine:
    """Variables and the line that is looked at."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.variables: dict[str, Value] = {
            "FS": " ", "OFS": " ", "ORS": "\n", "RS": "\n", "SUBSEP": "\x1c", "NR": 0.0, "FNR": 0.0, "FILENAME": "",
            "CONVFMT": "%.6g", "OFMT": "%.6g", "RSTART": 0.0, "RLENGTH": -1.0,
        }  # fmt: skip
        self.arrays: dict[str, dict[str, Value]] = {}
        self.steps = 0
        self._line = ""
        self._fields: list[str] = []

    def take(self, line: str) -> None:
        """Look at a line."""
        self._line = line
        separator = text(self.variables["FS"])
        if separator == " ":
            self._fields = line.split()
        elif not line:
            self._fields = []
        elif (len(separator) == 1 and separator not in "|.*+?()[]{}^$\\") or separator in {"|", ".", "*", "+", "?"}:
            self._fields = line.split(separator)
        else:
            self._fields = expression(separator).split(line)

    def get(self, name: str) -> Value:
        """Return a variable."""
        return float(len(self._fields)) if name == "NF" else self.variables.get(name, Numeric(""))

    def put(self, name: str, value: Value) -> None:
        """Set a variable; NF cuts or adds fields."""
        if name == "NF":
            count = min(int(number(value)), _MOST_FIELDS)
            self._fields = (self._fields + [""] * count)[:count]
            self._join()
        else:
            self.variables[name] = value

    def field(self, index: int) -> Value:
        """Return a field; the line for 0."""
        if index < 0:
            raise AwkError(f"attempt to access field {index}")
        if not index:
            return Numeric(self._line)
        return Numeric(self._fields[index - 1]) if index <= len(self._fields) else Numeric("")

    def put_field(self, index: int, value: Value) -> None:
        """Set a field, and make the line anew; or the line, and make the fields anew."""
        if not index:
            self.take(text(value))
            return
        if not 0 < index <= _MOST_FIELDS:
            raise AwkError(f"attempt to access field {index}")
        self._fields += [""] * (index - len(self._fields))
        self._fields[index - 1] = text(value)
        self._join()

    def _join(self) -> None:
        self._line = text(self.variables["OFS"]).join(self._fields)

    def step(self) -> None:
        """Count a turn of a loop: one without end would hold up everything else."""
        self.steps += 1
        if self.steps > 1_000_000:
            raise AwkError("a loop of more than a million turns was ended")
