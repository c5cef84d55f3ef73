"""What `ping` and `tracepath` have in common: how iputils reads numbers (iputils_common.c, strtol_or_err)."""

from __future__ import annotations


class ArgumentError(Exception):
    """An option's value that iputils refuses, in its words."""


def integer(text: str, default: int, lowest: int, highest: int) -> int:
    """Read an option's number; `default` where the option is not given. ArgumentError."""
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise ArgumentError(f"invalid argument: '{text}'") from None
    if not lowest <= value <= highest:
        raise ArgumentError(f"invalid argument: '{text}': out of range: {lowest} <= value <= {highest}")
    return value
