"""Who is outside the nodes, and at which address: the emulated internet's own hosts and those of the cluster file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from msgspec import Struct
from msgspec.structs import replace

from emulator.api.cloud_section import (
    FIRST_HOST_INDEX,
    INTERNET,
    NODE,
    WEB_INDEX,
    CloudConfig,
    HostConfig,
    Port,
)
from emulator.api.cluster_file import ClusterConfig
from emulator.errors import PodwireError

SWITCH, GATEWAY, ROUTER = "node-network", "gateway", "internet"
"""The namespaces that are no hosts."""

RESOLVER_NAME, WEB_NAME = "resolver", "example.com"
RESOLVER_IMAGE, WEB_IMAGE = "coredns", "traefik/whoami"


class Host(Struct, frozen=True):
    """A host as it is made: `network` is the internet or the node network, without an image and ports it only waits."""

    name: str
    network: str
    address: IPv4Address
    image: str = ""
    args: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()


def gateway_address(config: ClusterConfig) -> IPv4Address:
    """Return the address that nodes send to whatever is for beyond: the first of their network."""
    return config.node_network.network_address + 1


class Part(Struct, frozen=True):
    """A namespace between the hosts: its name, network and address there, and what it does."""

    name: str
    network: str
    address: str
    task: str


def plan_parts(config: ClusterConfig) -> tuple[Part, ...]:
    """Return the parts of the network outside the nodes, outwards."""
    cloud = config.cloud
    switch = Part(SWITCH, NODE, "", f"bridge of {config.node_network}")
    if not cloud.internet:
        return (switch,)
    gateway = Part(GATEWAY, NODE, str(gateway_address(config)), f"source NAT to {cloud.public_address}")
    return (switch, gateway, Part(ROUTER, INTERNET, str(cloud.router), "routes to each host"))


def plan_hosts(config: ClusterConfig) -> tuple[Host, ...]:
    """Return all hosts, the internet's own first; one of the file's takes the place of one of these of its name.

    Raises PodwireError where addresses are used up.
    """
    cloud = config.cloud
    wanted = {host.name: host for host in _own_hosts(cloud)}
    for host in cloud.hosts:
        own = wanted.get(host.name)
        if host.address is None and own is not None and host.network == own.network:
            host = replace(host, address=own.address)
        wanted[host.name] = host
    taken = {host.address for host in wanted.values() if host.address is not None}
    free = {INTERNET: _free(_internet_addresses(cloud), taken), NODE: _free(_node_addresses(config), taken)}
    hosts = []
    for host in wanted.values():
        address = host.address or next(free[host.network], None)
        if address is None:
            raise PodwireError(f"host {host.name}: no address is left for it; give it one, or name fewer hosts")
        hosts.append(Host(host.name, host.network, address, host.image, host.args, host.ports))
    return tuple(hosts)


def _own_hosts(cloud: CloudConfig) -> Iterator[HostConfig]:
    if cloud.internet:
        yield HostConfig(RESOLVER_NAME, INTERNET, cloud.resolver, RESOLVER_IMAGE)
        yield HostConfig(WEB_NAME, INTERNET, cloud.network.network_address + WEB_INDEX, WEB_IMAGE)


def _free(addresses: Iterable[IPv4Address], taken: set[IPv4Address]) -> Iterator[IPv4Address]:
    return (address for address in addresses if address not in taken)


def _internet_addresses(cloud: CloudConfig) -> Iterator[IPv4Address]:
    first, last = cloud.network.network_address + FIRST_HOST_INDEX, cloud.network.broadcast_address
    return (IPv4Address(number) for number in range(int(first), int(last)))


def _node_addresses(config: ClusterConfig) -> Iterator[IPv4Address]:
    """From the end of the network: nodes get theirs from its beginning."""
    network = config.node_network
    least = int(gateway_address(config))
    return (IPv4Address(number) for number in range(int(network.broadcast_address) - 1, least, -1))
