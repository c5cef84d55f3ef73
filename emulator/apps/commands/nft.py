"""nft 1.0.6: the tables of nftables of a namespace, from words or from standard input."""

from __future__ import annotations

import trio

from emulator.apps.environment import Input, Invocation
from emulator.apps.options import Options, UsageError, parse
from emulator.kernel.netfilter.nft.engine import Nft
from emulator.kernel.netfilter.nft.error import NftError
from emulator.kernel.netfilter.nft.json.reader import script

VERSION = "nftables v1.0.6 (Lester Gooch #5)"
USAGE = """Usage: nft [ options ] [ cmds... ]

Options (general):
  -h, --help                      Show this help
  -v, --version                   Show version information

Options (ruleset input handling):
  -f, --file -                    Read input from standard input
  -c, --check                     Check commands validity without actually applying the changes.

Options (ruleset list formatting):
  -a, --handle                    Output rule handle.
  -s, --stateless                 Omit stateful information of ruleset.
  -j, --json                      Format output in JSON
  -n, --numeric, -nn              Addresses and ports are numbers anyway.

It reads standard input: emulator exec -i TARGET -- nft -f - < RULES
"""
_LONG = (
    "help", "version", "file=", "check", "handle", "stateless", "json", "numeric", "numeric-priority",
    "numeric-protocol", "numeric-time", "terse", "echo", "optimize", "define=", "includepath=", "service", "reversedns",
)  # fmt: skip
_ALIASES = {
    "help": "h", "version": "v", "file": "f", "check": "c", "handle": "a", "stateless": "s", "json": "j",
    "numeric": "n", "service": "S", "reversedns": "N", "terse": "t", "echo": "e", "optimize": "o", "define": "D",
    "includepath": "I", "numeric-priority": "y", "numeric-protocol": "p", "numeric-time": "T",
}  # fmt: skip
_REFUSED = {"S": "--service", "N": "--reversedns", "t": "--terse", "e": "--echo", "o": "--optimize", "D": "--define",
            "I": "--includepath", "y": "--numeric-priority", "p": "--numeric-protocol"}  # fmt: skip


async def main(invocation: Invocation) -> int:
    """Run `nft`. Exit status 0, or 1 for what cannot be read or what the kernel refuses."""
    await trio.lowlevel.checkpoint()
    try:
        options = parse(invocation.argv[1:], "hvf:casjnSNteoD:I:ypT", _LONG, aliases=_ALIASES, mixed=False)
    except UsageError as error:
        invocation.write_error(f"nft: {error}\n")
        return 1
    if "h" in options or "v" in options:
        invocation.write(USAGE if "h" in options else f"{VERSION}\n")
        return 0
    refused = next((name for letter, name in _REFUSED.items() if letter in options), "")
    if refused:
        invocation.write_error(f"Error: {refused} is not supported here\n")
        return 1
    try:
        invocation.write(await _run(invocation, options))
    except NftError as error:
        invocation.write_error(error.told())
        return 1
    return 0


async def _run(invocation: Invocation, options: Options) -> str:
    nft = invocation.network.netns.netfilter.nft
    if "f" not in options:
        if not options.operands:
            raise NftError("No command specified")
        text, file = " ".join(options.operands) + "\n", ""
        if "j" in options and text.lstrip().startswith("{"):
            text = script(text)
    else:
        if options.get("f") not in ("-", "/dev/stdin"):
            name = options.get("f")
            raise NftError(f'Could not open file "{name}": there are no files here; use -f - and standard input')
        text, file = await _text(invocation.stdin), "/dev/stdin"
        if "j" in options:
            text, file = script(text), ""
    return _load(nft, text, file, options)


def _load(nft: Nft, text: str, file: str, options: Options) -> str:
    from emulator.kernel.netfilter.nft.script.command import run

    return run(
        nft,
        text,
        file,
        check="c" in options,
        handles="a" in options,
        stateless="s" in options,
        as_json="j" in options,
    )


async def _text(stdin: Input) -> str:
    parts: list[bytes] = []
    while data := await stdin.read():
        parts.append(data)
    return b"".join(parts).decode("utf-8", "replace")
