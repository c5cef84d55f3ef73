"""cat and tac: standard input and files."""

from __future__ import annotations

from emulator.apps.environment import Invocation
from emulator.apps.inputs import Chunks, Lines
from emulator.apps.options import UsageError, parse


async def main(invocation: Invocation) -> int:
    """Run `cat [-n] [FILE]...` or `tac [FILE]...`. Exit status 0, or 1 if a file is not there."""
    name = invocation.argv[0].rpartition("/")[2]
    try:
        options = parse(invocation.argv[1:], "un" if name == "cat" else "")
    except UsageError as error:
        invocation.write_error(f"{name}: {error}\nTry '{name} --help' for more information.\n")
        return 1
    status, number = 0, 0
    for path in options.operands or ("-",):
        try:
            if name == "tac":
                for line in reversed([line async for line in Lines(invocation, path)]):
                    await invocation.copy(line)
            elif "n" in options:
                async for line in Lines(invocation, path):
                    number += 1
                    await invocation.copy(b"%6d\t%s" % (number, line))
            else:
                async for data in Chunks(invocation, path):
                    await invocation.copy(data)
        except OSError as error:
            invocation.write_error(f"{name}: {path}: {error.strerror}\n")
            status = 1
    return status
