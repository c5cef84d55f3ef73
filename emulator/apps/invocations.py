"""Runs of commands that nobody types at: a container's own, those of probes, hooks and scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio
from msgspec.structs import replace

from emulator.apps.environment import Container, Invocation


class NoInput:
    """Standard input that is at its end."""

    async def read(self) -> bytes:
        """Return b"", as at each read from /dev/null."""
        await trio.lowlevel.checkpoint()
        return b""


def own_words(container: Container) -> list[str]:
    """Return the arguments of a container whose image runs one command, whatever the word is that names it."""
    return [*container.command[1:], *container.args] if container.command else list(container.args)


def container_invocation(
    container: Container, argv: Sequence[str], write: Callable[[str], None] | None = None
) -> Invocation:
    """Return a command's run in a container. What it prints goes to `write`, else to its log."""
    return replace(
        child_invocation(container, argv, write or container.log), on_terminate=container.on_terminate, pid=1
    )


def child_invocation(container: Container, argv: Sequence[str], write: Callable[[str], None]) -> Invocation:
    """Return the run of a command that a container's program starts: signals to the container are not for it."""
    return Invocation(
        argv=tuple(argv),
        network=container.network,
        stdin=NoInput(),
        write=write,
        write_error=write,
        wall_clock=container.wall_clock,
        hostname=container.pod_name,
        environ=container.env,
        files=container.files,
        directory=container.working_dir,
    )
