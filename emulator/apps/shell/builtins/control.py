"""Built-ins that change what runs next: `exit`, `return`, `break`, `eval`, `.`, `exec`, `command`, `type`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from emulator.apps.shell.builtin_names import SPECIAL
from emulator.apps.shell.flow import FunctionReturn, LoopBreak, LoopContinue, ShellError, ShellExit
from emulator.apps.shell.program import find_program, run_program
from emulator.apps.shell.tokens import RESERVED

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_NOT_FOUND = 127
_DEEPEST = 20


def _number(shell: Interpreter, words: Sequence[str], default: int) -> int:
    if len(words) < 2:
        return default
    if not words[1].isdigit():
        raise ShellError(f"{words[0]}: line {shell.line}: Illegal number: {words[1]}")
    return int(words[1])


async def leave_shell(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `exit [STATUS]`."""
    await trio.lowlevel.checkpoint()
    raise ShellExit(_number(shell, words, shell.status) & 0xFF)


async def leave_function(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `return [STATUS]`."""
    await trio.lowlevel.checkpoint()
    raise FunctionReturn(_number(shell, words, shell.status) & 0xFF)


async def leave_loop(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `break [N]` or `continue [N]`; outside of loops they do nothing."""
    await trio.lowlevel.checkpoint()
    levels = _number(shell, words, 1)
    if levels < 1:
        raise ShellError(f"{words[0]}: line {shell.line}: Illegal number: {levels}")
    if not shell.loops:
        return 0
    levels = min(levels, shell.loops)
    raise LoopBreak(levels) if words[0] == "break" else LoopContinue(levels)


async def evaluate(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `eval WORD...`."""
    await trio.lowlevel.checkpoint()
    return await _nested(shell, " ".join(words[1:]))


async def _nested(shell: Interpreter, text: str) -> int:
    if shell.nested >= _DEEPEST:
        raise ShellError("eval: nested too deep")
    shell.nested += 1
    try:
        return await shell.run_text(text)
    finally:
        shell.nested -= 1


async def source(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `. FILE [ARGUMENT]...`: the commands of a file in this shell."""
    operands = [word for word in words[1:] if word != "--"]
    if not operands:
        raise ShellError(f"{words[0]}: line {shell.line}: filename argument required")
    try:
        data = await shell.session.files.read(shell.path(operands[0]))
    except OSError as error:
        raise ShellError(f"{words[0]}: line {shell.line}: can't open '{operands[0]}': {error.strerror}") from None
    arguments = shell.arguments
    if operands[1:]:
        shell.arguments = tuple(operands[1:])
    try:
        return await _nested(shell, data.decode("utf-8", "surrogateescape"))
    except FunctionReturn as flow:
        if type(flow) is not FunctionReturn:
            raise
        return flow.status
    finally:
        shell.arguments = arguments


async def execute(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `exec COMMAND`: the shell becomes the command. Without a command only its redirections count."""
    operands = list(words[1:])
    if operands[:1] == ["--"]:
        operands.pop(0)
    if not operands:
        return 0
    shell.traps.clear()
    raise ShellExit(await run_program(shell, operands, shell.variables.environment(), replaces=True))


async def command(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `command [-v | -V] NAME [ARGUMENT]...`: not a function of that name."""
    from emulator.apps.shell import builtins

    operands = list(words[1:])
    option = ""
    while operands and operands[0] in {"-v", "-V", "-p", "--"}:
        option = operands.pop(0).replace("-p", option)
    if not operands:
        return 0
    if option in {"-v", "-V"}:
        return await _describe_all(shell, operands, brief=option == "-v")
    builtin = builtins.find(operands[0])
    if builtin is None:
        return await run_program(shell, operands, shell.variables.environment())
    try:
        return await builtin(shell, operands)
    except ShellError as error:
        shell.complain(str(error))
        return error.status


async def describe(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `type NAME...`."""
    return await _describe_all(shell, words[1:], brief=False)


async def _describe_all(shell: Interpreter, names: Sequence[str], *, brief: bool) -> int:
    from emulator.apps.shell import builtins

    status = 0
    for name in names:
        path, _ = ("", None)
        if name in RESERVED:
            what, short = f"{name} is a shell keyword", name
        elif name in shell.functions:
            what, short = f"{name} is a function", name
        elif builtins.find(name) is not None:
            special = "special " if name in SPECIAL else ""
            what, short = f"{name} is a {special}shell builtin", name
        else:
            path, _ = await find_program(shell, name)
            what, short = (f"{name} is {path}", path) if path else (f"{name}: not found", "")
        status = status if short else _NOT_FOUND
        if not brief or short:
            shell.print(f"{short if brief else what}\n")
    return status
