"""How `ipset -s` orders elements: by their numbers, read as hexadecimal ones, larger networks last (lib/session.c)."""

from __future__ import annotations

import re
from functools import cmp_to_key

_NUMBER = re.compile(r"\s*[+-]?(?:0[xX](?=[0-9a-fA-F]))?[0-9a-fA-F]+", re.ASCII)
_WORD = re.compile(r"[^:,]*")


def sort_lines(lines: list[str], skip: int) -> list[str]:
    """Return lines, each with its newline, in order; the first `skip` characters are alike in all."""

    def compare(one: str, other: str) -> int:
        return _compare(one, other, skip, skip)

    return sorted(lines, key=cmp_to_key(compare))


def _compare(one: str, other: str, at: int, beside: int) -> int:
    """Compare two lines from their positions on; negative if the first comes first."""
    sign = 1
    while at < len(one) and beside < len(other):
        first, second = _NUMBER.match(one, at), _NUMBER.match(other, beside)
        if first is None or second is None:
            word, word2 = _word(one, at), _word(other, beside)
            if len(word) != len(word2):
                return -1 if len(word) < len(word2) else 1
            if word != word2:
                return -1 if word < word2 else 1
            if not word:
                rest, rest2 = one[at:], other[beside:]
                return (rest > rest2) - (rest < rest2)
            at, beside, sign = at + len(word) + 1, beside + len(word) + 1, 1
            continue
        number, number2 = int(first[0], 16), int(second[0], 16)
        if number != number2:
            return sign * (number - number2)
        at, beside = first.end(), second.end()
        behind, behind2 = one[at : at + 1], other[beside : beside + 1]
        if "/" in (behind, behind2):
            if behind != behind2:
                return 1 if behind == "/" else -1
            sign = -1
        at, beside = at + 1, beside + 1
        colon, colon2 = one[at : at + 1] == ":", other[beside : beside + 1] == ":"
        if colon != colon2:
            return -1 if colon else 1
        if colon:
            at, beside = at + 1, beside + 1
    return (at < len(one)) - (beside < len(other))


def _word(line: str, at: int) -> str:
    match = _WORD.match(line, at)
    return "" if match is None else match[0]
