"""Runs of commands that nobody types at: a container's own, those of probes, hooks and scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

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
    write = write or container.log
    return Invocation(
        argv=tuple(argv),
        network=container.network,
        stdin=NoInput(),
        write=write,
        write_error=write,
        wall_clock=container.wall_clock,
        hostname=container.pod_name,
        on_terminate=container.on_terminate,
        environ=container.env,
        files=container.files,
        directory=container.working_dir,
        pid=1,
    )
