"""networkstatic/iperf3 and its like: the image runs iperf3 with its arguments; what that prints is its log."""

from __future__ import annotations

import trio

from emulator.apps.commands import iperf3
from emulator.apps.environment import Container
from emulator.apps.invocations import container_invocation, own_words
from emulator.apps.iperf3 import command_line
from emulator.apps.options import UsageError


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Run `iperf3`: a server with `-s`, else a client. Its exit status."""
    words = own_words(container)
    try:
        options = command_line.read(words)
        if command_line.is_server(options):
            server = command_line.server_of(options, container.network, container.log, container.wall_clock)
            await server.serve(one_off="1" in options, task_status=task_status)
            return 0
    except UsageError:
        pass  # the command says what is wrong
    task_status.started()
    return await iperf3.main(container_invocation(container, ("iperf3", *words)))
