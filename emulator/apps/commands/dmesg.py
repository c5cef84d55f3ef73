"""dmesg of util-linux 2.38: what the LOG rules of a namespace wrote to the kernel's log."""

from __future__ import annotations

import trio

from emulator.apps.environment import Invocation
from emulator.apps.options import UsageError, parse

USAGE = """
Usage:
 dmesg [options]

Display or clear the lines of LOG rules; a namespace shows its own, as no other kernel message is kept here.

Options:
 -C, --clear                 clear the log
 -c, --read-clear            read and clear all messages
 -t, --notime                don't show any timestamp with messages

 -h, --help                  display this help
"""
_ALIASES = {"clear": "C", "read-clear": "c", "notime": "t", "help": "h"}


async def main(invocation: Invocation) -> int:
    """Run `dmesg`. Exit status 0, or 1 for an option that is not here."""
    await trio.lowlevel.checkpoint()
    try:
        options = parse(invocation.argv[1:], "Ccth", tuple(_ALIASES), aliases=_ALIASES)
    except UsageError as error:
        invocation.write_error(f"dmesg: {error}\nTry 'dmesg --help' for more information.\n")
        return 1
    if "h" in options:
        invocation.write(USAGE)
        return 0
    if options.operands:
        invocation.write_error("dmesg: bad usage\nTry 'dmesg --help' for more information.\n")
        return 1
    log = invocation.network.netns.netfilter.log
    if "C" not in options:
        for time, _level, line in log:
            stamp = "" if "t" in options else f"[{time:12.6f}] "
            invocation.write(f"{stamp}{line} \n")  # the kernel ends each word with a space
    if "C" in options or "c" in options:
        log.clear()
    return 0
