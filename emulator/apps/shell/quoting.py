"""Words as a shell could read them again."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z0-9_./:@+,-]+")


def quoted(text: str) -> str:
    """Quote a word, where that is needed."""
    return text if _PLAIN.fullmatch(text) else single_quoted(text)


def single_quoted(text: str) -> str:
    """Put a text between single quotes."""
    return "'" + text.replace("'", "'\"'\"'") + "'"
