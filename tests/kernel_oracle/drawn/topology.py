"""The two machines that cases are about, and the addresses, ports and marks that rules and packets are drawn from.

The pools are small on purpose: rules must meet packets.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LinkPlan:
    """A veth whose far end is the harness: its own MAC, address or bridge, and the hosts behind it."""

    name: str
    mac: str
    host_mac: str
    address: str = ""
    bridge: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topology:
    """A machine. Every host of a connected network is a permanent neighbour, so that nothing waits for ARP."""

    name: str
    links: tuple[LinkPlan, ...]
    bridges: tuple[tuple[str, str, str], ...] = ()  # name, MAC, address
    loopback: tuple[str, ...] = ("10.97.0.1/32",)  # as a Service's address that is bound to a link
    neighbours: tuple[tuple[str, str, str], ...] = ()  # link, address, MAC

    @property
    def link_names(self) -> tuple[str, ...]:
        """Where packets come in and out, bridges among them: what `-i` and `-o` may name."""
        return (*(link.name for link in self.links if not link.bridge), *(name for name, _, _ in self.bridges))

    def plan(self, name: str) -> LinkPlan:
        """Return a link's plan."""
        return next(link for link in self.links if link.name == name)

    def link_of(self, host: str) -> LinkPlan | None:
        """Return the link that a host is behind."""
        return next((link for link in self.links if host in link.hosts), None)

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts."""
        return tuple(host for link in self.links for host in link.hosts)

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """The machine's own addresses."""
        with_length = [link.address for link in self.links if link.address]
        with_length += [*(address for _, _, address in self.bridges), *self.loopback]
        return tuple(address.partition("/")[0] for address in with_length)


def _routed(name: str, number: int) -> LinkPlan:
    hosts = tuple(f"10.0.{number}.{host}" for host in (2, 3, 4))
    return LinkPlan(name, f"02:00:00:00:00:0{number}", f"02:aa:00:00:00:0{number}", f"10.0.{number}.1/28", "", hosts)


def _port(name: str, number: int, hosts: tuple[str, ...]) -> LinkPlan:
    return LinkPlan(name, f"02:00:00:00:00:0{number}", f"02:aa:00:00:00:0{number}", "", "br0", hosts)


def _neighbours(link: str, network: str, mac: str) -> list[tuple[str, str, str]]:
    return [(link, f"{network}.{host}", mac) for host in (0, *range(2, 15))]


def _router() -> Topology:
    links = tuple(_routed(name, number) for number, name in enumerate("abc", 1))
    neighbours = [
        each for n, link in enumerate(links, 1) for each in _neighbours(link.name, f"10.0.{n}", link.host_mac)
    ]
    return Topology("router", links, neighbours=tuple(neighbours))


def _bridge() -> Topology:
    p = _port("p", 4, ("10.0.4.2", "10.0.4.3"))
    q = _port("q", 5, ("10.0.4.4", "10.0.4.5"))
    a = _routed("a", 1)
    neighbours = _neighbours("a", "10.0.1", a.host_mac)
    for host in (0, *range(2, 15)):
        neighbours.append(("br0", f"10.0.4.{host}", q.host_mac if f"10.0.4.{host}" in q.hosts else p.host_mac))
    return Topology("bridge", (a, p, q), (("br0", "02:00:00:00:00:0b", "10.0.4.1/28"),), neighbours=tuple(neighbours))


TOPOLOGIES = {topology.name: topology for topology in (_router(), _bridge())}

VIPS = ("10.96.0.10", "10.96.0.11")
FAR = ("192.0.2.7", "198.51.100.9")  # behind a drawn route, or nowhere
ODD = ("127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "10.0.1.15", "240.0.0.1", "10.0.1.0")
SERVER_PORTS = (53, 80, 443)
CLIENT_PORTS = (4000, 4001, 600, 80, 1023)
MARKS = (0x1, 0x2, 0x4000)
MASKED_MARKS = ("0x1", "0x1/0x3", "0x2/0x2", "0x4000/0x4000", "0x0", "0x0/0x4000")
