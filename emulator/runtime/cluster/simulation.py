"""A whole cluster in one process: the same controller and nodes, joined by memory, on whatever clock trio has.

Under trio's mock clock minutes pass in milliseconds, and what happens follows from the configuration's seed.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import trio
from trio._core import _run as scheduler

from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.runtime.cloud.cloud import CloudMachine
from emulator.runtime.cluster.backend import MemoryBackend
from emulator.runtime.cluster.outside import OutsideHost, with_hosts
from emulator.runtime.control.memory_listener import MemoryListener
from emulator.runtime.controller.controller import Controller
from emulator.runtime.controller.database import Database
from emulator.runtime.machine.setting import MachineSetting
from emulator.runtime.node.node import NodeMachine
from emulator.runtime.state_directory import CLOUD, CONTROLLER
from emulator.runtime.tasks import tasks
from emulator.runtime.underlay.memory import Conditions, MemoryNetwork

WALL_START = 1_767_225_600.0
"""The wall clock at the beginning of every simulation: 2026-01-01 00:00 UTC."""

_ADDRESS = "127.0.0.1"
_FIRST_PORT = 1


class Simulation:
    """The controller and the nodes of one simulated cluster, as tasks that can be killed and come again."""

    def __init__(
        self, config: ClusterConfig, conditions: Conditions | None, log: logging.Logger, hosts: Sequence[str] = ()
    ) -> None:
        config = with_hosts(config, hosts)
        self.config = config
        self.machines: dict[str, NodeMachine] = {}
        """The nodes by name, for tests that look into them."""
        self.cloud: CloudMachine | None = None
        self.network = MemoryNetwork(Random(f"{config.seed}/wire"), conditions)
        self._listeners: dict[str, MemoryListener] = {}
        self._database = Database(None)
        self._log = log
        self._wall_offset = WALL_START - trio.current_time()
        self._ports = {node.name: _FIRST_PORT + index for index, node in enumerate(config.nodes)}
        self._ports[CLOUD] = _FIRST_PORT + len(config.nodes)
        self._starts: dict[str, int] = {}
        self._scopes: dict[str, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None

    @property
    def backend(self) -> MemoryBackend:
        """How to reach its processes."""
        return MemoryBackend(self._listeners)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the cluster until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self.start_controller()
                for node in self.config.nodes:
                    self.start_node(node.name)
                if self.config.cloud.exists:
                    self.start_cloud()
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._database.close()

    def kill_controller(self) -> None:
        """End the controller: what it has acknowledged is in its database."""
        self._scopes[CONTROLLER].cancel()

    def start_controller(self) -> None:
        """Start a killed controller anew, upon its database."""
        assert self._nursery is not None
        listener = self._listeners[CONTROLLER] = MemoryListener()
        self._nursery.start_soon(self._run_controller, listener)

    def kill_node(self, name: str) -> None:
        """End a node as SIGKILL does: nobody is told."""
        self._scopes[name].cancel()

    def start_node(self, name: str) -> None:
        """Start a killed node anew."""
        assert self._nursery is not None
        node = next(node for node in self.config.nodes if node.name == name)
        listener = self._listeners[name] = MemoryListener()
        self._nursery.start_soon(self._run_node, node, listener)

    def kill_cloud(self) -> None:
        """End what is outside the nodes, as SIGKILL does."""
        self._scopes[CLOUD].cancel()

    def start_cloud(self) -> None:
        """Start what is outside the nodes, for the first time or anew."""
        assert self._nursery is not None
        listener = self._listeners[CLOUD] = MemoryListener()
        self._nursery.start_soon(self._run_cloud, listener)

    @property
    def hosts(self) -> dict[str, OutsideHost]:
        """The hosts outside the nodes, and the parts of their network, by name."""
        cloud = self.cloud
        if cloud is None:
            return {}
        places, namespaces = cloud.hosts.places, cloud.cloud.namespaces
        return {
            name: OutsideHost(name, cloud.machine, namespaces[name], place.network) for name, place in places.items()
        }

    def wall_clock(self) -> float:
        """Seconds since the epoch, in the simulation."""
        return self._wall_offset + trio.current_time()

    async def _run_controller(self, listener: MemoryListener) -> None:
        with trio.CancelScope() as scope:
            self._scopes[CONTROLLER] = scope
            controller = Controller(self.config, self._database, clock=self.wall_clock, logger=self._log)
            await controller.run([listener])

    async def _connect_to_controller(self) -> trio.abc.Stream:
        return await self._listeners[CONTROLLER].connect()

    async def _run_node(self, node: NodeConfig, listener: MemoryListener) -> None:
        with trio.CancelScope() as scope:
            self._scopes[node.name] = scope
            machine = self.machines[node.name] = NodeMachine(self._setting(node.name, listener), node)
            await machine.run()

    async def _run_cloud(self, listener: MemoryListener) -> None:
        with trio.CancelScope() as scope:
            self._scopes[CLOUD] = scope
            self.cloud = CloudMachine(self._setting(CLOUD, listener))
            await self.cloud.run()

    def _setting(self, name: str, listener: MemoryListener) -> MachineSetting:
        """Return what a machine is given at its next start."""
        epoch = self._starts[name] = self._starts.get(name, 0) + 1
        return MachineSetting(
            name=name,
            config=self.config,
            connect=self._connect_to_controller,
            listener=listener,
            underlay=self.network.attach(name, epoch, (_ADDRESS, self._ports[name])),
            epoch=epoch,
            random=Random(f"{self.config.seed}/{name}/{epoch}"),
            wall_offset=self._wall_offset,
            log=self._log,
        )


def schedule_by_seed(seed: int) -> None:
    """Have trio choose by `seed` which of several tasks runs first, so that a simulation can be run again exactly.

    Trio draws that order, lest anybody relies on it, and lets tests fix it; pytest-trio does the same for Hypothesis.
    It holds for the whole process.
    """
    vars(scheduler)["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    scheduler._r.seed(seed)


@asynccontextmanager
async def simulated(
    config: ClusterConfig,
    conditions: Conditions | None = None,
    log: logging.Logger | None = None,
    *,
    hosts: Sequence[str] = (),
) -> AsyncIterator[Simulation]:
    """Run a simulated cluster as long as the block lasts, with `hosts` outside it."""
    schedule_by_seed(config.seed)
    simulation = Simulation(config, conditions, log or logging.getLogger(__name__), hosts)
    async with tasks() as nursery:
        await nursery.start(simulation.run)
        yield simulation
