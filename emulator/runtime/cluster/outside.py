"""A host outside the cluster, on the node network of a simulated one: what clients beyond the nodes are.

It is a machine like any other, a kernel with a NIC on the underlay; the nodes are told of it as of each other. The
first one has the node network's gateway address, so that nodes send to it whatever is for addresses beyond.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from random import Random

import trio

from emulator.apps.environment import Invocation
from emulator.errors import PodwireError
from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns
from emulator.kernel.nic import Nic
from emulator.kernel.route import Route
from emulator.runtime.machine import Machine
from emulator.runtime.node.node import UPLINK, nic_mac
from emulator.runtime.programs import find_command
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.underlay.underlay import Peer, Underlay


class OutsideHost:
    """One host. `network` opens sockets in it, `netns` is its namespace, `uplink` its NIC on the node network."""

    def __init__(
        self, peer: Peer, underlay: Underlay, random: Random, *, wall_offset: float, log: logging.Logger
    ) -> None:
        kernel = Kernel(peer.name, random, trio.current_time())
        self.name = peer.name
        self.peer = peer
        self.machine = Machine(kernel, underlay, log, wall_offset)
        self.netns = Netns(kernel, "root")
        self.uplink = Nic(self.netns, UPLINK, peer.mac)
        self.uplink.set_up()
        self.machine.attach(self.uplink)
        self.network = NetnsNetwork(self.machine, self.netns)

    def add_address(self, address: str, prefix_length: int = 32) -> None:
        """Give the host an address: on its NIC, or, of a network of its own, beyond it."""
        self.machine.enter()
        self.netns.add_address(self.uplink, int(IPv4Address(address)), prefix_length)

    def add_route(self, destination: str, via: str) -> None:
        """Send what is for a network to a node, as a load balancer or a router does. The last word on it counts."""
        self.machine.enter()
        network = IPv4Network(destination)
        for route in [*self.netns.fib.routes()]:
            if (route.destination, route.prefix_length) == (int(network.network_address), network.prefixlen):
                self.netns.fib.remove(route)
        gateway = int(IPv4Address(via))
        self.netns.fib.add(Route(int(network.network_address), network.prefixlen, link=self.uplink, gateway=gateway))

    async def exec(self, *command: str) -> tuple[str, int]:
        """Run a command of `emulator exec`; return all that it wrote and its exit status. PodwireError if unknown."""
        found = find_command(command[0])
        if found is None:
            raise PodwireError(f"{command[0]}: command not found")
        written: list[str] = []
        status = await found(
            Invocation(
                argv=command,
                network=self.network,
                stdin=_NoInput(),
                write=written.append,
                write_error=written.append,
                wall_clock=self.machine.wall_clock,
                hostname=self.name,
            )
        )
        return "".join(written), status


class _NoInput:
    """Standard input that is at its end."""

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""


def host_address(node_network: IPv4Network, index: int) -> IPv4Address:
    """Return the address of the `index`th host: the gateway's, then from the end of the network, where no node is."""
    return node_network.network_address + 1 if index == 0 else node_network.broadcast_address - index


def host_mac(cluster: str, name: str) -> int:
    """Return the MAC of a host's NIC."""
    return nic_mac(cluster, f"outside/{name}")


def check_names(hosts: Iterable[str], nodes: Iterable[str]) -> None:
    """Raise PodwireError where a host has the name of a node."""
    twice = sorted({*hosts} & {*nodes})
    if twice:
        raise PodwireError(f"hosts outside have the names of nodes: {', '.join(twice)}; choose others")
