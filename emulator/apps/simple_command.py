"""A shell's command line of one simple command, for `sh -c` and netexec's /shell: pods have the commands, but no shell.

Whatever a shell would do beyond splitting words (pipes, redirections, variables, patterns, lists) is refused by name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.apps import commands

if TYPE_CHECKING:
    from emulator.apps.environment import Invocation

_NOT_FOUND, _SYNTAX = 127, 2
# What a word may not hold outside single quotes, and outside any quotes.
_EXPANDED = re.compile(r"[$`]")
_OPERATOR = re.compile(r"[|&;<>()*?{}\n#~!]|\[")
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.", re.DOTALL)
_KEYWORDS = frozenset({"if", "for", "while", "until", "case", "function", "time", "cd", "export", "set", "trap"})


class ShellError(Exception):
    """A line that would need a shell."""


def split(line: str) -> list[str]:
    """Return the words of one simple command. ShellError where a shell is needed, or for an open quotation."""
    bare = _QUOTED.sub("", line)
    found = _OPERATOR.search(bare.strip()) or _EXPANDED.search(re.sub(r"'[^']*'|\\.", "", line))
    if found is not None:
        raise ShellError(f"there is no shell in a pod: a single command only, without '{found[0]!s}'")
    try:
        words = shlex.split(line)
    except ValueError:
        raise ShellError("Syntax error: Unterminated quoted string") from None
    if words and words[0] == "exec":
        words = words[1:]
    if words and (words[0] in _KEYWORDS or re.match(r"[A-Za-z_][A-Za-z0-9_]*=", words[0])):
        raise ShellError(f"there is no shell in a pod: a single command only, not '{words[0]}'")
    return words


async def run(shell: str, line: str, invocation: Invocation) -> int:
    """Run a line as `sh -c` does, its output going where the invocation says; return the exit status."""
    try:
        words = split(line)
    except ShellError as error:
        invocation.write_error(f"{shell}: {error}\n")
        return _SYNTAX
    if not words:
        return 0
    command: Callable[[Invocation], Awaitable[int]] | None = commands.find(words[0])
    if command is None:
        invocation.write_error(f"{shell}: 1: {words[0]}: not found\n")
        return _NOT_FOUND
    return await command(replace(invocation, argv=tuple(words)))
