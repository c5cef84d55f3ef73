"""The section `[cloud]` of a cluster file: whether there is an internet, and which hosts are outside the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from msgspec import Struct

from emulator.api.checks import formats
from emulator.api.networks import INTERNET_NETWORKS, apart
from emulator.api.problem import Path as FieldPath
from emulator.api.problem import listed, quoted
from emulator.api.toml.reader import TomlReader

INTERNET, NODE = "internet", "node"
SIDES = (INTERNET, NODE)
"""Where a host can be: on the emulated internet, behind the gateway, or on the node network, beside the nodes."""

RESOLVER = IPv4Address("1.1.1.1")
"""The name server that nodes ask, and through the cluster's DNS their pods: familiar, and emulated like all else."""

ROUTER_INDEX, PUBLIC_INDEX, RESOLVER_INDEX, WEB_INDEX, FIRST_HOST_INDEX = 1, 2, 53, 80, 100
"""Addresses in the internet's network: its router's, the gateway's public one, ..., the first of the user's hosts."""

RESERVED_HOST_NAMES = frozenset({"gateway", "internet", "node-network"})
"""Namespaces of the cloud that are no hosts."""

HOST_KEYS = ("name", "network", "address", "image", "args", "ports")
CLOUD_KEYS = ("load_balancer_pool", "internet", "resolver", "hosts")

Port = tuple[str, int]
"""Protocol (TCP, UDP) and number."""


class HostConfig(Struct, frozen=True):
    """A host outside the nodes. Without an address it gets one, without an image or ports it only waits."""

    name: str
    network: str = INTERNET
    address: IPv4Address | None = None
    image: str = ""
    args: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()


