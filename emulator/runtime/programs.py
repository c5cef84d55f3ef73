"""Which program an image runs and which command a name of `emulator exec` means; each is imported when first used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

from emulator.api.messages import Object
from emulator.apps.environment import Command, Container, Program


def programs_of(objects: Iterable[Object], hosts: Iterable[str] = ()) -> list[str]:
    """Return the names of the programs that a cluster with these objects, and hosts' images, runs from its start."""
    from emulator.apps import images

    names = {"coredns", *(images.module_for(image, ()) for image in hosts)}
    for obj in objects:
        spec: Object = obj.get("spec") or {}
        spec = (spec.get("template") or {}).get("spec") or spec
        for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
            names.add(images.module_for(container["image"], container.get("command") or []))
    return sorted(names)


def import_programs(names: Iterable[str]) -> None:
    """Import programs, so that forks share them; others are imported where one first runs."""
    for name in names:
        import_module(f"emulator.apps.programs.{name}")


def find_program(container: Container, app_path: Sequence[Path] = (), *, alone: bool = False) -> Program:
    """Return the program of a container's image, or the app of the user's that runs in its place (see `App`)."""
    if container.app:
        from emulator.runtime.apps.app import App

        return App(container.app, app_path, alone)
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
