"""A network namespace: links, addresses, routes, neighbours, netfilter, sockets. Pods, nodes, routers: all are one."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.kernel.arp import Arp
from emulator.kernel.drop import DropReason
from emulator.kernel.drop_log import DropRecord
from emulator.kernel.ip.fragment import Reassembler
from emulator.kernel.ip.icmp import Icmp, IcmpError
from emulator.kernel.ip.ipv4 import Ipv4
from emulator.kernel.link.address_list import Address
from emulator.kernel.link.link import Link
from emulator.kernel.link.loopback import Loopback
from emulator.kernel.neigh import Neighbours
from emulator.kernel.netfilter.netfilter import Netfilter
from emulator.kernel.routing.fib import Fib
from emulator.kernel.routing.route import TABLE_LOCAL, TABLE_MAIN, Route, RouteError, RouteType, Scope
from emulator.kernel.routing.routing import Routing
from emulator.kernel.skb import Skb
from emulator.kernel.socket.sockets import Sockets
from emulator.kernel.sysctl import Sysctl
from emulator.kernel.trace import Detail, StepKind
from emulator.packet.address import LOOPBACK_IPV4, MASKS, is_zeronet

if TYPE_CHECKING:
    from emulator.kernel.kernel import Kernel

ProtocolHandler = Callable[[Skb], None]
ErrorHandler = Callable[[IcmpError], object]


class Netns:
    """One namespace of a machine. It has a loopback link that is up, as every CNI leaves it."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        if name in kernel.namespaces:
            raise RouteError(errno.EEXIST, f'Cannot create namespace file "{name}": File exists')
        self.kernel = kernel
        self.name = name
        self.closed = False
        self.links: dict[str, Link] = {}
        self.drops: Counter[DropReason] = Counter()
        self.protocols: dict[int, ProtocolHandler] = {}
        self.error_handlers: dict[int, ErrorHandler] = {}
        self.on_address_removed: list[Callable[[Link, int], None]] = []
        self.sysctl = Sysctl(self.flush_routes)
        self.fib = Fib(self.flush_routes)
        self.routing = Routing(self)
        self.neighbours = Neighbours(self)
        self.arp = Arp(self)
        self.reassembler = Reassembler(self)
        self.netfilter = Netfilter(self)
        self.ip = Ipv4(self)
        self.icmp = Icmp(self)
        self.sockets = Sockets(self)
        kernel.namespaces[name] = self
        self.loopback = Loopback(self)
        self.loopback.set_up()
        self.add_address(self.loopback, LOOPBACK_IPV4, 8, scope=Scope.HOST)

    def __repr__(self) -> str:
        return f"<Netns {self.kernel.name}/{self.name}>"

    def close(self) -> None:
        """Delete the namespace, its sockets and links; the other ends of its veths go too."""
        self.sockets.close()
        for link in list(self.links.values()):
            if link.name in self.links:
                self.remove_link(link)
        self.neighbours.close()
        self.reassembler.close()
        self.netfilter.close()
        self.closed = True
        self.kernel.namespaces.pop(self.name, None)

    # Links

    def add_link(self, link: Link) -> None:
        """Take a link in; called by its constructor and by `Link.move`. RouteError(EEXIST) if the name is taken."""
        if link.name in self.links:
            raise RouteError(errno.EEXIST, "RTNETLINK answers: File exists")
        if not link.index:
            link.index = 1 if link.loopback else self.kernel.next_link_index()
        self.links[link.name] = link
        link.conf = self.sysctl.add_link(link.name)

    def remove_link(self, link: Link) -> None:
        """`ip link del NAME`."""
        link.closing()
        self.detach_link(link)

    def detach_link(self, link: Link) -> None:
        """Take a link out with all that hangs on it: bridge port, addresses, routes, neighbours."""
        if link.port is not None:
            link.port.bridge.remove_port(link)
        for vlan in list(link.vlans.values()):
            self.remove_link(vlan)
        link.set_up(False)
        for address in list(link.addresses):
            self.remove_address(link, address.address, address.prefix_length)
        self.fib.remove_where(lambda route: route.uses(link))
        self.neighbours.flush_link(link)
        self.links.pop(link.name, None)
        self.sysctl.remove_link(link.name)
        self.flush_routes()

    def rename_link(self, link: Link, name: str) -> None:
        """`ip link set LINK name NAME`, up or down (Linux 6.3). RouteError(EEXIST) if the name is taken."""
        if name == link.name:
            return
        if name in self.links:
            raise RouteError(errno.EEXIST, "RTNETLINK answers: File exists")
        self.sysctl.rename_link(link.name, name)
        self.links = {name if other is link else known: other for known, other in self.links.items()}
        link.name = name
        self.flush_routes()

    def link_by_index(self, index: int) -> Link | None:
        """Return the link with an ifindex, or None."""
        return next((link for link in self.links.values() if link.index == index), None)

    def link_came_up(self, link: Link) -> None:
        """Make the routes of a link's addresses (fib_netdev_event)."""
        for address in link.addresses:
            self._add_address_routes(link, address)
        self.flush_routes()

    def link_went_down(self, link: Link) -> None:
        """Drop a link's routes and neighbours; own addresses and routes with another way stay (fib_sync_down_dev)."""
        self.fib.remove_where(
            lambda route: route.uses(link) and route.scope is not Scope.HOST and all(hop.dead for hop in route.hops)
        )
        self.neighbours.flush_link(link)
        self.netfilter.nat.forget_link(link)
        self.flush_routes()

    # Addresses

    def add_address(
        self,
        link: Link,
        address: int,
        prefix_length: int,
        *,
        scope: Scope = Scope.UNIVERSE,
        peer: int = 0,
        broadcast: int = 0,
    ) -> Address:
        """`ip addr add ADDRESS/LENGTH dev LINK`, with the local, broadcast and connected routes that come with it."""
        peer = peer or address
        for other in link.addresses.at(address):
            if other.prefix_length == prefix_length and other.peer == peer:
                raise RouteError(errno.EEXIST, "Error: ipv4: Address already assigned.")
        neighbours = link.addresses.in_network(peer & MASKS[prefix_length], prefix_length)
        secondary = any(not other.secondary for other in neighbours)
        added = Address(address, prefix_length, scope, peer, broadcast, secondary)
        link.addresses.add(added)
        self._add_local_route(link, added)
        if link.up:
            self._add_address_routes(link, added)
        self.flush_routes()
        return added

    def remove_address(self, link: Link, address: int, prefix_length: int) -> None:
        """`ip addr del`: with a primary go its secondaries (promote_secondaries is 0). RouteError(EADDRNOTAVAIL)."""
        found = [own for own in link.addresses.at(address) if own.prefix_length == prefix_length]
        if not found:
            raise RouteError(errno.EADDRNOTAVAIL, "Error: ipv4: Address not found.")
        primary = found[0]
        gone = [primary]
        if not primary.secondary:
            gone += [own for own in link.addresses.in_network(primary.network, prefix_length) if own.secondary]
        for own in gone:
            link.addresses.remove(own)
            self._forget_address(link, own)
        self.flush_routes()

    def _forget_address(self, link: Link, gone: Address) -> None:
        """Drop what came with an address, unless another address of the link brought it too (fib_del_ifaddr)."""
        self.fib.forget_address(link, gone.address)
        if not self.has_address(gone.address):
            self.fib.forget_source(gone.address)
            for listener in self.on_address_removed:
                listener(link, gone.address)
        for own in (*link.addresses.at(gone.address), *link.addresses.in_network(gone.network, gone.prefix_length)):
            self._add_local_route(link, own)
            if link.up:
                self._add_address_routes(link, own)

    def _add_local_route(self, link: Link, own: Address) -> None:
        """Make an address ours; a secondary one speaks for its primary."""
        primary = own
        if own.secondary:
            same = link.addresses.in_network(own.network, own.prefix_length)
            primary = next((other for other in same if not other.secondary), own)
        self._add_kernel_route(
            Route(own.address, 32, RouteType.LOCAL, link, 0, primary.address, Scope.HOST, 0, TABLE_LOCAL, "kernel")
        )

    def _add_address_routes(self, link: Link, own: Address) -> None:
        """Make the connected and broadcast routes of an address (fib_add_ifaddr)."""
        source = own.address
        if own.broadcast and own.broadcast != 0xFFFFFFFF:
            self._add_broadcast_route(link, own.broadcast, source)
        if is_zeronet(own.network) or own.secondary or (own.network == own.address and own.prefix_length == 32):
            return
        if link.loopback:
            connected = Route(
                own.network, own.prefix_length, RouteType.LOCAL, link, 0, source, Scope.HOST, 0, TABLE_LOCAL, "kernel"
            )
        else:
            connected = Route(
                own.network, own.prefix_length, RouteType.UNICAST, link, 0, source, Scope.LINK, 0, TABLE_MAIN, "kernel"
            )
        self._add_kernel_route(connected)
        if own.prefix_length < 31:
            self._add_broadcast_route(link, own.directed_broadcast, source)

    def _add_broadcast_route(self, link: Link, address: int, source: int) -> None:
        self._add_kernel_route(
            Route(address, 32, RouteType.BROADCAST, link, 0, source, Scope.LINK, 0, TABLE_LOCAL, "kernel")
        )

    def _add_kernel_route(self, route: Route) -> None:
        table = self.fib.tables[route.table]
        if route not in table.same_prefix(route):
            table.insert(route)
            self.fib.generation += 1

    def has_address(self, address: int) -> bool:
        """Whether a link has this very address."""
        return any(link.addresses.at(address) for link in self.links.values())

    def link_of_address(self, address: int) -> Link | None:
        """The link that has an address, or whose local route covers it."""
        for link in self.links.values():
            if link.addresses.at(address):
                return link
        route = self.fib.local.lookup(address)
        return route.link if route is not None and route.type is RouteType.LOCAL else None

    def select_address(self, link: Link, destination: int, scope: Scope) -> int:
        """The primary address of a link to speak to a destination with (inet_select_addr).

        As a last resort another link's, else 0.
        """
        first = 0
        for own in link.addresses:
            if own.secondary or own.scope > scope:
                continue
            if not destination or own.holds(destination):
                return own.address
            first = first or own.address
        if first:
            return first
        for other in self.links.values():
            for own in other.addresses:
                if not own.secondary and own.scope != Scope.LINK and own.scope <= scope:
                    return own.address
        return 0

    def ignores_linkdown(self, link: Link) -> bool:
        """Whether routes through a link do not count while it has no carrier."""
        return bool(link.conf.ignore_routes_with_linkdown or self.sysctl.all.ignore_routes_with_linkdown)

    def flush_routes(self) -> None:
        """Forget remembered routing decisions; `fib.generation` tells sockets that theirs are old."""
        self.fib.generation += 1
        self.routing.flush()

    # Drops

    def drop(self, skb: Skb, reason: DropReason, **detail: Detail) -> None:
        """End a packet: count it, note it in the machine's drop log, and say so in its trace."""
        self.drops[reason] += 1
        if skb.record is not None:
            skb.record.drops.append(reason)
        self.kernel.drop_log.append(DropRecord.of(self, skb, reason))
        if skb.trace is not None:
            skb.step(self, StepKind.DROP, reason=reason.name, explanation=reason.value, **detail)
