"""sort and uniq, in the C locale's order."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby
from typing import Any

from emulator.apps.environment import Invocation
from emulator.apps.inputs import Lines
from emulator.apps.options import Options, UsageError, parse

_NUMBER = re.compile(rb"\s*(-?[0-9]*\.?[0-9]*)")
_KEY = re.compile(r"([0-9]+)(?:\.([0-9]+))?([bdfnrV]*)(?:,([0-9]+)(?:\.[0-9]+)?([bdfnrV]*))?")
_FAILED = 2
_Line = tuple[bytes, ...]


async def main(invocation: Invocation) -> int:
    """Run `sort [-bfnrsuV] [-t C] [-k M[,N]] [FILE]...` or `uniq [-cdiu] [FILE]`. Exit status 0; else 2 (uniq: 1)."""
    name = invocation.argv[0].rpartition("/")[2]
    try:
        return await (_sort(invocation) if name == "sort" else _uniq(invocation))
    except UsageError as error:
        invocation.write_error(f"{name}: {error}\nTry '{name} --help' for more information.\n")
    except OSError as error:
        before = "cannot read: " if name == "sort" else ""
        invocation.write_error(f"{name}: {before}{error.filename}: {error.strerror}\n")
    return _FAILED if name == "sort" else 1


async def _sort(invocation: Invocation) -> int:
    options = parse(invocation.argv[1:], "bfnrsuVt:k:")
    found: list[bytes] = []
    for name in options.operands or ("-",):
        found += [line.removesuffix(b"\n") async for line in Lines(invocation, name)]
    key = _key_of(options)
    reverse = "r" in options
    if not (options.all("k") or "s" in options or "u" in options) or "k" in options:
        found.sort(reverse=reverse)  # the last resort: whole lines
    found.sort(key=key, reverse=reverse)
    if "u" in options:
        found = [next(group) for _, group in groupby(found, key)]
    for line in found:
        await invocation.copy(line + b"\n")
    return 0


def _key_of(options: Options) -> Callable[[bytes], Any]:
    """Return what lines are compared by."""
    separator = options.get("t").encode("utf-8", "surrogateescape")
    keys: list[Callable[[bytes], Any]] = []
    for text in options.all("k"):
        match = _KEY.fullmatch(text)
        if match is None or match[1] == "0":
            raise UsageError(f"invalid number at field start: invalid count at start of ‘{text}’")
        flags = (match[3] or "") + (match[5] or "") or _flags(options)
        first, last = int(match[1]) - 1, int(match[4]) if match[4] else None
        keys.append(_field_key(separator, first, last, int(match[2] or 1) - 1, flags))
    if not keys:
        return lambda line: _value(line, _flags(options))
    return lambda line: tuple(key(line) for key in keys)


def _field_key(separator: bytes, first: int, last: int | None, start: int, flags: str) -> Callable[[bytes], Any]:
    def key(line: bytes) -> Any:
        if separator:
            text = separator.join(line.split(separator)[first:last])
        else:
            text = b"".join(re.findall(rb"\s*[^\s]+", line)[first:last])
        return _value(text[start:], flags)

    return key


def _flags(options: Options) -> str:
    return "".join(flag for flag in "bfnV" if flag in options)


def _value(text: bytes, flags: str) -> Any:
    if "b" in flags:
        text = text.lstrip()
    if "n" in flags:
        match = _NUMBER.match(text)
        digits = match[1] if match is not None else b""
        return float(digits) if digits.strip(b"-.") else 0.0
    if "V" in flags:
        return [(int(part), b"") if part.isdigit() else (-1, part) for part in re.findall(rb"[0-9]+|[^0-9]+", text)]
    return text.upper() if "f" in flags else text


async def _uniq(invocation: Invocation) -> int:
    options = parse(invocation.argv[1:], "cdiu")
    name = options.operands[0] if options.operands else "-"
    previous: bytes | None = None
    count = 0

    async def show() -> None:
        if previous is not None and not ("d" in options and count < 2) and not ("u" in options and count > 1):
            await invocation.copy((b"%7d " % count if "c" in options else b"") + previous + b"\n")

    async for line in Lines(invocation, name):
        line = line.removesuffix(b"\n")
        same = previous is not None and (line.lower() == previous.lower() if "i" in options else line == previous)
        if same:
            count += 1
            continue
        await show()
        previous, count = line, 1
    await show()
    return 0
