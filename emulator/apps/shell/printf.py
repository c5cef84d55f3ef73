"""printf's formats. Source: IEEE Std 1003.1-2017, volume 3, `printf` and volume 1, chapter 5."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct, field

from emulator.apps.shell.arithmetic import ArithmeticProblem, constant
from emulator.apps.shell.escapes import unescape

_DIRECTIVE = re.compile(r"%(?:%|([-+ 0#]*)(\*|[0-9]+)?(?:\.(\*|[0-9]*))?([hlLjzt]*)(.?))", re.DOTALL)
_WIDEST = 4_096


class FormatProblem(Exception):  # noqa: N818 - a message for a shell's user, as BusyBox words it
    """A format that is none; `printed` came before it."""

    def __init__(self, message: str, printed: str) -> None:
        super().__init__(message)
        self.printed = printed


class Printed(Struct):
    """What is printed, and what is wrong with the arguments."""

    text: str = ""
    problems: list[str] = field(default_factory=list)


def formatted(form: str, arguments: Sequence[str]) -> Printed:
    """Format arguments; the format is used again while there are some left. FormatProblem."""
    printed = Printed()
    left = list(arguments)
    while True:
        before = len(left)
        ended = _once(form, left, printed)
        if ended or not left or len(left) == before:
            return printed


def _once(form: str, left: list[str], printed: Printed) -> bool:
    """Go through the format once, taking arguments from the left. Returns whether nothing more is to be printed."""
    end = 0
    for match in _DIRECTIVE.finditer(form):
        text, ended = unescape(form[end : match.start()], octal_needs_zero=False)
        printed.text += text
        if ended:
            return True
        end = match.end()
        if match[0] == "%%":
            printed.text += "%"
        elif _convert(match, left, printed):
            return True
    text, ended = unescape(form[end:], octal_needs_zero=False)
    printed.text += text
    return ended


def _convert(match: re.Match[str], left: list[str], printed: Printed) -> bool:
    flags, width, precision, _, letter = match.groups()
    if not letter or letter not in "diouxXcsbeEfFgGq":
        raise FormatProblem(f"{match[0]}: invalid format", printed.text)
    spec = flags.replace("0", "") if letter in "sbcq" else flags
    if width is not None:
        size = _integer(left, printed) if width == "*" else int(width)
        spec += ("-" if size < 0 else "") + str(min(abs(size), _WIDEST))
    if precision is not None:
        size = _integer(left, printed) if precision == "*" else int(precision or "0")
        spec += f".{min(size, _WIDEST)}" if size >= 0 else ""
    ended = False
    if letter in "diouxX":
        value = _integer(left, printed)
        value = value & (1 << 64) - 1 if letter in "ouxX" else value
        printed.text += f"%{spec}{'d' if letter in 'iu' else letter}" % value
    elif letter in "eEfFgG":
        printed.text += f"%{spec}{letter}" % _float(left, printed)
    else:
        argument = left.pop(0) if left else ""
        if letter == "b":
            argument, ended = unescape(argument)
        elif letter == "q":
            from emulator.apps.shell.quoting import quoted

            argument = quoted(argument)
        printed.text += f"%{spec}s" % (argument[:1] if letter == "c" else argument)
    return ended


def _integer(left: list[str], printed: Printed) -> int:
    text = left.pop(0) if left else ""
    if text[:1] in {"'", '"'}:
        return ord(text[1]) if len(text) > 1 else 0
    stripped = text.strip()
    if not stripped:
        return 0
    sign = -1 if stripped[0] == "-" else 1
    try:
        return sign * constant(stripped.lstrip("+-") if stripped[0] in "+-" else stripped)
    except ArithmeticProblem:
        printed.problems.append(f"invalid number '{text}'")
        found = re.match(r"\s*([-+]?[0-9]+)", text)
        return int(found[1]) if found is not None else 0


def _float(left: list[str], printed: Printed) -> float:
    text = left.pop(0) if left else ""
    try:
        return float(text or 0)
    except ValueError:
        printed.problems.append(f"invalid number '{text}'")
        return 0.0
