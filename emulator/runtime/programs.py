"""Which program an image runs and which command a name of `emulator exec` means; each is imported when first used."""

from __future__ import annotations

from emulator.apps.environment import Command, Container, Program


def find_program(container: Container) -> Program:
    """Return the program of a container's image."""
    from emulator.apps import images

    return images.program_for(container)


def find_command(name: str) -> Command | None:
    """Return a command of `emulator exec`, or None if there is none of that name."""
    from emulator.apps import commands

    return commands.find(name)
