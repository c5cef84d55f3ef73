"""What images without a server run: nothing, so that commands can be run in their pods. `sleep N` ends after N s."""

from __future__ import annotations

import trio

from emulator.apps.durations import seconds_of
from emulator.apps.environment import Container


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Wait until cancelled, or for as long as `sleep` was told."""
    task_status.started()
    words = [*container.command, *container.args]
    if not words or words[0].rpartition("/")[2] != "sleep":
        await trio.sleep_forever()
    seconds = [seconds_of(word) for word in words[1:]]
    if not seconds or None in seconds:
        container.log("sleep: invalid time interval")
        return 1
    await trio.sleep(sum(second or 0.0 for second in seconds))
    return 0
