"""cat: standard input, and the few files that a pod has."""

from __future__ import annotations

from emulator.apps.environment import Invocation
from emulator.apps.files import read_file
from emulator.apps.options import UsageError, parse


async def main(invocation: Invocation) -> int:
    """Run `cat [FILE]...`. Exit status 0, or 1 if a file is not there."""
    try:
        options = parse(invocation.argv[1:], "u")
    except UsageError as error:
        invocation.write_error(f"cat: {error}\nTry 'cat --help' for more information.\n")
        return 1
    status = 0
    for path in options.operands or ("-",):
        if path == "-":
            while data := await invocation.stdin.read():
                await invocation.copy(data)
            continue
        text = read_file(invocation.network, invocation.hostname, path)
        if text is None:
            invocation.write_error(f"cat: {path}: No such file or directory\n")
            status = 1
        else:
            invocation.write(text)
    return status
