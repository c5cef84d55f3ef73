"""Which program an image runs and which command a name of `emulator exec` means; each is imported when first used."""

from __future__ import annotations

from importlib import import_module

from emulator.apps.environment import Command, Container, Program


def import_programs() -> None:
    """Import what images run, so that forks share it."""
    from emulator.apps import images

    for name in sorted({*images.PROGRAMS.values(), "generic"}):
        import_module(f"emulator.apps.programs.{name}")


def find_program(container: Container) -> Program:
    """Return the program of a container's image."""
    from emulator.apps import images

    return images.program_for(container)


def find_command(name: str) -> Command | None:
    """Return a command of `emulator exec`, or None if there is none of that name."""
    from emulator.apps import commands

    return commands.find(name)


def command_names() -> list[str]:
    """Return the names of all commands of `emulator exec`."""
    from emulator.apps import commands

    return commands.names()
