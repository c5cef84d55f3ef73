"""Flags as Go programs read them (package flag, spf13/pflag): `-name=value`, `--name value`, `--switch`."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from emulator.apps.options import UsageError


def parse_flags(
    arguments: Sequence[str], valued: AbstractSet[str], switches: AbstractSet[str] = frozenset()
) -> dict[str, str]:
    """Return the flags by name without dashes; a switch alone is "true". UsageError for unknown ones."""
    flags: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        if not word.startswith("-") or word == "--":
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if name in switches:
            flags[name] = value if equals else "true"
        elif name not in valued:
            raise UsageError(f"flag provided but not defined: -{name}")
        elif equals:
            flags[name] = value
        else:
            following = next(words, None)
            if following is None:
                raise UsageError(f"flag needs an argument: -{name}")
            flags[name] = following
    return flags
