"""Splitting a line of rules into words, as iptables-restore does: double quotes, and backslashes inside of them."""

from __future__ import annotations

from emulator.kernel.netfilter.error import RuleError

_LONGEST = 1023
"""Characters of one word."""


def split(line: str) -> list[str]:
    """Return the words of a line. A quoted word may be empty.

    RuleError for a quote that is never closed, and for a word that is too long (add_param_to_argv).
    """
    words = _split(line)
    if len(line) > _LONGEST and max(map(len, words), default=0) > _LONGEST:
        raise RuleError("Parameter too long!")
    return words


def _split(line: str) -> list[str]:
    if '"' not in line:
        return line.split()
    parts = line.split('"')
    if "\\" not in line and len(parts) % 2 and all(_stands_apart(parts, at) for at in range(1, len(parts), 2)):
        return [word for at, part in enumerate(parts) for word in ((part,) if at % 2 else part.split())]
    return split_quoted(line)


def _stands_apart(parts: list[str], at: int) -> bool:
    """Whether a quoted part has space, or the line's end, on both sides."""
    before, after = parts[at - 1], parts[at + 1]
    begins = before[-1].isspace() if before else at == 1
    ends = after[0].isspace() if after else at + 2 == len(parts)
    return begins and ends


def split_quoted(line: str) -> list[str]:
    """Return the words of a line, character by character."""
    words: list[str] = []
    current: list[str] = []
    quoted = started = False
    characters = iter(line)
    for character in characters:
        if quoted:
            if character == "\\":
                current.append(next(characters, ""))
            elif character == '"':
                quoted = False
            else:
                current.append(character)
        elif character == '"':
            quoted = started = True
        elif character in " \t\n":
            if started:
                words.append("".join(current))
                current.clear()
                started = False
        else:
            current.append(character)
            started = True
    if quoted:
        raise RuleError("a quote is not closed")
    if started:
        words.append("".join(current))
    return words
