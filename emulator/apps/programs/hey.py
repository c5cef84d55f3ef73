"""podwire/load and images of hey: the load that the arguments ask for, its report in the log, then the end."""

from __future__ import annotations

import trio

from emulator.apps.commands import hey
from emulator.apps.environment import Container
from emulator.apps.invocations import container_invocation, own_words


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Run `hey` with the container's arguments. Its exit status."""
    task_status.started()
    return await hey.main(container_invocation(container, ("hey", *own_words(container))))
