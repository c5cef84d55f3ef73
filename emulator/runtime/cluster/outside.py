"""Hosts outside the nodes of a simulated cluster, for tests that look into them and move their routes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from msgspec.structs import replace

from emulator.api.cloud_section import INTERNET, NODE, CloudConfig, HostConfig
from emulator.api.cluster_file import ClusterConfig
from emulator.api.messages import HostOverview
from emulator.apps.environment import Invocation
from emulator.apps.invocations import NoInput
from emulator.cloud.cloud import UPLINK
from emulator.cloud.plan import gateway_address
from emulator.errors import PodwireError
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route
from emulator.runtime.machine.machine import Machine
from emulator.runtime.programs import find_command
from emulator.runtime.sockets.network import NetnsNetwork


class OutsideHost:
    """One host. `network` opens sockets in it, `netns` is its namespace, `uplink` its link to the others."""

    def __init__(self, name: str, machine: Machine, netns: Netns, network: NetnsNetwork) -> None:
        self.name = name
        self.machine = machine
        self.netns = netns
        self.uplink = netns.links[UPLINK]
        self.network = network

    def add_address(self, address: str, prefix_length: int = 32) -> None:
        """Give the host an address: on its link, or, of a network of its own, beyond it."""
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
                stdin=NoInput(),
                write=written.append,
                write_error=written.append,
                wall_clock=self.machine.wall_clock,
                hostname=self.name,
            )
        )
        return "".join(written), status


def with_hosts(config: ClusterConfig, names: Sequence[str]) -> ClusterConfig:
    """Return the configuration with hosts on the node network and without an internet: the first is the gateway.

    Nodes send to it whatever is for addresses beyond, and it does with that what a test wants.
    """
    if not names:
        return config
    first, *others = names
    hosts = [HostConfig(first, NODE, gateway_address(config)), *(HostConfig(name, NODE) for name in others)]
    own = tuple(host for host in config.cloud.hosts if host.network == NODE)
    return replace(config, cloud=CloudConfig(internet=False, hosts=(*own, *hosts)))


def observed(config: ClusterConfig, nodes: Iterable[str], hosts: Iterable[HostOverview]) -> ClusterConfig:
    """Return the configuration with the nodes and hosts that a running cluster has."""
    found = tuple(HostConfig(host.name, host.network, IPv4Address(host.address)) for host in hosts if not host.part)
    internet = any(host.network == INTERNET for host in found)
    return replace(
        config,
        nodes=tuple(replace(config.nodes[0], name=name) for name in nodes),
        cloud=CloudConfig(internet=internet, hosts=found),
    )
