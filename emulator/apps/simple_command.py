"""A shell's command line that is one simple command: the command itself, for programs that are started by `sh -c`.

What a shell would do beyond splitting words (pipes, redirections, variables, patterns, lists) is not for here.
"""

from __future__ import annotations

import re
import shlex

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
