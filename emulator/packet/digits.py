"""Which texts are natural numbers: asked wherever text that somebody wrote becomes an int."""

from __future__ import annotations

_MOST = 20
"""Digits of 2**64 - 1. int() would refuse over 4,300 with an error of its own."""


def is_natural(text: str) -> bool:
    """Whether int() can read it: 1 to 20 ASCII digits. str.isdigit() alone would let `²` pass, which int() refuses."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST
