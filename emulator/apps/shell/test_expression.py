"""`test` and `[`: checks of strings, numbers and files. Source: IEEE Std 1003.1-2017, volume 3, `test`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from emulator.apps.filesystem import Files, Status

_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}
_STRINGS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}
_OF_FILES = frozenset({"-nt", "-ot", "-ef"})
_UNARY = frozenset("-" + letter for letter in "bcdefghknprstuwxzGLOS")
_NEVER = frozenset({"-b", "-g", "-h", "-k", "-L", "-p", "-S", "-u"})  # there are no such files here
_NUMBER = re.compile(r"\s*[-+]?[0-9]+\s*")


class TestProblem(Exception):  # noqa: N818 - a message for a shell's user, as ash words it
    """What is no expression; `test` ends with 2."""


class Tester:
    """Evaluates expressions over files. `path` makes a name absolute, `is_terminal` is of a descriptor's number."""

    def __init__(self, files: Files, path: Callable[[str], str], is_terminal: Callable[[int], bool]) -> None:
        self._files = files
        self._path = path
        self._is_terminal = is_terminal

    async def evaluate(self, words: Sequence[str]) -> bool:
        """Evaluate the words of a command, by their number where POSIX says what that means. TestProblem."""
        words = list(words)
        match words:
            case []:
                return False
            case [word]:
                return bool(word)
            case ["!", *rest] if len(rest) <= 3:
                return not await self.evaluate(rest)
            case [left, operator, right] if is_binary(operator):
                return await self.binary(left, operator, right)
            case ["(", *inner, ")"] if len(words) <= 4:
                return await self.evaluate(inner)
            case [operator, operand] if operator in _UNARY:
                return await self.unary(operator, operand)
        return await _Grammar(self, words).whole()

    async def unary(self, operator: str, operand: str) -> bool:
        """Evaluate a check of one string or file."""
        match operator:
            case "-n":
                return bool(operand)
            case "-z":
                return not operand
            case "-t":
                return self._is_terminal(number(operand))
        status = await self._status(operand)
        if status is None or operator in _NEVER:
            return False
        return _holds(operator, status)

    async def binary(self, left: str, operator: str, right: str) -> bool:
        """Evaluate a comparison."""
        if operator in _STRINGS:
            return _STRINGS[operator](left, right)
        if operator in _COMPARISONS:
            return _COMPARISONS[operator](number(left), number(right))
        if operator == "-ef":
            return self._path(left) == self._path(right) and await self._status(left) is not None
        first, second = await self._status(left), await self._status(right)
        if operator == "-ot":
            first, second = second, first
        return first is not None and (second is None or first.modified > second.modified)

    async def _status(self, name: str) -> Status | None:
        return await self._files.status(self._path(name)) if name else None


def is_binary(operator: str) -> bool:
    """Whether a word compares two others."""
    return operator in _STRINGS or operator in _COMPARISONS or operator in _OF_FILES


def is_unary(operator: str) -> bool:
    """Whether a word checks another."""
    return operator in _UNARY


def number(text: str) -> int:
    """Read a number. TestProblem."""
    if _NUMBER.fullmatch(text) is None:
        raise TestProblem(f"{text}: bad number")
    return int(text)


def _holds(operator: str, status: Status) -> bool:
    match operator:
        case "-d":
            return status.is_folder
        case "-f":
            return not status.is_folder and not status.is_device
        case "-c":
            return status.is_device
        case "-s":
            return status.size > 0
        case "-x":
            return bool(status.mode & 0o111)
    return True  # -e, and what root may always do


class _Grammar:
    """Longer expressions: `!`, parentheses, `-a` before `-o`."""

    def __init__(self, tester: Tester, words: Sequence[str]) -> None:
        self._tester = tester
        self._words = words
        self._index = 0

    def _peek(self, ahead: int = 0) -> str | None:
        index = self._index + ahead
        return self._words[index] if index < len(self._words) else None

    async def whole(self) -> bool:
        value = await self._or()
        if self._peek() is not None:
            raise TestProblem(f"{self._peek()}: unknown operand")
        return value

    async def _or(self) -> bool:
        value = await self._and()
        while self._peek() == "-o":
            self._index += 1
            value = await self._and() or value
        return value

    async def _and(self) -> bool:
        value = await self._not()
        while self._peek() == "-a":
            self._index += 1
            value = await self._not() and value
        return value

    async def _not(self) -> bool:
        if self._peek() == "!":
            self._index += 1
            return not await self._not()
        return await self._primary()

    async def _primary(self) -> bool:
        word, operator, right = self._peek(), self._peek(1), self._peek(2)
        if word is None:
            raise TestProblem("argument expected")
        if operator is not None and right is not None and is_binary(operator):
            self._index += 3
            return await self._tester.binary(word, operator, right)
        if word == "(":
            self._index += 1
            value = await self._or()
            if self._peek() != ")":
                raise TestProblem("closing paren expected")
            self._index += 1
            return value
        if word in _UNARY and operator is not None:
            self._index += 2
            return await self._tester.unary(word, operator)
        self._index += 1
        return bool(word)
