"""Command lines of programs and commands, read as getopt_long(3) reads them: options and operands may be mixed."""

from __future__ import annotations

import getopt
from collections.abc import Iterator, Mapping, Sequence


class UsageError(Exception):
    """A command line that the real tool would refuse; the text is glibc's or the tool's, without the tool's name."""


class Options:
    """What a command line said. Names are without dashes, aliases mapped to one name."""

    def __init__(self, pairs: Sequence[tuple[str, str]], operands: Sequence[str]) -> None:
        self._pairs = tuple(pairs)
        self.operands = tuple(operands)

    def __contains__(self, name: str) -> bool:
        return any(name == known for known, _ in self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def get(self, name: str, default: str = "") -> str:
        """Return an option's last value."""
        return next((value for known, value in reversed(self._pairs) if known == name), default)

    def all(self, name: str) -> list[str]:
        """Return all values of an option, in order."""
        return [value for known, value in self._pairs if known == name]


def parse(
    arguments: Sequence[str],
    short: str,
    long: Sequence[str] = (),
    *,
    aliases: Mapping[str, str] | None = None,
    mixed: bool = True,
) -> Options:
    """Read a command line. `short` and `long` are as getopt(3) has them ("c:" and "count=" take a value).

    `aliases` maps names to the name they are found under; `mixed` lets options follow operands. UsageError with
    glibc's text.
    """
    try:
        pairs, operands = (getopt.gnu_getopt if mixed else getopt.getopt)(list(arguments), short, list(long))
    except getopt.GetoptError as error:
        raise UsageError(_glibc_text(error)) from None
    names = aliases or {}
    return Options([(names.get(name := key.lstrip("-"), name), value) for key, value in pairs], operands)


def number(text: str, *, lowest: float = 0, highest: float = float("inf")) -> float:
    """Read a decimal number within bounds. ValueError otherwise."""
    value = float(text)
    if not lowest <= value <= highest:
        raise ValueError(f"{text} is not between {lowest:g} and {highest:g}")
    return value


def port_number(text: str) -> int:
    """Read a port from 1 to 65535. ValueError otherwise."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 0xFFFF):
        raise ValueError(f"not a port: {text}")
    return int(text)


def _glibc_text(error: getopt.GetoptError) -> str:
    is_long = len(error.opt) > 1
    if "requires argument" in error.msg:
        return (
            f"option '--{error.opt}' requires an argument"
            if is_long
            else f"option requires an argument -- '{error.opt}'"
        )
    if "must not have an argument" in error.msg:
        return f"option '--{error.opt}' doesn't allow an argument"
    if "unique prefix" in error.msg:
        return f"option '--{error.opt}' is ambiguous"
    return f"unrecognized option '--{error.opt}'" if is_long else f"invalid option -- '{error.opt}'"
