"""`[[ ... ]]`: as `test`, but words are not split, `==` has a pattern to its right, and `=~` an expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from emulator.apps.regular_expression import ExpressionError, Match, compile_posix
from emulator.apps.shell.flow import ShellError
from emulator.apps.shell.pattern import compile_pattern
from emulator.apps.shell.syntax import Conditional, Word
from emulator.apps.shell.test_expression import Tester, TestProblem, is_binary, is_unary

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_UNKNOWN = 2
_SPECIAL = re.compile(r"[\\.\[\](){}*+?^$|]")


async def evaluate(shell: Interpreter, found: Conditional) -> int:
    """Evaluate; the status is 0, 1, or 2 where it makes no sense."""
    try:
        return int(not await _Evaluation(shell, found.terms).whole())
    except TestProblem as problem:
        shell.complain(str(problem))
        return _UNKNOWN


class _Evaluation:
    def __init__(self, shell: Interpreter, terms: tuple[Word | str, ...]) -> None:
        self._shell = shell
        self._terms = terms
        self._index = 0
        self._tester = Tester(shell.session.files, shell.path, lambda _: shell.session.invocation.terminal)

    def _peek(self, ahead: int = 0) -> Word | str | None:
        index = self._index + ahead
        return self._terms[index] if index < len(self._terms) else None

    async def whole(self) -> bool:
        value = await self._or(runs=True)
        if self._peek() is not None:
            raise TestProblem("syntax error in conditional expression")
        return value

    async def _or(self, *, runs: bool) -> bool:
        value = await self._and(runs=runs)
        while self._peek() == "||":
            self._index += 1
            value = await self._and(runs=runs and not value) or value
        return value

    async def _and(self, *, runs: bool) -> bool:
        value = await self._not(runs=runs)
        while self._peek() == "&&":
            self._index += 1
            value = await self._not(runs=runs and value) and value
        return value

    async def _not(self, *, runs: bool) -> bool:
        term = self._peek()
        if isinstance(term, Word) and term.bare == "!":
            self._index += 1
            return not await self._not(runs=runs)
        if term == "(":
            self._index += 1
            value = await self._or(runs=runs)
            if self._peek() != ")":
                raise TestProblem("closing paren expected")
            self._index += 1
            return value
        return await self._primary(runs=runs)

    async def _primary(self, *, runs: bool) -> bool:
        """Read a check, and make it if its answer counts."""
        term = self._peek()
        if not isinstance(term, Word):
            raise TestProblem("syntax error in conditional expression")
        following = self._peek(1)
        operator = following if isinstance(following, str) else following.bare if following is not None else None
        right = self._peek(2)
        if operator is not None and isinstance(right, Word) and (is_binary(operator) or operator == "=~"):
            self._index += 3
            return runs and await self._compare(term, operator, right)
        if term.bare is not None and is_unary(term.bare) and isinstance(following, Word):
            self._index += 2
            return runs and await self._tester.unary(term.bare, await self._shell.expander.text(following))
        self._index += 1
        return runs and bool(await self._shell.expander.text(term))

    def _note_groups(self, match: Match | None) -> None:
        """Set BASH_REMATCH: what matched, and its groups."""
        variables = self._shell.variables
        for name in [name for name in variables if name.startswith("BASH_REMATCH")]:
            variables.unset(name)
        if match is not None:
            variables.set("BASH_REMATCH", match.whole)
            for index, text in enumerate((match.whole, *match.groups())):
                variables.set(f"BASH_REMATCH[{index}]", text)

    async def _compare(self, left: Word, operator: str, right: Word) -> bool:
        text = await self._shell.expander.text(left)
        if operator in {"=", "==", "!="}:
            matches = compile_pattern(await self._shell.expander.runs(right)).fullmatch(text) is not None
            return matches == (operator != "!=")
        if operator == "=~":
            runs = await self._shell.expander.runs(right)
            expression = "".join(_SPECIAL.sub(r"\\\g<0>", part) if quoted else part for part, quoted in runs)
            try:
                match = compile_posix(expression, extended=True).search(text)
            except ExpressionError as error:
                raise ShellError(f"invalid regular expression '{expression}': {error}") from None
            self._note_groups(match)
            return match is not None
        return await self._tester.binary(text, operator, await self._shell.expander.text(right))
