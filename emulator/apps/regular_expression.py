"""POSIX's regular expressions, basic and extended, as Python's: for grep, sed, awk and expr.

Source: IEEE Std 1003.1-2017, volume 1, chapter 9, with GNU's `\\|`, `\\+`, `\\?`, `\\w`, `\\b`. Python takes the first
alternative that matches where POSIX takes the longest.
"""

from __future__ import annotations

import re

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": "\\s", "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_GNU = {"<": r"\b(?=\w)", ">": r"\b(?<=\w)", "`": r"\A", "'": r"\Z"}


class ExpressionError(Exception):
    """What is no regular expression; in GNU's words."""


def translate(text: str, *, extended: bool) -> str:
    """Return Python's expression for POSIX's. ExpressionError."""
    out: list[str] = []
    index = 0
    while index < len(text):
        char = text[index]
        index += 1
        if char == "[":
            bracket, index = _bracket(text, index)
            out.append(bracket)
        elif char == "\\":
            if index == len(text):
                raise ExpressionError("Trailing backslash")
            out.append(_escaped(text[index], extended=extended))
            index += 1
        elif char in "(){}|+?":
            out.append(char if extended else f"\\{char}")
        elif char == "*" and not extended and (not out or out[-1] in {"(", "|", "^"}):
            out.append("\\*")  # nothing before it to repeat
        elif char == "^" and not extended and out and out[-1] not in {"(", "|"}:
            out.append("\\^")
        elif char == "$" and not extended and index < len(text) and not text.startswith(("\\)", "\\|"), index):
            out.append("\\$")
        else:
            out.append("\\Z" if char == "$" else char)
    expression = "".join(out)
    try:
        re.compile(expression)
    except re.error as error:
        raise ExpressionError(_words(error)) from None
    return expression


def _escaped(char: str, *, extended: bool) -> str:
    if char in "(){}|+?":
        return f"\\{char}" if extended else char
    if char in _GNU:
        return _GNU[char]
    if char in "wWsSbB" or char in "123456789":
        return f"\\{char}"
    return {"n": "\\n", "t": "\\t"}.get(char) or re.escape(char)


def _bracket(text: str, index: int) -> tuple[str, int]:
    """Read a bracket expression behind its `[`."""
    negated = text.startswith("^", index)
    index += negated
    out: list[str] = []
    first = index
    while index < len(text):
        char = text[index]
        if char == "]" and index > first:
            return f"[{'^' if negated else ''}{''.join(out)}]", index + 1
        if char == "[" and text.startswith((":", "=", "."), index + 1):
            kind = text[index + 1]
            end = text.find(f"{kind}]", index + 2)
            if end < 0:
                break
            name = text[index + 2 : end]
            if kind == ":" and name not in _CLASSES:
                raise ExpressionError("Invalid character class name")
            out.append(_CLASSES[name] if kind == ":" else re.escape(name))
            index = end + 2
            continue
        is_range = char == "-" and first < index < len(text) - 1 and text[index + 1] != "]"
        out.append("-" if is_range else f"\\{char}" if char in "\\[]^-&~|" else char)
        index += 1
    raise ExpressionError("Unmatched [, [^, [:, [., or [=")


def _words(error: re.error) -> str:
    message = str(error)
    if "parenthesis" in message:
        return "Unmatched ( or \\(" if "missing" in message or "unterminated" in message else "Unmatched ) or \\)"
    if "repeat" in message:
        return "Invalid preceding regular expression"
    return "Invalid back reference" if "group reference" in message else "Invalid regular expression"
