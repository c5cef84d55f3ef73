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
from emulator.runtime.cluster.backend import MemoryBackend
from emulator.runtime.cluster.outside import OutsideHost, check_names, host_address, host_mac
from emulator.runtime.control.memory_listener import MemoryListener
from emulator.runtime.controller.controller import Controller
from emulator.runtime.controller.database import Database
from emulator.runtime.node.node import NodeMachine, NodeSetting, nic_mac
from emulator.runtime.state_directory import CONTROLLER
from emulator.runtime.tasks import tasks
from emulator.runtime.underlay.memory import Conditions, MemoryNetwork
from emulator.runtime.underlay.underlay import Peer

WALL_START = 1_767_225_600.0
"""The wall clock at the beginning of every simulation: 2026-01-01 00:00 UTC."""

_ADDRESS = "127.0.0.1"
_FIRST_PORT = 1


class Simulation:
    """The controller and the nodes of one simulated cluster, as tasks that can be killed and come again."""

    def __init__(
        self, config: ClusterConfig, conditions: Conditions | None, log: logging.Logger, hosts: Sequence[str] = ()
    ) -> None:
        check_names(hosts, (node.name for node in config.nodes))
        self.config = config
        self.machines: dict[str, NodeMachine] = {}
        """The nodes by name, for tests that look into them."""
        self.network = MemoryNetwork(Random(f"{config.seed}/wire"), conditions)
        self._listeners: dict[str, MemoryListener] = {}
        self._database = Database(None)
        self._log = log
        self._wall_offset = WALL_START - trio.current_time()
        self._ports = {node.name: _FIRST_PORT + index for index, node in enumerate(config.nodes)}
        self.hosts = {name: self._host(name, index) for index, name in enumerate(hosts)}
        """Hosts outside the cluster, on its node network."""
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
                for host in self.hosts.values():
                    nursery.start_soon(host.machine.run)
                self.start_controller()
                for node in self.config.nodes:
                    self.start_node(node.name)
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

    def wall_clock(self) -> float:
        """Seconds since the epoch, in the simulation."""
        return self._wall_offset + trio.current_time()

    def _host(self, name: str, index: int) -> OutsideHost:
        config = self.config
        address = (_ADDRESS, _FIRST_PORT + len(config.nodes) + index)
        peer = Peer(name, address, host_mac(config.name, name))
        underlay = self.network.attach(name, 1, address)
        underlay.set_peers(
            Peer(node, (_ADDRESS, port), nic_mac(config.name, node)) for node, port in self._ports.items()
        )
        random = Random(f"{config.seed}/{name}")
        host = OutsideHost(peer, underlay, random, wall_offset=self._wall_offset, log=self._log)
        host.add_address(str(host_address(config.node_network, index)), config.node_network.prefixlen)
        return host

    async def _run_controller(self, listener: MemoryListener) -> None:
        with trio.CancelScope() as scope:
            self._scopes[CONTROLLER] = scope
            controller = Controller(self.config, self._database, clock=self.wall_clock, logger=self._log)
            await controller.run([listener])

    async def _connect_to_controller(self) -> trio.abc.Stream:
        return await self._listeners[CONTROLLER].connect()

    async def _run_node(self, node: NodeConfig, listener: MemoryListener) -> None:
        epoch = self._starts[node.name] = self._starts.get(node.name, 0) + 1
        address = (_ADDRESS, self._ports[node.name])
        with trio.CancelScope() as scope:
            self._scopes[node.name] = scope
            machine = self.machines[node.name] = NodeMachine(
                NodeSetting(
                    config=self.config,
                    node=node,
                    connect=self._connect_to_controller,
                    listener=listener,
                    underlay=self.network.attach(node.name, epoch, address),
                    epoch=epoch,
                    random=Random(f"{self.config.seed}/{node.name}/{epoch}"),
                    wall_offset=self._wall_offset,
                    log=self._log,
                    outside=tuple(host.peer for host in self.hosts.values()),
                )
            )
            await machine.run()


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
