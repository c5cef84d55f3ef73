"""tee: input to output, and to files."""

from __future__ import annotations

from emulator.apps.environment import Invocation
from emulator.apps.filesystem import File
from emulator.apps.inputs import files_of, path_of
from emulator.apps.options import UsageError, parse


async def main(invocation: Invocation) -> int:
    """Run `tee [-a] [FILE]...`. Exit status 0, or 1 if a file cannot be written."""
    try:
        options = parse(invocation.argv[1:], "ai")
    except UsageError as error:
        invocation.write_error(f"tee: {error}\nTry 'tee --help' for more information.\n")
        return 1
    opened: list[File] = []
    status = 0
    for name in options.operands:
        try:
            file = await files_of(invocation).open(path_of(invocation, name), append="a" in options)
            opened += [file] if file is not None else []
        except OSError as error:
            invocation.write_error(f"tee: {name}: {error.strerror}\n")
            status = 1
    while data := await invocation.stdin.read():
        for file in opened:
            file.write(data)
        await invocation.copy(data)
    return status
