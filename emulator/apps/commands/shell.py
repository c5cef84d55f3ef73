"""sh and bash: `-c` with a single command runs it; there is no shell in a pod for more, and it says what to do."""

from __future__ import annotations

from emulator.apps.environment import Invocation
from emulator.apps.simple_command import run

_SWITCHES = frozenset("elxu")


async def main(invocation: Invocation) -> int:
    """Run `sh -c 'COMMAND'`; anything else is explained. Exit status 126, as for what cannot be executed."""
    name = invocation.argv[0].rpartition("/")[2]
    words = list(invocation.argv[1:])
    while words and words[0].startswith("-") and "c" not in words[0] and set(words[0][1:]) <= _SWITCHES:
        words.pop(0)
    if words and words[0].startswith("-") and words[0].endswith("c") and set(words[0][1:-1]) <= _SWITCHES:
        if len(words) == 1:
            invocation.write_error(f"{name}: 0: -c requires an argument\n")
            return 2
        return await run(name, words[1], invocation)
    invocation.write_error(
        f"{name}: pods have no shell here; run the command itself, as in: emulator exec POD -- curl -s http://web/\n"
    )
    return 126