class CloudConfig(Struct, frozen=True):
    """What lies outside the nodes. `network` is where the internet's own addresses are from."""

    internet: bool = True
    network: IPv4Network = INTERNET_NETWORKS[0]
    resolver: IPv4Address = RESOLVER
    hosts: tuple[HostConfig, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether anything is outside the nodes."""
        return self.internet or bool(self.hosts)

    @property
    def router(self) -> IPv4Address:
        """The address of the internet's router, the hop behind the gateway."""
        return self.network.network_address + ROUTER_INDEX

    @property
    def public_address(self) -> IPv4Address:
        """The gateway's address on the internet: what the cluster's traffic is seen from there."""
        return self.network.network_address + PUBLIC_INDEX

    @property
    def nameservers(self) -> tuple[str, ...]:
        """What nodes and hosts have in their resolv.conf."""
        return (str(self.resolver),) if self.internet else ()


def read_cloud(reader: TomlReader, table: Mapping[str, Any], networks: Mapping[str, IPv4Network]) -> CloudConfig:
    """Read what is outside; `networks` are the cluster's own by the keys that users know them by."""
    internet = table.get("internet", True)
    if not isinstance(internet, bool):
        reader.mistyped(("cloud", "internet"), internet, "true or false")
        internet = True
    free = apart(INTERNET_NETWORKS, networks.values())
    if free is None and internet:
        tried = ", ".join(map(str, INTERNET_NETWORKS))
        message = (
            f"the cluster's networks leave none of {tried} free for the internet; choose others, or set it to false"
        )
        reader.problem(("cloud", "internet"), f"Invalid value: true: {message}")
    network = free or INTERNET_NETWORKS[0]
    resolver = _resolver(reader, table, networks, network)
    cloud = CloudConfig(internet, network, resolver)
    return CloudConfig(internet, network, resolver, _Hosts(reader, cloud, networks).read(table.get("hosts", [])))


def _resolver(
    reader: TomlReader, table: Mapping[str, Any], networks: Mapping[str, IPv4Network], network: IPv4Network
) -> IPv4Address:
    path = ("cloud", "resolver")
    if "resolver" in table:
        address = _address(reader, path, table["resolver"])
        if address is None:
            return RESOLVER
        for problem in _on_internet(address, networks):
            reader.problem(path, f"Invalid value: {address}: {problem}")
        return address
    taken = any(RESOLVER in own for own in networks.values())
    return network.network_address + RESOLVER_INDEX if taken else RESOLVER


class _Hosts:
    """Reads `[[cloud.hosts]]`."""

    def __init__(self, reader: TomlReader, cloud: CloudConfig, networks: Mapping[str, IPv4Network]) -> None:
        self._reader = reader
        self._cloud = cloud
        self._networks = networks
        self._names: dict[str, int] = {}
        self._addresses: dict[IPv4Address, str] = {}
        if cloud.internet:
            self._addresses = {
                cloud.router: "the internet's router",
                cloud.public_address: "the gateway",
                networks["node_network"].network_address + 1: "the gateway",
            }

    def read(self, value: Any) -> tuple[HostConfig, ...]:
        if not isinstance(value, list):
            self._reader.problem(("cloud", "hosts"), "must be a list of tables: write [[cloud.hosts]]")
            return ()
        return tuple(self._host(("cloud", "hosts", index), entry, index) for index, entry in enumerate(value))

    def _host(self, path: FieldPath, value: Any, index: int) -> HostConfig:
        reader = self._reader
        table = reader.table(path, value)
        reader.check_keys(path, table, HOST_KEYS)
        host = HostConfig(
            name=self._name((*path, "name"), table, index),
            network=self._side((*path, "network"), table),
            image=reader.text((*path, "image"), table.get("image", "")),
            args=tuple(self._args((*path, "args"), table.get("args", []))),
            ports=tuple(self._ports((*path, "ports"), table.get("ports", []))),
        )
        if "address" not in table:
            return host
        where = (*path, "address")
        address = _address(reader, where, table["address"])
        if address is not None:
            for problem in self._misplaced(address, host):
                reader.problem(where, f"Invalid value: {address}: {problem}")
            self._addresses.setdefault(address, f"host {host.name}")
        return HostConfig(host.name, host.network, address, host.image, host.args, host.ports)

    def _name(self, path: FieldPath, table: Mapping[str, Any], index: int) -> str:
        reader = self._reader
        if "name" not in table:
            reader.problem(path, "Required value: what exec, trace and the internet's resolver know the host by")
            return f"host-{index + 1}"
        name = reader.text(path, table["name"])
        for problem in formats.subdomain_1123(name):
            reader.problem(path, f"Invalid value: {quoted(name)}: {problem}")
        if name in RESERVED_HOST_NAMES:
            reader.problem(path, f"Invalid value: {quoted(name)}: a part of the cloud has this name")
        if name in self._names:
            reader.problem(path, f"Duplicate value: {quoted(name)}, as cloud.hosts[{self._names[name]}]")
        self._names.setdefault(name, index)
        return name

    def _side(self, path: FieldPath, table: Mapping[str, Any]) -> str:
        side = table.get("network", INTERNET if self._cloud.internet else NODE)
        if side not in SIDES:
            self._reader.problem(path, f"Unsupported value: {quoted(side)}: supported values: {listed(SIDES)}")
            return INTERNET
        if side == INTERNET and not self._cloud.internet:
            self._reader.problem(path, f'Invalid value: "{INTERNET}": there is none, since cloud.internet is false')
        return str(side)

    def _args(self, path: FieldPath, value: Any) -> Iterator[str]:
        if not isinstance(value, list):
            self._reader.mistyped(path, value, 'a list of words, such as ["-text", "hello"]')
            return
        for index, entry in enumerate(value):
            yield self._reader.text((*path, index), entry)

    def _ports(self, path: FieldPath, value: Any) -> Iterator[Port]:
        if not isinstance(value, list):
            self._reader.mistyped(path, value, 'a list of ports, such as [80, "53/udp"]')
            return
        for index, entry in enumerate(value):
            port = _port(entry)
            if port is None:
                self._reader.mistyped((*path, index), entry, 'a port of 1 to 65535, such as 80 or "53/udp"')
            else:
                yield port

    def _misplaced(self, address: IPv4Address, host: HostConfig) -> Iterable[str]:
        """Yield why a host cannot have an address."""
        if address in self._addresses:
            yield f"{self._addresses[address]} has it"
        elif host.network == INTERNET:
            yield from _on_internet(address, self._networks)
        else:
            network = self._networks["node_network"]
            if address not in network:
                yield f"must be in node_network {network}"
            elif address in (network.network_address, network.broadcast_address):
                yield f"must be a host's address in node_network {network}"


def _address(reader: TomlReader, path: FieldPath, value: Any) -> IPv4Address | None:
    try:
        return IPv4Address(value if isinstance(value, str) else "")
    except ValueError:
        reader.mistyped(path, value, 'an IPv4 address in quotes, such as "192.0.2.7"')
        return None


def _on_internet(address: IPv4Address, networks: Mapping[str, IPv4Network]) -> Iterator[str]:
    """Yield why an address cannot be a host's on the internet."""
    if address.is_loopback or address.is_multicast or address.is_link_local or address.is_reserved:
        yield "must be a host's address that routers forward to"
    elif address.is_unspecified or int(address) >> 24 == 0:
        yield "must not be in 0.0.0.0/8"
    for name, network in networks.items():
        if address in network:
            yield f"is in {name} {network}; the internet is apart from it"


def _port(value: Any) -> Port | None:
    if isinstance(value, int) and not isinstance(value, bool):
        number, protocol = value, "TCP"
    elif isinstance(value, str):
        digits, _, word = value.partition("/")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5) or word.upper() not in ("", "TCP", "UDP"):
            return None
        number, protocol = int(digits), word.upper() or "TCP"
    else:
        return None
    return (protocol, number) if 0 < number < 65_536 else None
