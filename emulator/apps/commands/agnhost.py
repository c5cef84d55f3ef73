"""agnhost in `emulator exec`: the subcommands that do one thing and end (`agnhost connect web:80 --timeout=3s`)."""

from __future__ import annotations

from emulator.apps.environment import Invocation
from emulator.apps.options import UsageError
from emulator.apps.programs.agnhost_tools import NAMES, run


async def main(invocation: Invocation) -> int:
    """Run a subcommand. Exit status as the subcommand's, 1 for a command line that is refused."""
    words = invocation.argv[1:]
    if not words or words[0] not in NAMES:
        said = f'unknown command "{words[0]}" for "app"' if words else "no subcommand"
        invocation.write_error(f"Error: {said}: here are {', '.join(NAMES)}\n")
        return 1
    try:
        return await run(invocation.network, words, invocation.write, invocation.write_error)
    except (UsageError, ValueError) as error:
        invocation.write_error(f"Error: {error}\n")
        return 1
