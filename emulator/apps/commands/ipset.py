"""ipset 7.17: sets of addresses, ports and networks of a namespace."""

from __future__ import annotations

import trio

from emulator.apps.commands.ipset_usage import usage
from emulator.apps.environment import Input, Invocation
from emulator.kernel.netfilter.ipset.command import Settings, parse_line, run
from emulator.kernel.netfilter.ipset.error import USAGE, IpsetError, IpsetRestoreError
from emulator.kernel.netfilter.ipset.restore import Restorer
from emulator.kernel.netfilter.ipset.type import SET_TYPES

VERSION = "7.17"
_HINT = "Try `ipset help' for more information.\n"


async def main(invocation: Invocation) -> int:
    """Run one command, or with `restore` those of standard input. Exit status 0; 1 refused; 2 a wrong command line."""
    await trio.lowlevel.checkpoint()
    settings = Settings()
    try:
        return await _run(invocation, settings)
    except (IpsetError, IpsetRestoreError) as error:
        if not settings.quiet:
            invocation.write_error(_told(error))
        return error.status


async def _run(invocation: Invocation, settings: Settings) -> int:
    line = parse_line(settings, invocation.argv[1:])
    if settings.file:
        raise IpsetError(f"cannot open {settings.file}: there are no files here; use standard input and output")
    if line.name == "version":
        invocation.write(f"ipset v{VERSION}, protocol version: 7\n")
        return 0
    if line.name == "help":
        return _help(invocation, settings, line.words)
    if line.name == "quit":
        return 0
    sets = invocation.network.netns.netfilter.sets
    if line.name == "restore":
        answers = Restorer(sets, settings).run(await _text(invocation.stdin))
    else:
        answers = iter([run(sets, settings, line)])
    status = 0
    for answer in answers:
        invocation.write(answer.output)
        if answer.errors:
            invocation.write_error(answer.errors)
        status = answer.status
    return status


def _told(error: IpsetError | IpsetRestoreError) -> str:
    """Print an error; one that makes no sense at all has no line, and a hint."""
    if error.status == USAGE:
        message = error.message if isinstance(error, IpsetRestoreError) else str(error)
        return f"ipset v{VERSION}: {message}\n{_HINT}"
    return f"ipset v{VERSION}: {error}\n"


def _help(invocation: Invocation, settings: Settings, words: list[str]) -> int:
    kind = SET_TYPES.get(words[0]) if words else None
    invocation.write(f"ipset v{VERSION}\n\n{usage(kind, brief=settings.quiet or bool(words and kind is None))}")
    if words and kind is None and not settings.quiet:
        invocation.write_error(f"ipset v{VERSION}: Unknown settype: `{words[0]}'\n{_HINT}")
        return USAGE
    return 0


async def _text(stdin: Input) -> str:
    parts: list[bytes] = []
    while data := await stdin.read():
        parts.append(data)
    return b"".join(parts).decode("utf-8", "replace")
