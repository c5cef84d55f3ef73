"""iptables-restore 1.8.9: a namespace's rules from standard input, each table wholly or not at all."""

from __future__ import annotations

from emulator.apps.commands.iptables_error import VERSION, restore_told
from emulator.apps.environment import Input, Invocation
from emulator.apps.options import Options, UsageError, parse
from emulator.kernel.netfilter.error import RestoreError
from emulator.kernel.netfilter.netfilter import Netfilter

USAGE = """Usage: iptables-restore [-c] [-n] [-t] [-T TABLE] [-h] [-V] < RULES
\t   [ --counters ]
\t   [ --noflush ]
\t   [ --test ]
\t   [ --table=<TABLE> ]
\t   [ --help ]
\t   [ --version ]

It reads standard input: emulator exec -i TARGET -- iptables-restore < RULES
"""
_LONG = ("counters", "noflush", "test", "table=", "help", "version", "verbose", "wait")
_ALIASES = {"counters": "c", "noflush": "n", "test": "t", "table": "T", "help": "h", "version": "V"}


async def main(invocation: Invocation) -> int:
    """Run `iptables-restore`. Exit status 0; 1 what is not there, 2 what cannot be read, 4 what the kernel refuses."""
    try:
        options = parse(invocation.argv[1:], "cntT:hVvw", _LONG, aliases=_ALIASES)
    except UsageError as error:
        invocation.write_error(f"iptables-restore: {error}\nTry `iptables-restore -h' for more information.\n")
        return 1
    if "h" in options or "V" in options:
        invocation.write(f"iptables-restore {VERSION}\n" if "V" in options else USAGE)
        return 0
    if options.operands:
        invocation.write_error(f"Can't open {options.operands[0]}: No such file or directory\n")
        return 1
    try:
        _load(invocation.network.netns.netfilter, await _text(invocation.stdin), options)
    except RestoreError as error:
        text, status = restore_told(error)
        invocation.write_error(text)
        return status
    return 0


async def _text(stdin: Input) -> str:
    parts: list[bytes] = []
    while data := await stdin.read():
        parts.append(data)
    return b"".join(parts).decode("utf-8", "replace")


def _load(netfilter: Netfilter, text: str, options: Options) -> None:
    only = frozenset(options.all("T")) or None
    noflush, counters, testing = ("n" in options, "c" in options, "t" in options)
    netfilter.restore(text, noflush=noflush, counters=counters, tables=only, testing=testing)
