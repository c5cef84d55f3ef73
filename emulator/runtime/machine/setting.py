"""What a machine is given by whoever starts it: the launcher, to a process of its own, or a simulation."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import trio
from msgspec import Struct

from emulator.api.cluster_file import ClusterConfig
from emulator.errors import PodwireError
from emulator.runtime.logging import open_log
from emulator.runtime.machine.controller_link import Connect
from emulator.runtime.supervisor.processes import Inherited
from emulator.runtime.underlay.udp import UdpUnderlay
from emulator.runtime.underlay.underlay import Underlay


class MachineSetting(Struct, frozen=True):
    """The surroundings of one machine; `epoch` differs for each start of it."""

    name: str
    config: ClusterConfig
    connect: Connect
    listener: trio.abc.Listener[Any]
    underlay: Underlay
    epoch: int
    random: Random
    wall_offset: float
    log: logging.Logger

    @property
    def instance(self) -> str:
        """Names this very process of the machine."""
        return f"{self.name}-{self.epoch:x}"


def run_process(
    inherited: Inherited,
    name: str,
    config: ClusterConfig,
    controller: str,
    run: Callable[[MachineSetting], Awaitable[None]],
) -> None:
    """Be the process of a machine, until a signal ends it; `controller` is the path of the controller's socket."""
    trio.run(_run, inherited, name, config, controller, run)


async def _run(
    inherited: Inherited,
    name: str,
    config: ClusterConfig,
    controller: str,
    run: Callable[[MachineSetting], Awaitable[None]],
) -> None:
    if inherited.listener is None or inherited.underlay is None:
        raise PodwireError(f"{inherited.name}: the launcher gave no sockets")
    epoch = time.time_ns()

    async def connect() -> trio.abc.Stream:
        return await trio.open_unix_socket(controller)

    await run(
        MachineSetting(
            name=name,
            config=config,
            connect=connect,
            listener=trio.SocketListener(trio.socket.from_stdlib_socket(inherited.listener)),
            underlay=UdpUnderlay(name, epoch, inherited.underlay),
            epoch=epoch,
            random=Random(f"{config.seed}/{name}/{epoch}"),
            wall_offset=time.time() - trio.current_time(),
            log=open_log(inherited.name),
        )
    )
