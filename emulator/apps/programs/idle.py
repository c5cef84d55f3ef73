"""What images without a server run: nothing, so that commands can be run in their pods. `sleep N` ends after N s.

As shells, `sleep` and `tail` do as process 1 of a container, it takes no notice of SIGTERM; `pause` ends.
"""

from __future__ import annotations

import trio

from emulator.apps.durations import seconds_of
from emulator.apps.environment import Container
from emulator.apps.images import command_line, repository
from emulator.apps.termination import ignore_termination, until_terminated


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Wait until cancelled, or for as long as `sleep` was told."""
    words = command_line(container.image, container.command, container.args)
    name = words[0].rpartition("/")[2] if words else ""
    if name == "pause" or (not container.command and repository(container.image).endswith("pause")):
        return await pause(container, task_status=task_status)
    ignore_termination(container)
    task_status.started()
    if name != "sleep":
        await trio.sleep_forever()
    seconds = [seconds_of(word) for word in words[1:]]
    if not seconds or None in seconds:
        container.log("sleep: invalid time interval")
        return 1
    await trio.sleep(sum(second or 0.0 for second in seconds))
    return 0


async def pause(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Wait until told to end, as Kubernetes' pause does."""

    async def wait() -> int:
        task_status.started()
        return await trio.sleep_forever()

    return await until_terminated(container, 0, wait)
