"""What lies outside the nodes, as a process: a machine with the cloud's namespaces, their programs, a control socket.

It is on the underlay as each node is: the nodes learn of it by a Lease, it of them by their Node objects. Nodes forward
among themselves whether it is there or not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import trio

from emulator.api.messages import NodeRegistration
from emulator.api.objects.node import Node
from emulator.cloud.cloud import Cloud
from emulator.kernel.kernel import Kernel
from emulator.packet.address import format_mac
from emulator.runtime.cloud.hosts import HostRunner
from emulator.runtime.cloud.services import CloudServices
from emulator.runtime.control.server import serve
from emulator.runtime.machine.controller_link import ControllerLink, Subscription
from emulator.runtime.machine.machine import Machine
from emulator.runtime.machine.object_cache import ObjectCache
from emulator.runtime.machine.peers import node_peers, on_change
from emulator.runtime.machine.setting import MachineSetting, run_process
from emulator.runtime.machine.traces import TraceBoard
from emulator.runtime.programs import find_command, find_program
from emulator.runtime.state_directory import CLOUD
from emulator.runtime.supervisor import arguments
from emulator.runtime.supervisor.arguments import CloudArguments
from emulator.runtime.supervisor.processes import Inherited

_SUBSCRIPTIONS: Sequence[Subscription] = (Subscription("Node"),)


class CloudMachine:
    """The machine of all that is outside, from its start to its end."""

    def __init__(self, setting: MachineSetting) -> None:
        self._setting = setting
        kernel = Kernel(CLOUD, setting.random, trio.current_time())
        self.machine = Machine(kernel, setting.underlay, setting.log, setting.wall_offset)
        self.cloud = Cloud(kernel, setting.config)
        self.machine.attach(self.cloud.uplink)
        self.cache = ObjectCache()
        self.traces = TraceBoard()
        self.machine.on_steps = self.traces.record
        nameservers = setting.config.cloud.nameservers
        self.hosts = HostRunner(self.machine, self.cloud, nameservers, find_program, setting.log)
        self.link = ControllerLink(
            setting.connect, self._registration(), _SUBSCRIPTIONS, self.cache, setting.random, setting.log
        )

    async def run(self) -> None:
        """Run until cancelled."""
        services = CloudServices(
            self.machine,
            self.traces,
            find_command,
            self.hosts.places,
            epoch=self._setting.epoch,
            is_connected=lambda: self.link.connected,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.machine.run)
            nursery.start_soon(self.hosts.run)
            nursery.start_soon(self.link.run)
            nursery.start_soon(serve, self._setting.listener, services.methods(self._setting.log))
            nursery.start_soon(on_change, self.cache, "Node", self._sync_nodes)

    def _sync_nodes(self) -> None:
        """Follow the registry: who the nodes are, and where their pods are."""
        nodes = self.cache.views("Node", Node)
        self.machine.enter()
        self.cloud.sync_nodes(nodes)
        self._setting.underlay.set_peers(node_peers(nodes, self._setting.log))

    def _registration(self) -> NodeRegistration:
        host, port = self._setting.underlay.address
        return NodeRegistration(
            name=CLOUD,
            instance=self._setting.instance,
            underlay_host=host,
            underlay_port=port,
            mac=format_mac(self.cloud.uplink.mac),
            macs=tuple(map(format_mac, (self.cloud.uplink.mac, *self.cloud.macs))),
            pid=os.getpid(),
        )


def main(inherited: Inherited) -> None:
    """Be the process of what is outside, until a signal ends it."""
    given = arguments.decode(inherited.arguments, CloudArguments)

    async def run(setting: MachineSetting) -> None:
        await CloudMachine(setting).run()

    run_process(inherited, CLOUD, given.config, given.controller, run)
