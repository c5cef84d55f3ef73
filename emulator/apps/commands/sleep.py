"""sleep: wait."""

from __future__ import annotations

import trio

from emulator.apps.durations import seconds_of
from emulator.apps.environment import Invocation


async def main(invocation: Invocation) -> int:
    """Run `sleep DURATION...`. Exit status 0, or 1 for what is no duration."""
    words = invocation.argv[1:]
    if not words:
        invocation.write_error("sleep: missing operand\nTry 'sleep --help' for more information.\n")
        return 1
    total = 0.0
    for word in words:
        seconds = seconds_of(word)
        if seconds is None:
            invocation.write_error(f"sleep: invalid time interval ‘{word}’\nTry 'sleep --help' for more information.\n")
            return 1
        total += seconds
    await trio.sleep(total)
    return 0
