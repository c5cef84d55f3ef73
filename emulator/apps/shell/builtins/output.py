"""`echo` and `printf`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from emulator.apps.shell.escapes import unescape

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_USAGE = 2
_OPTIONS = re.compile(r"-[neE]+")


async def echo(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `echo [-neE] [WORD]...`, as BusyBox's does."""
    await trio.lowlevel.checkpoint()
    shell.print(echoed(words[1:]))
    return 0


def echoed(words: Sequence[str]) -> str:
    """Return what echo prints for its words."""
    words = list(words)
    newline, escapes = True, False
    while words and _OPTIONS.fullmatch(words[0]):
        for letter in words.pop(0)[1:]:
            newline = newline and letter != "n"
            escapes = letter == "e" or (escapes and letter != "E")
    text = " ".join(words)
    if escapes:
        text, ended = unescape(text)
        newline = newline and not ended
    return text + "\n" * newline


async def print_formatted(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `printf FORMAT [ARGUMENT]...`."""
    from emulator.apps.shell.printf import FormatProblem, formatted

    await trio.lowlevel.checkpoint()
    operands = list(words[1:])
    if operands[:1] == ["--"]:
        operands.pop(0)
    if not operands:
        shell.complain("usage: printf FORMAT [ARGUMENT...]")
        return _USAGE
    try:
        printed = formatted(operands[0], operands[1:])
    except FormatProblem as problem:
        shell.print(problem.printed)
        shell.complain(str(problem))
        return 1
    shell.print(printed.text)
    for message in printed.problems:
        shell.complain(message)
    return int(bool(printed.problems))
