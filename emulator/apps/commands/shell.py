"""sh, ash and bash: the shell of pods."""

from __future__ import annotations

from emulator.apps.environment import Invocation


async def main(invocation: Invocation) -> int:
    """Run a script, or what is typed; see `apps.shell`."""
    from emulator.apps.shell.main import main as run

    return await run(invocation)
