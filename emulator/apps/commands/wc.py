"""wc: lines, words and bytes."""

from __future__ import annotations

from emulator.apps.environment import Invocation
from emulator.apps.inputs import Chunks
from emulator.apps.options import UsageError, parse


async def main(invocation: Invocation) -> int:
    """Run `wc [-lwcmL] [FILE]...`. Exit status 0, or 1 if a file is not there."""
    try:
        options = parse(invocation.argv[1:], "lwcm")
    except UsageError as error:
        invocation.write_error(f"wc: {error}\nTry 'wc --help' for more information.\n")
        return 1
    columns = [letter for letter in "lwmc" if letter in options] or ["l", "w", "c"]
    rows: list[tuple[list[int], str]] = []
    status = 0
    for name in options.operands or ("-",):
        try:
            data = b"".join([chunk async for chunk in Chunks(invocation, name)])
        except OSError as error:
            invocation.write_error(f"wc: {name}: {error.strerror}\n")
            status = 1
            continue
        counts = {
            "l": data.count(b"\n"),
            "w": len(data.split()),
            "m": len(data.decode("utf-8", "replace")),
            "c": len(data),
        }
        rows.append(([counts[column] for column in columns], name if options.operands else ""))
    if len(options.operands) > 1:
        totals = [sum(row[index] for row, _ in rows) for index in range(len(columns))]
        rows.append((totals, "total"))
    width = _width(rows, from_input=not options.operands or "-" in options.operands)
    for counted, name in rows:
        shown = " ".join(f"{count:{width}}" for count in counted)
        invocation.write(f"{shown} {name}".rstrip() + "\n")
    return status


def _width(rows: list[tuple[list[int], str]], *, from_input: bool) -> int:
    """Return the width of a column as coreutils has it: one number is bare, pipes make room for seven digits."""
    if len(rows) == 1 and len(rows[0][0]) == 1:
        return 1
    widest = max((len(str(count)) for row, _ in rows for count in row), default=1)
    return max(7, widest) if from_input else widest
