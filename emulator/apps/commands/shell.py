"""sh and bash: there is no shell in a pod; say what to do in its place."""

from __future__ import annotations

from emulator.apps.environment import Invocation


async def main(invocation: Invocation) -> int:
    """Explain. Exit status 126, as for a command that cannot be executed."""
    name = invocation.argv[0].rpartition("/")[2]
    invocation.write_error(
        f"{name}: pods have no shell here; run the command itself, as in: emulator exec POD -- curl -s http://web/\n"
    )
    return 126
