"""echo, true and false."""

from __future__ import annotations

from emulator.apps.environment import Invocation


async def main(invocation: Invocation) -> int:
    """Run `echo [-n] [WORD]...`, `true` or `false`."""
    name = invocation.argv[0].rpartition("/")[2]
    if name != "echo":
        return int(name == "false")
    words = invocation.argv[1:]
    bare = bool(words) and words[0] == "-n"
    invocation.write(" ".join(words[bare:]) + ("" if bare else "\n"))
    return 0
