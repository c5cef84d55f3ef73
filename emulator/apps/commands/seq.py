"""seq and yes: numbers in a row, a line without end."""

from __future__ import annotations

import re

from emulator.apps.environment import Invocation
from emulator.apps.options import UsageError, parse

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_BATCH = 1_000


async def main(invocation: Invocation) -> int:
    """Run `seq [-w] [-s TEXT] [-f FORMAT] [FIRST [STEP]] LAST` or `yes [WORD]...`. Exit status 0, or 1."""
    name = invocation.argv[0].rpartition("/")[2]
    if name == "yes":
        line = (" ".join(invocation.argv[1:]) or "y") + "\n"
        while True:
            await invocation.copy(line.encode("utf-8", "surrogateescape") * _BATCH)
    try:
        words, operands = _split(invocation.argv[1:])
        options = parse(words, "ws:f:", ("equal-width", "separator=", "format="),
                        aliases={"equal-width": "w", "separator": "s", "format": "f"})  # fmt: skip
        if not 1 <= len(operands) <= 3:
            raise UsageError("missing operand" if not operands else f"extra operand ‘{operands[3]}’")
        for word in operands:
            if _NUMBER.fullmatch(word) is None:
                raise UsageError(f"invalid floating point argument: ‘{word}’")
    except UsageError as error:
        invocation.write_error(f"seq: {error}\nTry 'seq --help' for more information.\n")
        return 1
    first, step, last = {1: ("1", "1", operands[-1]), 2: (operands[0], "1", operands[-1])}.get(
        len(operands), (operands[0], operands[len(operands) // 2], operands[-1])
    )
    if not float(step):
        invocation.write_error(f"seq: invalid Zero increment value: ‘{step}’\nTry 'seq --help' for more information.\n")
        return 1
    places = max(len(text.partition(".")[2]) for text in (first, step))
    form = options.get("f") or f"%.{places}f"
    if "w" in options:
        width = max(len(f"%.{places}f" % float(text)) for text in (first, last))
        form = f"%0{width}.{places}f"
    await _print(invocation, float(first), float(step), float(last), form, options.get("s", "\n"))
    return 0


def _split(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Tell options from operands, which may be negative numbers."""
    index = 0
    while index < len(words) and words[index].startswith("-") and _NUMBER.fullmatch(words[index]) is None:
        index += 2 if words[index] in {"-s", "-f"} else 1
    return list(words[:index]), list(words[index:])


async def _print(invocation: Invocation, first: float, step: float, last: float, form: str, joint: str) -> None:
    count = int((last - first) / step + 1e-9) + 1
    if count <= 0 or (last - first) * step < 0:
        return
    for start in range(0, count, _BATCH):
        end = min(start + _BATCH, count)
        text = joint.join(form % (first + index * step) for index in range(start, end))
        await invocation.copy((text + (joint if end < count else "\n")).encode("utf-8", "surrogateescape"))
