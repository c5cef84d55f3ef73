"""Patterns of file names, `case` and `${x#...}`: `*`, `?`, `[...]`, with some of their characters quoted.

Source: IEEE Std 1003.1-2017, volume 3, 2.13.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from emulator.apps.regular_expression import Expression, compile_linear

Run = tuple[str, bool]
"""Text and whether it is quoted; a quoted `*` is a star."""

_STAR = "*"
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\n\\r\\f\\v",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


def is_pattern(runs: Iterable[Run]) -> bool:
    """Whether there is something in it that is not quoted and matches more than itself."""
    return any(not quoted and any(char in text for char in "*?[") for text, quoted in runs)


def compile_pattern(runs: Iterable[Run], *, of_file: bool = False) -> re.Pattern[str]:
    """Return a pattern to match whole texts with. A file's name may begin with a dot only where the pattern does."""
    return _compile(tuple(runs), of_file=of_file)


def plain(runs: Iterable[Run]) -> str:
    """Return the text itself."""
    return "".join(text for text, _ in runs)


@lru_cache(maxsize=256)
def _compile(
    runs: tuple[Run, ...], *, of_file: bool = False, backwards: bool = False, shortest: bool = False
) -> re.Pattern[str]:
    """Return a regular expression, `backwards` for the text read from its end.

    What is between two stars matches where it first can, and for good: a later place leaves less to the rest. So a text
    is gone through once for each star, where backtracking would take time to the power of their number.
    """
    chars = _characters(runs)
    guard = "(?!\\.)" if of_file and chars and chars[0][0] != "." else ""
    elements = _elements(chars)
    if backwards:
        elements.reverse()
    first, *rest = _between_stars(elements)
    if rest:
        last = rest.pop()
        first += "".join(f"(?>.*?{section})" for section in rest) + (".*?" if shortest else ".*") + last
    return re.compile(guard + first, re.DOTALL)


def _between_stars(elements: list[str]) -> list[str]:
    """Join what is between stars; a row of stars is as one."""
    sections = [""]
    for before, element in pairwise(["", *elements]):
        if element != _STAR:
            sections[-1] += element
        elif before != _STAR:
            sections.append("")
    return sections


def _elements(chars: list[Run]) -> list[str]:
    """Return the regular expressions of single characters, and stars."""
    out: list[str] = []
    index = 0
    while index < len(chars):
        char, quoted = chars[index]
        index += 1
        if quoted or char not in "*?[":
            out.append(re.escape(char))
        elif char == "*":
            out.append(_STAR)
        elif char == "?":
            out.append(".")
        else:
            bracket = _bracket(chars, index)
            out.append("\\[" if bracket is None else bracket[0])
            index = index if bracket is None else bracket[1]
    return out


def _characters(runs: tuple[Run, ...]) -> list[Run]:
    """Single characters; a backslash that is not quoted (it came out of a variable) quotes the next one."""
    chars: list[Run] = []
    escaped = False
    for text, quoted in runs:
        for char in text:
            if char == "\\" and not quoted and not escaped:
                escaped = True
                continue
            chars.append((char, quoted or escaped))
            escaped = False
    if escaped:
        chars.append(("\\", True))
    return chars


def _bracket(chars: list[Run], start: int) -> tuple[str, int] | None:
    """Read a bracket expression behind its `[`. Returns its regular expression and the index behind it, or None."""
    index = start
    negated = index < len(chars) and chars[index] in {("!", False), ("^", False)}
    index += negated
    first = index
    out: list[str] = []
    while index < len(chars):
        char, quoted = chars[index]
        if char == "]" and not quoted and index > first:
            return f"[{'^' if negated else ''}{''.join(out)}]", index + 1
        named = re.match(r"\[:([a-z]+):\]", "".join(each for each, _ in chars[index : index + 12]))
        if named is not None and not quoted:
            out.append(_CLASSES.get(named[1], ""))
            index += named.end()
            continue
        is_range = char == "-" and not quoted and first < index < len(chars) - 1 and chars[index + 1] != ("]", False)
        if is_range and out and len(out[-1]) <= 2 and out[-1].lstrip("\\") <= chars[index + 1][0]:
            out.append("-" + re.escape(chars[index + 1][0]))
            index += 2
            continue
        out.append("\\" + char if char in "\\]^-[&~|" else char)
        index += 1
    return None


def remove(text: str, runs: Iterable[Run], operator: str) -> str:
    """Return a text without the smallest or largest prefix (`#`, `##`) or suffix (`%`, `%%`) that matches."""
    backwards = operator[0] == "%"
    pattern = _compile(tuple(runs), backwards=backwards, shortest=len(operator) == 1)
    found = pattern.match(text[::-1] if backwards else text)
    length = found.end() if found is not None else 0
    return text[: len(text) - length] if backwards else text[length:]


def substitute(text: str, runs: Iterable[Run], replacement: str, *, everywhere: bool) -> str:
    """Return a text with its first match, or each, replaced, as `${x/a/b}` and `${x//a/b}` of bash."""
    runs = tuple(runs)
    if not text or not plain(runs):
        return text
    return _anywhere(runs).subn(lambda _: replacement, text, 0 if everywhere else 1)[0]


@lru_cache(maxsize=32)
def _anywhere(runs: tuple[Run, ...]) -> Expression:
    """Return what finds the longest match from anywhere; `re` would go through the text once for each beginning."""
    return compile_linear("".join(".*" if each == _STAR else each for each in _elements(_characters(runs))))
