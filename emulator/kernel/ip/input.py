"""Received IPv4: header checks, PREROUTING, the routing decision, local delivery (net/ipv4/ip_input.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.ip.fragment import LOCAL_DELIVER, pull
from emulator.kernel.ip.header import IS_FRAGMENT, parse
from emulator.kernel.ip.options import OptionError, compile_options, milliseconds_of_day
from emulator.kernel.netfilter.hook import NF_ACCEPT, NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING
from emulator.kernel.routing.route import RTN_LOCAL, RTN_UNICAST, RouteResult, RouteType
from emulator.kernel.skb import PACKET_OTHERHOST, Skb
from emulator.kernel.trace import StepKind
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.ip.forward import IpForward
    from emulator.kernel.netns import Netns

DESTINATION_UNREACHABLE = 3
PARAMETER_PROBLEM = 12
NETWORK_UNREACHABLE, HOST_UNREACHABLE, PROTOCOL_UNREACHABLE, FILTERED = 0, 1, 2, 13

TCP, TCP_HEADER = 6, 20
_OPTIONLESS = 34  # where the transport header begins without IP options
_ERROR_CODES = {
    DropReason.IP_INNOROUTES: NETWORK_UNREACHABLE,
    DropReason.IP_ROUTE_UNREACHABLE: HOST_UNREACHABLE,
    DropReason.IP_ROUTE_PROHIBIT: FILTERED,
    DropReason.IP_RULE_UNREACHABLE: NETWORK_UNREACHABLE,
    DropReason.IP_RULE_PROHIBIT: FILTERED,
}
_LOCAL_TYPES = frozenset({RouteType.LOCAL, RouteType.BROADCAST, RouteType.MULTICAST})


class IpInput:
    """The receiving side of one namespace."""

    def __init__(self, netns: Netns, forwarder: IpForward) -> None:
        self._netns = netns
        self._netfilter = netns.netfilter
        self._routing = netns.routing
        self._forward = forwarder.forward

    def receive(self, skb: Skb) -> None:
        """Take a frame whose ethertype is IPv4 (ip_rcv)."""
        if skb.packet_type is PACKET_OTHERHOST:
            self._netns.drop(skb, DropReason.OTHERHOST)
            return
        if skb.prerouted:  # br_netfilter has checked and shown it
            skb.prerouted = False
            skb.fragment_max_size = 0  # ip_rcv forgets that it came in pieces
        else:
            reason = parse(skb)
            if reason is not None:
                self._netns.drop(skb, reason)
                return
            skb.out_link = None
            if self._netfilter.run(NF_INET_PRE_ROUTING, skb) is not NF_ACCEPT:
                return
        self.route(skb)

    def route(self, skb: Skb) -> None:
        """Decide where a packet goes that has passed PREROUTING (ip_rcv_finish)."""
        result = skb.route  # the loopback link keeps the sender's
        link = skb.in_link
        if result is None and link is not None:
            if skb.fragment_lengths and skb.protocol == TCP:  # tcp_v4_early_demux looks at the header
                pull(skb, TCP_HEADER)
            decision = self._routing.input(link, skb.saddr, skb.daddr, skb.mark, skb)
            if not isinstance(decision, RouteResult):
                self._netns.drop(skb, decision)
                return
            result = skb.route = decision
        if result is None or (skb.transport != _OPTIONLESS and not self._accept_options(skb)):
            return
        if skb.trace is not None:
            self._trace_route(skb, result)
        kind = result.type
        if kind is RTN_UNICAST:
            self._forward(skb, result)
        elif kind is RTN_LOCAL or kind in _LOCAL_TYPES:
            self.deliver(skb)
        else:
            self._refuse(skb, result)

    def deliver(self, skb: Skb) -> None:
        """Give a packet to its protocol here, whole and after INPUT (ip_local_deliver)."""
        netns = self._netns
        if skb.fragment & IS_FRAGMENT and netns.reassembler.add(skb, LOCAL_DELIVER) is None:
            return
        if self._netfilter.run(NF_INET_LOCAL_IN, skb) is not NF_ACCEPT:
            return
        handler = netns.protocols.get(skb.protocol)
        if handler is not None:
            handler(skb)
            return
        netns.drop(skb, DropReason.IP_NOPROTO)
        netns.icmp.send_error(skb, DESTINATION_UNREACHABLE, PROTOCOL_UNREACHABLE)

    def _refuse(self, skb: Skb, result: RouteResult) -> None:
        """Answer a packet that no route is for (ip_error); silently where this is no router."""
        reason = result.error or DropReason.IP_INNOROUTES
        code = _ERROR_CODES.get(reason)
        self._netns.drop(skb, reason)
        if code is not None and self._netns.icmp.may_report_unreachable(skb.saddr):
            self._netns.icmp.send_error(skb, DESTINATION_UNREACHABLE, code)

    def _accept_options(self, skb: Skb) -> bool:
        """Check and fill in IP options (ip_rcv_options): malformed ones are reported, source routes not accepted."""
        icmp = self._netns.icmp
        try:
            now = milliseconds_of_day(self._netns.kernel.now)
            options = compile_options(skb, icmp.answering_address(skb), now)
        except OptionError as error:
            self._netns.drop(skb, DropReason.IP_INHDR)
            icmp.send_error(skb, PARAMETER_PROBLEM, 0, error.position << 24)
            return False
        if options.source_route and not self._takes_source_routes(skb):
            self._netns.drop(skb, DropReason.IP_SOURCE_ROUTE)
            return False
        return True

    def _takes_source_routes(self, skb: Skb) -> bool:
        link = skb.in_link
        return link is not None and bool(link.conf.accept_source_route and self._netns.sysctl.all.accept_source_route)

    def _trace_route(self, skb: Skb, result: RouteResult) -> None:
        decision = "forward" if result.type is RTN_UNICAST else "local"
        if result.type is RouteType.UNREACHABLE:
            decision = "unreachable"
        skb.step(
            self._netns,
            StepKind.ROUTE,
            decision=decision,
            route="" if result.route is None else result.route.format(show_table=True),
            link=result.link.name,
            gateway=format_ipv4(result.gateway) if result.gateway else "",
        )
