"""Splitting a line of rules into words, with quotes and backslashes as iptables-restore takes them."""

from __future__ import annotations

from emulator.kernel.netfilter.error import RuleError


def split(line: str) -> list[str]:
    """Return the words of a line. A quoted word may be empty. RuleError for a quote that is never closed."""
    if '"' not in line and "'" not in line and "\\" not in line:
        return line.split()
    words: list[str] = []
    current: list[str] = []
    quote = ""
    started = False
    characters = iter(line)
    for character in characters:
        if quote:
            if character == "\\":
                current.append(next(characters, ""))
            elif character == quote:
                quote = ""
            else:
                current.append(character)
        elif character in "\"'":
            quote = character
            started = True
        elif character in " \t\n":
            if started:
                words.append("".join(current))
                current.clear()
                started = False
        else:
            current.append(character)
            started = True
    if quote:
        raise RuleError("a quote is not closed")
    if started:
        words.append("".join(current))
    return words
