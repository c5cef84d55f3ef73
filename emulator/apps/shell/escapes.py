r"""Backslash escapes of `echo -e`, of printf and of `$'...'`: \n, \t, \0NNN, \xHH and the like."""

from __future__ import annotations

import re
from typing import NamedTuple

_SIMPLE = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:(x)([0-9A-Fa-f]{1,2})|(0[0-7]{0,3})|([1-7][0-7]{0,2})|(.))", re.DOTALL)


class Unescaped(NamedTuple):
    r"""A text with what its escapes stand for; `ended` where \c said that nothing more is to be printed."""

    text: str
    ended: bool


def unescape(text: str, *, octal_needs_zero: bool = True) -> Unescaped:
    r"""Replace escapes. \NNN needs a zero in front for `echo` and `%b`, and none in printf's formats."""
    out: list[str] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        out.append(text[end : match.start()])
        end = match.end()
        hexadecimal, digits, with_zero, octal, letter = match.groups()
        if hexadecimal:
            out.append(_byte(int(digits, 16)))
        elif with_zero is not None:
            counted = with_zero if octal_needs_zero else with_zero[:3]
            out.append(_byte(int(counted, 8) & 0xFF) + with_zero[len(counted) :])
        elif octal is not None:
            out.append(match[0] if octal_needs_zero else _byte(int(octal, 8) & 0xFF))
        elif letter == "c":
            return Unescaped("".join(out), ended=True)
        else:
            out.append(_SIMPLE.get(letter, match[0]))
    out.append(text[end:])
    return Unescaped("".join(out), ended=False)


def _byte(value: int) -> str:
    """One byte of output; those that are no ASCII travel in text as surrogates do."""
    return bytes([value]).decode("utf-8", "surrogateescape")
