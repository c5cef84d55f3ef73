"""podwire/load and images of hey: the load that the arguments ask for, its report in the log, then the end."""

from __future__ import annotations

import trio

from emulator.apps.commands import hey
from emulator.apps.environment import Container, Invocation


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Run `hey` with the container's arguments. Its exit status."""
    words = [*container.command[1:], *container.args] if container.command else list(container.args)
    task_status.started()
    invocation = Invocation(
        ("hey", *words),
        container.network,
        _NoInput(),
        container.log,
        container.log,
        container.wall_clock,
        hostname=container.pod_name,
    )
    return await hey.main(invocation)


class _NoInput:
    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""
