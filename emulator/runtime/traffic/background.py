"""The cluster file's `[traffic]`: traffic files that run as long as the cluster does, each over and over.

A process of its own in the product (`podwire: traffic`), a task in a simulated cluster. The log has what came of each
round.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from emulator.runtime.logging import open_log
from emulator.runtime.supervisor.processes import Inherited

if TYPE_CHECKING:
    from emulator.runtime.cluster.cluster import Cluster

AGAIN = 2.0
"""Seconds until a round that failed is tried again: a controller or node that was killed is back by then."""


def main(inherited: Inherited) -> None:
    """Be the process of the background traffic, until a signal ends it."""
    from emulator.runtime.supervisor import arguments
    from emulator.runtime.supervisor.arguments import TrafficArguments

    given = arguments.decode(inherited.arguments, TrafficArguments)
    trio.run(_run_process, given.name, given.state_directory, given.files, open_log(inherited.name))


async def _run_process(name: str, state_directory: str, files: Sequence[Path], log: logging.Logger) -> None:
    from emulator.errors import PodwireError
    from emulator.runtime.cluster.cluster import Cluster

    while True:
        try:
            async with Cluster.attach(name, state_dir=state_directory) as cluster:
                await run_background(cluster, files, log)
        except (PodwireError, OSError) as error:  # the controller is not up yet
            log.info("waiting for the cluster", extra={"error": str(error)})
            await trio.sleep(AGAIN)


async def run_background(cluster: Cluster, files: Sequence[Path], log: logging.Logger) -> None:
    """Run traffic files over and over, side by side, from when the cluster is ready until cancelled."""
    await cluster.wait_ready()
    async with trio.open_nursery() as nursery:
        for file in files:
            nursery.start_soon(_repeat, cluster, file, log)


async def _repeat(cluster: Cluster, file: Path, log: logging.Logger) -> None:
    from emulator.api.traffic.file import read_traffic_file
    from emulator.errors import PodwireError
    from emulator.runtime.traffic.stage import run_scenario

    while True:
        began = trio.current_time()
        try:
            report = await run_scenario(cluster, read_traffic_file(file), remove=False)
        except (PodwireError, OSError, trio.TooSlowError) as error:
            log.error("traffic failed", extra={"file": str(file), "error": str(error)})
            await trio.sleep(AGAIN)
            continue
        extra = {"file": str(file), **report.summary()["total"], "failures": report.failures}
        log.log(logging.INFO if report.passed else logging.WARNING, "traffic", extra=extra)
        await trio.sleep_until(began + AGAIN)  # a file that is through at once must not keep the cluster busy
