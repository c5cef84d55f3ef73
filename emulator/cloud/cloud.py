"""The namespaces of all that is outside the nodes, in one kernel: switch, gateway, the internet's router, hosts.

    nodes ══ underlay ══ eth0 ┐
                     [node-network: a bridge] ── [a host beside the nodes]
                              └─ eth0 [gateway] eth1 ── eth0 [internet] eth1 ── eth0 [resolver]
                                                                        eth2 ── eth0 [example.com] ...

Each is an ordinary namespace. The gateway is what a home router or a cloud's NAT gateway is: it forwards, and has what
goes to the internet take its public address. The internet's router knows each host by a route of its own, so that hosts
can have any address, and tells whoever sends to others that their network is unreachable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from emulator.api.cloud_section import INTERNET, NODE
from emulator.api.cluster_file import ClusterConfig
from emulator.api.objects.node import Node
from emulator.cloud.plan import GATEWAY, ROUTER, SWITCH, Host, gateway_address, plan_hosts
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.link import Link
from emulator.kernel.link.nic import Nic
from emulator.kernel.link.veth import pair
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route, RouteType

UPLINK, OUTWARD, BRIDGE = "eth0", "eth1", "br0"

_NAT = (
    f"*nat\n-A POSTROUTING -o {OUTWARD} -m comment --comment"
    ' "what leaves for the internet has the public address" -j MASQUERADE\nCOMMIT\n'
)


class Cloud:
    """All of it, made at once. `uplink` is the NIC on the underlay, `macs` are those that answer behind it."""

    def __init__(self, kernel: Kernel, config: ClusterConfig) -> None:
        self._kernel = kernel
        self._config = config
        self.hosts = {host.name: host for host in plan_hosts(config)}
        self.namespaces: dict[str, Netns] = {}
        """By the name that users know each by: of a host, or of a part of the network."""
        self.macs: list[int] = []
        switch = self._netns(SWITCH)
        self.uplink = Nic(switch, UPLINK, self._mac(SWITCH, UPLINK))
        self._bridge = Bridge(switch, BRIDGE, self._mac(SWITCH, BRIDGE))
        self._bridge.add_port(self.uplink)
        self._bridge.set_up()
        self.uplink.set_up()
        self._to_nodes: Link | None = None
        if config.cloud.internet:
            self._to_nodes = self._make_gateway()
        for host in self.hosts.values():
            self._make_host(host)

    def sync_nodes(self, nodes: Iterable[Node]) -> None:
        """Make the gateway's routes to pods what they should be, as the route table of a cloud's network has them."""
        link = self._to_nodes
        if link is None:
            return
        fib = link.netns.fib
        wanted = {
            _route(IPv4Network(node.spec.pod_cidr), link, IPv4Address(node.status.internal_ip))
            for node in nodes
            if node.spec.pod_cidr and node.status.internal_ip
        }
        present = {
            route
            for route in fib.routes()
            if route.link is link and IPv4Address(route.destination) in self._config.pod_cidr
        }
        for route in present - wanted:
            fib.remove(route)
        for route in wanted - present:
            fib.add(route)

    def _make_gateway(self) -> Link:
        """Make the gateway and the internet's router behind it; return the gateway's link to the nodes."""
        cloud = self._config.cloud
        gateway = self._netns(GATEWAY, forwards=True)
        to_nodes = self._plug_in(gateway, gateway_address(self._config))
        router = self._netns(ROUTER, forwards=True)
        outward, inward = self._join(gateway, OUTWARD, router, "eth0")
        gateway.add_address(outward, int(cloud.public_address), 32)
        _default(gateway, outward, cloud.router)
        self._serve(inward, cloud.public_address)
        router.fib.add(_route(self._config.load_balancer_pool, inward, cloud.public_address, onlink=True))
        # Nobody balances yet what the internet sends to the pool: without this it would go back out, round and round.
        pool = self._config.load_balancer_pool
        gateway.fib.add(Route(int(pool.network_address), pool.prefixlen, RouteType.UNREACHABLE))
        gateway.netfilter.restore(_NAT, noflush=True)
        return to_nodes

    def _make_host(self, host: Host) -> None:
        netns = self._netns(host.name)
        if host.network == NODE:
            link = self._plug_in(netns, host.address)
            if self._config.cloud.internet:
                _default(netns, link, gateway_address(self._config), onlink=False)
        elif host.network == INTERNET:
            router = self.namespaces[ROUTER]
            own, theirs = self._join(netns, UPLINK, router, f"eth{len(router.links) - 1}")
            netns.add_address(own, int(host.address), 32)
            _default(netns, own, self._config.cloud.router)
            self._serve(theirs, host.address)

    def _serve(self, link: Link, customer: IPv4Address) -> None:
        """Give the router's end of a link its address, and the way to whoever is at the other end."""
        router = link.netns
        router.add_address(link, int(self._config.cloud.router), 32)
        router.fib.add(_route(IPv4Network(customer), link))

    def _plug_in(self, netns: Netns, address: IPv4Address) -> Link:
        """Connect a namespace to the switch by its eth0, with an address on the node network."""
        network = self._config.node_network
        own, port = self._join(netns, UPLINK, self.namespaces[SWITCH], f"veth{len(self.macs)}")
        self._bridge.add_port(port)
        self.macs.append(own.mac)
        netns.add_address(own, int(address), network.prefixlen, broadcast=int(network.broadcast_address))
        return own

    def _join(self, netns: Netns, name: str, other: Netns, other_name: str) -> tuple[Link, Link]:
        """Connect two namespaces by a veth that is up."""
        macs = self._mac(netns.name, name), self._mac(other.name, other_name)
        ends = pair(netns, name, other, other_name, *macs)
        for end in ends:
            end.set_up()
        return ends

    def _netns(self, name: str, *, forwards: bool = False) -> Netns:
        netns = self.namespaces[name] = Netns(self._kernel, name)
        netns.sysctl.set("net.ipv4.ip_forward", int(forwards))
        return netns

    def _mac(self, netns: str, link: str) -> int:
        """Return a locally administered unicast address that is the same at every start."""
        number = int.from_bytes(hashlib.sha256(f"{self._config.name}/outside/{netns}/{link}".encode()).digest()[:6])
        return number & ~(1 << 40) | 1 << 41


def _route(network: IPv4Network, link: Link, via: IPv4Address | None = None, *, onlink: bool = False) -> Route:
    gateway = 0 if via is None else int(via)
    return Route(int(network.network_address), network.prefixlen, link=link, gateway=gateway, onlink=onlink)


def _default(netns: Netns, link: Link, via: IPv4Address, *, onlink: bool = True) -> None:
    """Add `default via VIA dev LINK onlink`: addresses of the internet are each a network of its own."""
    netns.fib.add(_route(IPv4Network("0.0.0.0/0"), link, via, onlink=onlink))
