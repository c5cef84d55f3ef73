"""Built-ins that only answer: `true`, `false`, `:`, `test`, `[`, `let`, `times`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from emulator.apps.shell import arithmetic
from emulator.apps.shell.flow import ShellError
from emulator.apps.shell.test_expression import Tester, TestProblem

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_UNKNOWN = 2


async def succeed(_shell: Interpreter, _words: Sequence[str]) -> int:
    """Run `:` or `true`."""
    await trio.lowlevel.checkpoint()
    return 0


async def fail(_shell: Interpreter, _words: Sequence[str]) -> int:
    """Run `false`."""
    await trio.lowlevel.checkpoint()
    return 1


async def test(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `test EXPRESSION` or `[ EXPRESSION ]`: 0 where it holds, 1 where it does not, 2 where it is none."""
    name, *operands = words
    try:
        if name == "[" and (not operands or operands.pop() != "]"):
            raise TestProblem("missing ]")
        tester = Tester(
            shell.session.files, shell.path, lambda number: number < 3 and shell.session.invocation.terminal
        )
        return int(not await tester.evaluate(operands))
    except TestProblem as problem:
        shell.complain(str(problem))
        return _UNKNOWN


async def let(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `let EXPRESSION...`: 1 where the last one is 0."""
    await trio.lowlevel.checkpoint()
    value = 0
    try:
        for word in words[1:]:
            value = arithmetic.evaluate(word, lambda name: shell.parameter(name) or "", shell.assign)
    except arithmetic.ArithmeticProblem as problem:
        raise ShellError(str(problem)) from None
    return int(not value)


async def times(shell: Interpreter, _words: Sequence[str]) -> int:
    """Run `times`: commands here take no time of a processor that would be theirs."""
    await trio.lowlevel.checkpoint()
    shell.print("0m0.000s 0m0.000s\n" * 2)
    return 0
