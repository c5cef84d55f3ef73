"""A container whose command is a built-in one (`curl`, `nslookup`, `sh -c ...`): runs it, and its output is the log."""

from __future__ import annotations

from collections.abc import Callable

import trio

from emulator.apps import commands
from emulator.apps.environment import Container
from emulator.apps.images import command_line
from emulator.apps.invocations import container_invocation
from emulator.apps.termination import ignore_termination

_NOT_FOUND = 127
_FAILED = 1
_LONGEST = 16_384  # characters of a line that is not ended, after which it is printed nonetheless


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Run the command to its end; its exit status is the container's."""
    ignore_termination(container)
    task_status.started()
    words = command_line(container.image, container.command, container.args)
    command = commands.find(words[0])
    if command is None:
        return _NOT_FOUND
    output = Lines(container.log)
    try:
        return await command(container_invocation(container, words, output.write))
    except OSError as error:
        container.log(f"{words[0]}: {error.strerror or error}")
        return _FAILED
    finally:
        output.end()


class Lines:
    """Text as it is printed, handed on line by line."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._rest = ""

    def write(self, text: str) -> None:
        """Take some text."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._log(line)
        if len(self._rest) > _LONGEST:
            self.end()

    def end(self) -> None:
        """Nothing more will come: hand on what has no line end."""
        if self._rest:
            self._log(self._rest)
            self._rest = ""
