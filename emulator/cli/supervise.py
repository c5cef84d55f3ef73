"""Holds the state directory and runs the supervisor in it: `start`, in the foreground or in the background."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from emulator.api.cluster_file import ClusterConfig
from emulator.api.messages import Object
from emulator.runtime.state_directory import StateDirectory, create

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a cluster: from the first moment, when they are KeyboardInterrupts, to the last (`Interruptions`)."""


def supervise(
    config: ClusterConfig,
    objects: Sequence[Object],
    directory: StateDirectory,
    say: Callable[[str], None],
    when_ready: Callable[[], None],
    when_held: Callable[[], None] | None = None,
) -> bool:
    """Run a cluster until it is stopped; return whether it was ever ready.

    `say` gets lines for the user, `when_held` is called once the directory is ours. Raises StateDirectoryError and
    StartError, then nothing is left; nor is it after an interruption, whenever that comes.
    """
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)  # while nothing is made yet
    from emulator.cli.start_progress import Narrator
    from emulator.runtime.supervisor.interruptions import Interruptions
    from emulator.runtime.supervisor.supervisor import run_supervisor

    narrator = Narrator(say, when_ready)
    with Interruptions() as interruptions:
        lock = create(directory, [node.name for node in config.nodes])
        try:
            if when_held is not None:
                when_held()
            narrator.begin(config.name, len(config.nodes), len(objects))
        except BaseException:
            lock.remove()
            raise
        run_supervisor(config, objects, lock, narrator.report, interruptions)
    return narrator.was_ready
