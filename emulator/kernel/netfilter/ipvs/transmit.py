"""How a packet gets to the real server that was chosen, and how an answer becomes the service's (ip_vs_xmit.c).

A packet for a real server elsewhere is sent from inside the hook, as one of this machine's own: OUTPUT, POSTROUTING,
the way to the real server. One for a real server on this machine goes on where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel import gso
from emulator.kernel.drop import DropReason
from emulator.kernel.ip.fragment import pull
from emulator.kernel.ip.header import DONT_FRAGMENT
from emulator.kernel.netfilter.conntrack.tuple import ICMP
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.ipvs.nfct import untrack, update_conntrack
from emulator.kernel.netfilter.ipvs.service import Forwarding
from emulator.kernel.netfilter.reroute import reroute
from emulator.kernel.routing.route import RouteResult, RouteType
from emulator.kernel.trace import StepKind
from emulator.packet.address import format_ipv4, is_loopback
from emulator.packet.rewrite import rewrite_destination, rewrite_source

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.netfilter.ipvs.engine import Ipvs
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

UNREACHABLE, HOST_UNREACHABLE, FRAGMENTATION_NEEDED = 3, 1, 4
TIME_EXCEEDED, TTL_EXCEEDED = 11, 0

_TTL = 8  # offsets in the IPv4 header
_CHECKSUM = 10
_TRANSPORT_HEADER = 20  # at most, of what is rewritten


class Transmitter:
    """The transmitting side of IPVS of one namespace."""

    def __init__(self, ipvs: Ipvs) -> None:
        self._ipvs = ipvs
        self._netns = ipvs.netns

    # Requests

    def send(self, hook: Hook, skb: Skb, connection: IpvsConnection) -> Verdict:
        """Send a packet to its connection's real server by the real server's method."""
        if connection.forwarding is Forwarding.TUNNEL:
            self._netns.drop(skb, DropReason.IPVS_TUNNEL, server=str(connection.destination))
            return Verdict.DROP
        masquerade = connection.forwarding is Forwarding.MASQUERADE
        route = self.find_way(hook, skb, connection, redirect=masquerade)
        if route is None:
            return Verdict.DROP
        if not masquerade:
            return self._route_directly(skb, connection, route)
        before = self._describe(skb) if skb.trace is not None else ""
        if skb.fragment_lengths:
            pull(skb, _TRANSPORT_HEADER)
        rewrite_destination(skb.data, skb.network, skb.transport, skb.protocol, connection.daddr, connection.dport)
        skb.daddr, skb.dport = connection.daddr, connection.dport
        if skb.trace is not None:
            skb.step(self._netns, StepKind.NAT, kind="IPVS DNAT", before=before, after=self._describe(skb))
        return self.send_or_continue(skb, connection, route)

    def find_way(
        self, hook: Hook, skb: Skb, connection: IpvsConnection, *, redirect: bool, local: bool = True
    ) -> RouteResult | None:
        """Find the way to a real server; None if the packet was dropped (`__ip_vs_get_out_rt`).

        `redirect`: a packet that is not for this machine may be given to it. `local`: the real server may be here.
        The TTL is decremented for one elsewhere.
        """
        netns = self._netns
        route = netns.routing.output(connection.daddr)
        if not isinstance(route, RouteResult):
            netns.drop(skb, route)
            netns.icmp.send_error(skb, UNREACHABLE, HOST_UNREACHABLE)
            return None
        here = route.type is RouteType.LOCAL
        was_here = skb.route is not None and skb.route.type is RouteType.LOCAL
        if here:
            from_outside = hook is not Hook.OUTPUT
            refused = not local or (not redirect and not was_here)
            if refused or (from_outside and is_loopback(connection.daddr)):
                netns.drop(skb, DropReason.IPVS_LOCAL_SERVER, server=str(connection.destination))
                return None
            return route
        if is_loopback(skb.saddr):
            netns.drop(skb, DropReason.IPVS_LOOPBACK_SOURCE, server=str(connection.destination))
            return None
        return route if self._pass_on(skb, route) else None

    def _pass_on(self, skb: Skb, route: RouteResult) -> bool:
        """Decrement the TTL and compare with the MTU of the way, as a router does."""
        netns, data, network = self._netns, skb.data, skb.network
        ttl = data[network + _TTL]
        if ttl <= 1:
            netns.drop(skb, DropReason.IP_TTL_EXPIRED)
            netns.icmp.send_error(skb, TIME_EXCEEDED, TTL_EXCEEDED)
            return False
        data[network + _TTL] = ttl - 1
        at = network + _CHECKSUM
        value = (data[at] << 8 | data[at + 1]) + 0x100
        if value >= 0xFFFF:
            value = value + 1 & 0xFFFF
        data[at], data[at + 1] = value >> 8, value & 0xFF
        too_big = skb.fragment & DONT_FRAGMENT and len(data) - network > route.mtu
        if too_big and not gso.fits(skb, route.mtu) and skb.protocol != ICMP:
            netns.drop(skb, DropReason.PKT_TOO_BIG)
            netns.icmp.send_error(skb, UNREACHABLE, FRAGMENTATION_NEEDED, route.mtu)
            return False
        return True

    def _route_directly(self, skb: Skb, connection: IpvsConnection, route: RouteResult) -> Verdict:
        """Hand a packet over as it is; the real server has the service's address too (`ip_vs_dr_xmit`)."""
        skb.ipvs = True
        if not connection.uses_conntrack:
            untrack(skb)
        if route.type is RouteType.LOCAL:
            return Verdict.ACCEPT
        gateway = route.gateway or connection.daddr  # not the packet's own address, which this machine has too
        self._out(skb, RouteResult(route.type, route.link, route.generation, gateway=gateway, route=route.route))
        return Verdict.STOLEN

    def send_or_continue(self, skb: Skb, connection: IpvsConnection, route: RouteResult) -> Verdict:
        """Send a rewritten packet, or let it go on to a real server here (`ip_vs_nat_send_or_cont`)."""
        skb.ipvs = True
        if connection.uses_conntrack:
            update_conntrack(skb, connection, to_server=True)
        else:
            untrack(skb)
        if route.type is RouteType.LOCAL:
            return Verdict.ACCEPT
        self._out(skb, route)
        return Verdict.STOLEN

    def _out(self, skb: Skb, route: RouteResult) -> None:
        netns = self._netns
        skb.route, skb.out_link, skb.in_link = route, route.link, None
        if skb.trace is not None:
            skb.step(
                netns, StepKind.ROUTE, decision="output",
                route="" if route.route is None else route.route.format(show_table=True),
                link=route.link.name, gateway=format_ipv4(route.gateway) if route.gateway else "",
            )  # fmt: skip
        if netns.netfilter.run(Hook.OUTPUT, skb) is Verdict.ACCEPT and skb.route is not None:
            skb.out_link = skb.route.link
            netns.ip.transmit(skb, skb.route)

    # Answers

    def restore(self, netns: Netns, hook: Hook, skb: Skb, connection: IpvsConnection) -> Verdict:
        """Make an answer come from the service, and route it as one of this machine's own (`handle_response`)."""
        if connection.forwarding is not Forwarding.MASQUERADE:
            return Verdict.ACCEPT
        before = self._describe(skb) if skb.trace is not None else ""
        if skb.fragment_lengths:
            pull(skb, _TRANSPORT_HEADER)
        rewrite_source(skb.data, skb.network, skb.transport, skb.protocol, connection.vaddr, connection.vport)
        skb.saddr, skb.sport = connection.vaddr, connection.vport
        if skb.trace is not None:
            skb.step(netns, StepKind.NAT, kind="IPVS un-DNAT", before=before, after=self._describe(skb))
        return self.route_reply(netns, hook, skb)

    def route_reply(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """`ip_vs_route_me_harder`."""
        route = skb.route
        if not self._ipvs.settings.snat_reroute or hook is Hook.INPUT or route is None:
            return Verdict.ACCEPT
        return Verdict.ACCEPT if route.type is RouteType.LOCAL else reroute(netns, skb)

    @staticmethod
    def mark_reply(skb: Skb, connection: IpvsConnection) -> None:
        """IPVS is through with an answer; with conntrack its entry is what answers of this connection are."""
        skb.ipvs = True
        if connection.uses_conntrack:
            update_conntrack(skb, connection, to_server=False)
        else:
            untrack(skb)

    @staticmethod
    def _describe(skb: Skb) -> str:
        return f"{format_ipv4(skb.saddr)}:{skb.sport} > {format_ipv4(skb.daddr)}:{skb.dport}"
