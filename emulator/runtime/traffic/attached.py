"""A traffic script on a cluster that runs in other processes: what `emulator traffic run` does under trio."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import trio

from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.tasks import tasks
from emulator.runtime.traffic.report import Report
from emulator.runtime.traffic.surroundings import Progress, Surroundings, surroundings


async def run_attached(
    name: str,
    directory: str,
    main: Callable[[Cluster], Awaitable[Report]],
    on_progress: Callable[[Progress], None],
    on_step: Callable[[str], None],
) -> Report:
    """Run `main` with the cluster. Ctrl-C ends traffic that runs with its report so far; otherwise, and twice, all."""
    around = Surroundings(on_progress, on_step)
    token = surroundings.set(around)
    try:
        async with Cluster.attach(name, state_dir=directory) as cluster, tasks() as nursery:
            await nursery.start(_listen, around)
            return await main(cluster)
    finally:
        surroundings.reset(token)


async def _listen(around: Surroundings, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Hear Ctrl-C."""
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            if around.running and not around.stop.is_set():
                around.stop.set()
            else:
                raise KeyboardInterrupt
