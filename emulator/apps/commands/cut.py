"""cut: columns of lines."""

from __future__ import annotations

import re

from emulator.apps.environment import Invocation
from emulator.apps.inputs import Lines
from emulator.apps.options import Options, UsageError, parse

_RANGE = re.compile(r"([0-9]*)(-?)([0-9]*)")


async def main(invocation: Invocation) -> int:
    """Run `cut (-b | -c | -f) LIST [-d C] [-s] [FILE]...`. Exit status 0, or 1."""
    try:
        options = parse(invocation.argv[1:], "b:c:f:d:sn", ("output-delimiter=", "complement"))
        ranges = _ranges(options)
    except UsageError as error:
        invocation.write_error(f"cut: {error}\nTry 'cut --help' for more information.\n")
        return 1
    status = 0
    for name in options.operands or ("-",):
        try:
            async for line in Lines(invocation, name):
                shown = _cut(line.removesuffix(b"\n"), options, ranges)
                if shown is not None:
                    await invocation.copy(shown + b"\n")
        except OSError as error:
            invocation.write_error(f"cut: {name}: {error.strerror}\n")
            status = 1
    return status


def _ranges(options: Options) -> list[tuple[int, int]]:
    """Return pairs of first and last, from 1; the last may be without end."""
    lists = [options.get(letter) for letter in "bcf" if letter in options]
    if len(lists) != 1:
        raise UsageError("you must specify a list of bytes, characters, or fields")
    if "d" in options and len(options.get("d")) != 1:
        raise UsageError("the delimiter must be a single character")
    what, numbered = "byte/character position", "byte/character positions"
    if "f" in options:
        what, numbered = "field value", "fields"
    found: list[tuple[int, int]] = []
    for text in lists[0].split(","):
        match = _RANGE.fullmatch(text)
        if match is None or not (match[1] or match[3]):
            raise UsageError(f"invalid {what} ‘{text}’")
        first = int(match[1] or 1)
        last = int(match[3]) if match[3] else (1 << 31 if match[2] else first)
        if not first:
            raise UsageError(f"{numbered} are numbered from 1")
        found.append((first, last))
    return found


def _cut(line: bytes, options: Options, ranges: list[tuple[int, int]]) -> bytes | None:
    def is_chosen(place: int) -> bool:
        return any(first <= place <= last for first, last in ranges) != ("complement" in options)

    if "f" not in options:
        text = line.decode("utf-8", "surrogateescape") if "c" in options else line.decode("latin-1")
        chosen = "".join(char for place, char in enumerate(text, 1) if is_chosen(place))
        return chosen.encode("utf-8", "surrogateescape") if "c" in options else chosen.encode("latin-1")
    delimiter = options.get("d", "\t").encode("utf-8", "surrogateescape")
    if delimiter not in line:
        return None if "s" in options else line
    joint = options.get("output-delimiter").encode("utf-8", "surrogateescape") or delimiter
    return joint.join(field for place, field in enumerate(line.split(delimiter), 1) if is_chosen(place))
