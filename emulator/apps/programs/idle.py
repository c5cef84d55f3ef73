"""What images without a server run: nothing, so that commands can be run in their pods. `sleep N` ends after N s."""

from __future__ import annotations

import re

import trio

from emulator.apps.environment import Container

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Wait until cancelled, or for as long as `sleep` was told."""
    task_status.started()
    seconds = _seconds([*container.command, *container.args])
    if seconds is None:
        await trio.sleep_forever()
    else:
        await trio.sleep(seconds)
    return 0


def _seconds(words: list[str]) -> float | None:
    """How long `sleep 1m 30s` waits; None for ever."""
    if not words or words[0].rpartition("/")[2] != "sleep":
        return None
    total = 0.0
    for word in words[1:]:
        match = _DURATION.fullmatch(word)
        if match is None:
            return None  # infinity
        total += float(match[1]) * _UNITS[match[2]]
    return total
