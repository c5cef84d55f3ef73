"""Routing decisions for packets that come in and that go out (net/ipv4/route.c), remembered until something changes.

A received packet costs one dict lookup: martian checks, rp_filter and the fib were asked when its flow was first seen.
What counts as one flow is the addresses, the link and the mark; the TOS, protocol and ports only where a rule or a
route with many ways looks at them (`Fib.reads_flows`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.fib_rule import LOCAL_OUTPUT, Flow
from emulator.kernel.routing.flow_keys import dissect
from emulator.kernel.routing.multipath import Multipath
from emulator.kernel.routing.reverse_path import ReversePath
from emulator.kernel.routing.route import TOS_MASK, NextHop, Route, RouteResult, RouteType, Scope
from emulator.packet.address import LOOPBACK_IPV4, is_broadcast, is_loopback, is_multicast, is_zeronet

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb

CACHE_LIMIT = 8192
LOCAL_GROUPS = 0xE00000  # 224.0.0.0/24, shifted right by 8
TOS = 15  # the offset in a frame

InputKey = tuple[int, int, int, int] | tuple[Flow, object]
OutputKey = tuple[int, int, "Link | None", int, bool] | tuple[Flow, bool, object]
Decision = RouteResult | DropReason


class Routing:
    """The routing of one namespace; `flush` forgets what was decided."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._fib = netns.fib
        self._sysctl = netns.sysctl
        self._multipath = Multipath(netns)
        self._reverse_path = ReversePath(netns)
        self._input: dict[InputKey, Decision] = {}
        self._output: dict[OutputKey, Decision] = {}
        self._path_mtu: dict[int, tuple[int, float]] = {}  # destination -> MTU, until when

    def flush(self) -> None:
        """Forget cached decisions: routes, rules, addresses, links or sysctls changed."""
        self._input.clear()
        self._output.clear()

    def input(self, link: Link, saddr: int, daddr: int, mark: int, skb: Skb | None = None) -> Decision:
        """Decide on a received packet, or give the reason to drop it. `skb` may be left out where there is none (ARP).

        LOCAL, BROADCAST, MULTICAST: deliver. UNICAST: forward. UNREACHABLE: an ICMP error, or silence where forwarding
        is off.
        """
        key: InputKey = (link.index, saddr, daddr, mark)
        if self._fib.reads_flows and skb is not None:
            key = (self._received_flow(link, skb), self._multipath.identity(skb) if self._fib.multipath else None)
        decision = self._input.get(key)
        if decision is None:
            flow = key[0] if isinstance(key[0], Flow) else Flow(daddr, saddr, mark, link.name)
            decision = self._decide_input(link, flow, skb)
            if len(self._input) >= CACHE_LIMIT:
                self._input.clear()
            if not self._multipath.asks_neighbours:
                self._input[key] = decision
        return decision

    def _received_flow(self, link: Link, skb: Skb) -> Flow:
        """What rules see of a received packet (fib4_rules_early_flow_dissect)."""
        flow = Flow(skb.daddr, skb.saddr, skb.mark, link.name, None, skb.data[TOS] & TOS_MASK)
        if not self._fib.reads_ports:
            return flow
        keys = dissect(skb)
        return flow._replace(protocol=keys.protocol, sport=keys.sport, dport=keys.dport)

    def output(
        self,
        daddr: int,
        *,
        saddr: int = 0,
        link: Link | None = None,
        mark: int = 0,
        any_source: bool = False,
        tos: int = 0,
        protocol: int = 0,
        ports: tuple[int, int] = (0, 0),
        cause: Skb | None = None,
    ) -> Decision:
        """Decide on a packet of ours. `saddr` must be our own, unless `any_source`; `link` binds it to a link.

        `ports` are (source, destination), of ICMP (0, type << 8 | code). `cause`: the received packet that an ICMP
        error is about; of many ways the error takes that packet's.
        """
        key: OutputKey = (daddr, saddr, link, mark, any_source)
        if self._fib.reads_flows:
            flow = Flow(daddr, saddr, mark, LOCAL_OUTPUT, link, tos & TOS_MASK, protocol, *ports)
            key = (flow, any_source, None if cause is None else self._multipath.identity(cause))
        decision = self._output.get(key)
        if decision is None:
            flow = key[0] if isinstance(key[0], Flow) else Flow(daddr, saddr, mark, LOCAL_OUTPUT, link)
            decision = self._decide_output(flow, any_source, cause)
            if len(self._output) >= CACHE_LIMIT:
                self._output.clear()
            if not self._multipath.asks_neighbours:
                self._output[key] = decision
        if self._path_mtu and isinstance(decision, RouteResult):
            self._apply_path_mtu(decision, daddr)
        return decision

    def update_path_mtu(self, daddr: int, mtu: int) -> None:
        """Remember what an ICMP "fragmentation needed" said, for net.ipv4.route.mtu_expires seconds.

        It can only lower what is known (__ip_rt_update_pmtu).
        """
        now = self._netns.kernel.now
        mtu = max(mtu, self._sysctl.number("net.ipv4.route.min_pmtu"))
        learned = self._path_mtu.get(daddr)
        if learned is not None and learned[1] > now and learned[0] < mtu:
            return
        if len(self._path_mtu) >= CACHE_LIMIT:
            self._path_mtu.clear()
        self._path_mtu[daddr] = (mtu, now + self._sysctl.number("net.ipv4.route.mtu_expires"))
        self._forget_output()

    def _apply_path_mtu(self, result: RouteResult, daddr: int) -> None:
        learned = self._path_mtu.get(daddr)
        if learned is None:
            return
        if learned[1] > self._netns.kernel.now:
            result.mtu = min(result.mtu, learned[0])
            return
        del self._path_mtu[daddr]
        result.mtu = result.route.mtu if result.route is not None and result.route.mtu else result.link.mtu
        self._forget_output()

    def _forget_output(self) -> None:
        """A path's MTU changed: decisions for it, here and in sockets, are old."""
        self._output.clear()
        self._fib.generation += 1

    # Input: ip_route_input_slow

    def _decide_input(self, link: Link, flow: Flow, skb: Skb | None) -> Decision:
        saddr, daddr = flow.saddr, flow.daddr
        if is_multicast(daddr):
            return self._input_multicast(link, flow)
        if is_multicast(saddr) or is_broadcast(saddr):
            return DropReason.IP_INVALID_SOURCE
        if is_broadcast(daddr) or (saddr == 0 and daddr == 0):
            return self._input_broadcast(link, flow)
        martian = self._martian(link, saddr, daddr)
        if martian is not None:
            return martian
        route = self._fib.find(flow)
        if isinstance(route, DropReason):
            return self._unreachable(route if link.conf.forwarding else DropReason.IP_FORWARDING_OFF)
        if route.type is RouteType.BROADCAST:
            return self._input_broadcast(link, flow)
        if route.type is RouteType.LOCAL:
            invalid = self._reverse_path.check(link, flow, None)
            return invalid if isinstance(invalid, DropReason) else self._local(RouteType.LOCAL, route)
        if not link.conf.forwarding:
            return self._unreachable(DropReason.IP_FORWARDING_OFF)
        if route.type is not RouteType.UNICAST:
            return DropReason.IP_INVALID_DEST
        hop = self._received_way(route, flow, skb)
        if hop is None or hop.link is None:
            return DropReason.IP_INVALID_DEST
        return self._forward(link, flow, route, hop, hop.link)

    def _martian(self, link: Link, saddr: int, daddr: int) -> DropReason | None:
        if is_zeronet(saddr):
            return DropReason.IP_INVALID_SOURCE
        if is_zeronet(daddr):
            return DropReason.IP_INVALID_DEST
        loopback = is_loopback(daddr) or is_loopback(saddr)
        return DropReason.IP_LOCALNET if loopback and not self._routes_localnet(link) else None

    def _routes_localnet(self, link: Link) -> bool:
        return bool(link.conf.route_localnet or self._sysctl.all.route_localnet)

    def _received_way(self, route: Route, flow: Flow, skb: Skb | None) -> NextHop | None:
        """Choose among the ways of a route for a packet to be forwarded (ip_mkroute_input)."""
        if not route.nexthops:
            return route.hops[0]
        value = self._multipath.hash_sent(flow) if skb is None else self._multipath.hash_received(skb)
        return self._multipath.choose(route, value)

    def _forward(self, link: Link, flow: Flow, route: Route, hop: NextHop, out_link: Link) -> Decision:
        on_link = self._reverse_path.check(link, flow, out_link)
        if isinstance(on_link, DropReason):
            return on_link
        result = RouteResult(RouteType.UNICAST, out_link, self._fib.generation, gateway=hop.next_hop, route=route)
        if out_link is link and on_link and (link.conf.send_redirects or self._sysctl.all.send_redirects):
            shared = link.conf.shared_media or self._sysctl.all.shared_media
            result.redirect = bool(shared) or any(
                own.holds(flow.saddr) and own.holds(hop.gateway) for own in link.addresses
            )
        return result

    def _input_multicast(self, link: Link, flow: Flow) -> Decision:
        saddr, daddr = flow.saddr, flow.daddr
        if daddr not in link.multicast_groups:
            return DropReason.IP_INVALID_DEST
        if is_multicast(saddr) or is_broadcast(saddr):
            return DropReason.IP_INVALID_SOURCE
        if is_loopback(saddr) and not self._routes_localnet(link):
            return DropReason.IP_LOCALNET
        if is_zeronet(saddr):
            if daddr >> 8 != LOCAL_GROUPS:
                return DropReason.IP_INVALID_SOURCE
        else:
            invalid = self._reverse_path.check(link, flow._replace(daddr=0), None)
            if isinstance(invalid, DropReason):
                return invalid
        return self._local(RouteType.MULTICAST, None)

    def _input_broadcast(self, link: Link, flow: Flow) -> Decision:
        if not is_zeronet(flow.saddr):
            invalid = self._reverse_path.check(link, flow._replace(daddr=0), None)
            if isinstance(invalid, DropReason):
                return invalid
        return self._local(RouteType.BROADCAST, None)

    def _local(self, kind: RouteType, route: Route | None) -> RouteResult:
        return RouteResult(kind, self._netns.loopback, self._fib.generation, route=route)

    def _unreachable(self, reason: DropReason) -> RouteResult:
        result = RouteResult(RouteType.UNREACHABLE, self._netns.loopback, self._fib.generation)
        result.error = DropReason.IP_INNOROUTES if reason is DropReason.IP_OUTNOROUTES else reason
        return result

    # Output: ip_route_output_key_hash_rcu

    def _decide_output(self, flow: Flow, any_source: bool, cause: Skb | None) -> Decision:
        daddr, saddr, link = flow.daddr, flow.saddr, flow.out_link
        group = is_multicast(daddr) or is_broadcast(daddr)
        if saddr:
            if is_multicast(saddr) or is_broadcast(saddr):
                return DropReason.IP_INVALID_SOURCE
            if link is None and group:
                link = self._netns.link_of_address(saddr)
                return DropReason.IP_OUTNOROUTES if link is None else self._group_route(link, daddr, saddr)
            if not any_source and not self._fib.is_local(saddr):
                return DropReason.IP_INVALID_SOURCE
        if link is not None:
            if not link.up:
                return DropReason.IP_OUTNOROUTES
            if is_broadcast(daddr) or daddr >> 8 == LOCAL_GROUPS:
                return self._group_route(link, daddr, saddr)
            if not saddr and is_multicast(daddr):
                saddr = self._netns.select_address(link, 0, Scope.UNIVERSE)
                flow = flow._replace(saddr=saddr)
        if not daddr:
            source = saddr or LOOPBACK_IPV4
            return RouteResult(RouteType.LOCAL, self._netns.loopback, self._fib.generation, source=source)
        return self._output_lookup(flow, cause)

    def _output_lookup(self, flow: Flow, cause: Skb | None) -> Decision:
        daddr, saddr, link = flow.daddr, flow.saddr, flow.out_link
        route = self._fib.find(flow)
        if isinstance(route, DropReason):
            if link is None:
                return route
            source = saddr or self._netns.select_address(link, 0, Scope.LINK)
            kind = RouteType.MULTICAST if is_multicast(daddr) else RouteType.UNICAST
            return RouteResult(kind, link, self._fib.generation, source=source)
        if route.type is RouteType.LOCAL:
            source = saddr or route.source or daddr
            return RouteResult(RouteType.LOCAL, self._netns.loopback, self._fib.generation, source=source, route=route)
        hop = self._sent_way(route, flow, cause)
        if hop is None or hop.link is None or is_zeronet(daddr):
            return DropReason.IP_OUTNOROUTES
        source = saddr or self._source(route, hop)
        if is_loopback(source) and not hop.link.loopback and not self._routes_localnet(hop.link):
            return DropReason.IP_INVALID_SOURCE
        if is_multicast(daddr) or is_broadcast(daddr):
            # A group is never reached through the gateway that a short prefix names.
            gateway = hop.next_hop if is_multicast(daddr) and route.prefix_length >= 4 else 0
            return self._group_route(hop.link, daddr, source, gateway)
        return RouteResult(route.type, hop.link, self._fib.generation, gateway=hop.next_hop, source=source, route=route)

    def _sent_way(self, route: Route, flow: Flow, cause: Skb | None) -> NextHop | None:
        """Choose among the ways of a route for a packet of ours: the first through its link, if it is bound to one."""
        if not route.nexthops:
            return route.hops[0]
        if flow.out_link is not None:
            return next((hop for hop in route.nexthops if hop.link is flow.out_link and hop.usable), None)
        value = self._multipath.hash_sent(flow) if cause is None else self._multipath.hash_received(cause)
        return self._multipath.choose(route, value, flow.saddr)

    def _source(self, route: Route, hop: NextHop) -> int:
        """The source address that a route gives to packets without one (fib_result_prefsrc)."""
        if route.source or hop.link is None:
            return route.source
        return self._netns.select_address(hop.link, hop.gateway, route.scope)

    def _group_route(self, link: Link, daddr: int, saddr: int, gateway: int = 0) -> RouteResult:
        """A route for a group or the limited broadcast."""
        source = saddr or self._netns.select_address(link, 0, Scope.LINK)
        kind = RouteType.MULTICAST if is_multicast(daddr) else RouteType.BROADCAST
        return RouteResult(kind, link, self._fib.generation, gateway=gateway, source=source)
