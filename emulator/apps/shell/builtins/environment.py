"""Built-ins about the shell's own state: `set`, `shift`, `cd`, `pwd`, `umask`, `ulimit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from emulator.apps.shell.flow import ShellError
from emulator.apps.shell.quoting import single_quoted

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_LETTERS = "aefnuvxCbmhiI"


async def set_options(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `set`: options, and with them or after `--` the positional parameters; alone it lists the variables."""
    await trio.lowlevel.checkpoint()
    operands = list(words[1:])
    if not operands:
        for name in shell.variables:
            value = shell.variables.get(name)
            if value is not None:
                shell.print(f"{name}={single_quoted(value)}\n")
        return 0
    while operands and operands[0][:1] in {"-", "+"} and len(operands[0]) > 1:
        word = operands.pop(0)
        if word == "--":
            shell.arguments = tuple(operands)
            return 0
        change_options(shell, word, operands)
    if operands:
        if operands[0] == "-":
            operands.pop(0)
        shell.arguments = tuple(operands)
    return 0


def change_options(shell: Interpreter, word: str, operands: list[str]) -> None:
    """Take one word of options; `o` takes a name from the operands. ShellError."""
    from emulator.apps.shell.interpreter import OPTIONS

    change = shell.options.add if word[0] == "-" else shell.options.discard
    for letter in word[1:]:
        if letter == "o":
            if not operands:
                _list_options(shell, word[0])
                continue
            name = operands.pop(0)
            if name not in OPTIONS:
                raise ShellError(f"set: line {shell.line}: illegal option {word[0]}o {name}", 1)
            change(OPTIONS[name])
        elif letter in _LETTERS:
            change(letter)
        else:
            raise ShellError(f"set: line {shell.line}: illegal option {word[0]}{letter}")


def _list_options(shell: Interpreter, sign: str) -> None:
    from emulator.apps.shell.interpreter import OPTIONS

    if sign == "-":
        shell.print("Current option settings\n")
    for name, option in OPTIONS.items():
        is_on = shell.has(option)
        shell.print(
            f"{name:<16}{'on' if is_on else 'off'}\n" if sign == "-" else f"set {'-' if is_on else '+'}o {name}\n"
        )


async def shift(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `shift [N]`: 1 where there are fewer parameters."""
    await trio.lowlevel.checkpoint()
    if len(words) > 1 and not words[1].isdigit():
        raise ShellError(f"shift: line {shell.line}: Illegal number: {words[1]}")
    count = int(words[1]) if len(words) > 1 else 1
    if count > len(shell.arguments):
        return 1
    shell.arguments = tuple(shell.arguments[count:])
    return 0


async def change_directory(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `cd [FOLDER]`: $HOME without one, `-` for the one before."""
    operands = [word for word in words[1:] if word not in {"-L", "-P", "--"}]
    target = operands[0] if operands else shell.variables.get("HOME") or "/"
    shown = target == "-"
    if shown:
        target = shell.variables.get("OLDPWD") or shell.directory
    path = shell.path(target)
    status = await shell.session.files.status(path)
    if status is None or not status.is_folder:
        reason = "No such file or directory" if status is None else "Not a directory"
        shell.complain(f"line {shell.line}: can't cd to {target}: {reason}", "cd")
        return 1 if shell.is_interactive else 2
    shell.assign("OLDPWD", shell.directory)
    shell.directory = path
    shell.assign("PWD", path)
    if shown:
        shell.print(f"{path}\n")
    return 0


async def print_directory(shell: Interpreter, _words: Sequence[str]) -> int:
    """Run `pwd`."""
    await trio.lowlevel.checkpoint()
    shell.print(f"{shell.directory}\n")
    return 0


async def mask(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `umask`: it is shown; setting it has no effect, since files here have no owners to keep out."""
    await trio.lowlevel.checkpoint()
    if len(words) == 1:
        shell.print("0022\n")
    return 0


async def limits(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `ulimit`: there are no limits; setting one has no effect."""
    await trio.lowlevel.checkpoint()
    if len(words) == 1 or words[-1].startswith("-"):
        shell.print("unlimited\n")
    return 0
