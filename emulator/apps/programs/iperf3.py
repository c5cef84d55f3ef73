"""networkstatic/iperf3 and its like: the image runs iperf3 with its arguments; what that prints is its log."""

from __future__ import annotations

import trio

from emulator.apps.commands import iperf3
from emulator.apps.environment import Container, Invocation
from emulator.apps.iperf3 import command_line
from emulator.apps.options import UsageError


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Run `iperf3`: a server with `-s`, else a client. Its exit status."""
    words = [*container.command[1:], *container.args] if container.command else list(container.args)
    try:
        options = command_line.read(words)
        if command_line.is_server(options):
            server = command_line.server_of(options, container.network, container.log, container.wall_clock)
            await server.serve(one_off="1" in options, task_status=task_status)
            return 0
    except UsageError:
        pass  # the command says what is wrong
    task_status.started()
    invocation = Invocation(
        ("iperf3", *words),
        container.network,
        _NoInput(),
        container.log,
        container.log,
        container.wall_clock,
        hostname=container.pod_name,
    )
    return await iperf3.main(invocation)


class _NoInput:
    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""
