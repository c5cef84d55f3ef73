"""Splitting a line of rules into words, as iptables-restore does: double quotes, and backslashes inside of them."""

from __future__ import annotations

from emulator.kernel.netfilter.error import RuleError


def split(line: str) -> list[str]:
    """Return the words of a line. A quoted word may be empty. RuleError for a quote that is never closed."""
    if '"' not in line:
        return line.split()
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
