"""nginx as a user without rights: the same site on port 8080."""

from __future__ import annotations

import trio

from emulator.apps.environment import Container
from emulator.apps.programs.nginx import serve_nginx


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve on port 8080."""
    return await serve_nginx(container, 8080, task_status)
