"""A program's text to tokens. A slash begins a regular expression where no operand stands before it."""

from __future__ import annotations

import re
from typing import NamedTuple

KEYWORDS = frozenset(
    {"BEGIN", "END", "break", "continue", "delete", "do", "else", "exit", "for", "function", "getline", "if", "in",
     "next", "print", "printf", "return", "while"}
)  # fmt: skip
_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|\\\n|#[^\n]*)|(?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
    r'|"(?P<string>(?:[^"\\\n]|\\.)*)"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)'
    r"|(?P<operator>\n|&&|\|\||\+\+|--|[-+*/%^]=|\*\*|[<>=!]=|!~|[-+*/%^<>=!~?:,;{}()\[\]$|])"
)
_EXPRESSION = re.compile(r"/((?:[^/\\\n\[]|\\.|\[\^?\]?[^\]]*\])*)/")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "/": "/", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class AwkError(Exception):
    """A program that cannot be run."""


class Token(NamedTuple):
    """`kind` is number, string, regex, name, function, keyword, operator or end."""

    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """Return a program's tokens, an `end` last. AwkError."""
    found: list[Token] = []
    position = 0
    while position < len(text):
        last = found[-1] if found else Token("operator", "{")
        is_operand = last.kind in {"number", "string", "regex", "name"} or last.text in {")", "]", "$"}
        if text[position] == "/" and not is_operand:
            match = _EXPRESSION.match(text, position)
            if match is None:
                raise AwkError(f"syntax error: unterminated regular expression at {text[position : position + 20]!r}")
            found.append(Token("regex", match[1].replace("\\/", "/")))
        else:
            match = _TOKEN.match(text, position)
            if match is None:
                raise AwkError(f"syntax error at {text[position : position + 20]!r}")
            kind = match.lastgroup or ""
            value = match[kind]
            if kind == "string":
                value = unescape(value)
            elif kind == "name":
                calls = text.startswith("(", match.end())
                kind = "keyword" if value in KEYWORDS else "function" if calls else "name"
            if kind != "space":
                found.append(Token(kind, value))
        position = match.end()
    return [*found, Token("end", "")]


def unescape(text: str) -> str:
    """Replace the escapes of a string."""
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text, flags=re.DOTALL)
