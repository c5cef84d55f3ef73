"""`export`, `readonly`, `local` and `unset`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from emulator.apps.shell.flow import ShellError
from emulator.apps.shell.quoting import single_quoted
from emulator.apps.shell.scanner import is_name

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter


async def export(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `export [-n] [NAME[=VALUE]]...`; alone or with -p it lists."""
    return await _mark(shell, words, exports=True)


async def make_read_only(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `readonly [NAME[=VALUE]]...`; alone or with -p it lists."""
    return await _mark(shell, words, exports=False)


async def _mark(shell: Interpreter, words: Sequence[str], *, exports: bool) -> int:
    await trio.lowlevel.checkpoint()
    operands = [word for word in words[1:] if word not in {"-p", "-n", "--"}]
    if not operands:
        for name in shell.variables:
            variable = shell.variables.of(name)
            if variable.exported if exports else variable.read_only:
                shown = "" if variable.value is None else f"={single_quoted(variable.value)}"
                shell.print(f"{words[0]} {name}{shown}\n")
        return 0
    for operand in operands:
        name, value = _named(shell, words[0], operand)
        if value is not None:
            shell.assign(name, value)
        if exports:
            shell.variables.mark(name, exported="-n" not in words)
        else:
            shell.variables.mark(name, read_only=True)
    return 0


def _named(shell: Interpreter, command: str, operand: str) -> tuple[str, str | None]:
    name, equals, value = operand.partition("=")
    if not is_name(name):
        raise ShellError(f"{command}: line {shell.line}: {name}: bad variable name")
    return name, value if equals else None


async def make_local(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `local NAME[=VALUE]...`."""
    await trio.lowlevel.checkpoint()
    if not shell.variables.in_function:
        raise ShellError(f"local: line {shell.line}: not in a function")
    for operand in words[1:]:
        if operand.startswith("-"):
            continue
        name, value = _named(shell, "local", operand)
        shell.variables.make_local(name)
        if value is not None:
            shell.assign(name, value)
    return 0


async def unset(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `unset [-v | -f] NAME...`."""
    await trio.lowlevel.checkpoint()
    operands = list(words[1:])
    of_functions = False
    while operands and operands[0].startswith("-"):
        option = operands.pop(0)
        if option not in {"-v", "-f", "--"}:
            raise ShellError(f"unset: line {shell.line}: illegal option {option}")
        of_functions = option == "-f"
    for name in operands:
        if of_functions:
            shell.functions.pop(name, None)
        else:
            shell.variables.unset(name)
    return 0
