"""Routing decisions for packets that come in and that go out (net/ipv4/route.c), remembered until something changes.

A received packet costs one dict lookup: martian checks, rp_filter and the fib were asked when its flow was first seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.route import Route, RouteResult, RouteType, Scope
from emulator.packet.address import LOOPBACK_IPV4, is_broadcast, is_loopback, is_multicast, is_zeronet

if TYPE_CHECKING:
    from emulator.kernel.link import Link
    from emulator.kernel.netns import Netns

CACHE_LIMIT = 8192
LOCAL_GROUPS = 0xE00000  # 224.0.0.0/24, shifted right by 8

InputKey = tuple[int, int, int, int]
Decision = RouteResult | DropReason


class Routing:
    """The routing of one namespace; `flush` forgets what was decided."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._fib = netns.fib
        self._sysctl = netns.sysctl
        self._input: dict[InputKey, Decision] = {}
        self._output: dict[tuple[int, int, Link | None, int, bool], Decision] = {}
        self._path_mtu: dict[int, tuple[int, float]] = {}  # destination -> MTU, until when

    def flush(self) -> None:
        """Forget cached decisions: routes, rules, addresses, links or sysctls changed."""
        self._input.clear()
        self._output.clear()

    def input(self, link: Link, saddr: int, daddr: int, mark: int) -> Decision:
        """Decide on a received packet, or give the reason to drop it.

        LOCAL, BROADCAST, MULTICAST: deliver. UNICAST: forward. UNREACHABLE: an ICMP error, or silence where forwarding
        is off.
        """
        key = (link.index, saddr, daddr, mark)
        decision = self._input.get(key)
        if decision is None:
            decision = self._decide_input(link, saddr, daddr, mark)
            if len(self._input) >= CACHE_LIMIT:
                self._input.clear()
            self._input[key] = decision
        return decision

    def output(
        self, daddr: int, *, saddr: int = 0, link: Link | None = None, mark: int = 0, any_source: bool = False
    ) -> Decision:
        """Decide on a packet of ours. `saddr` must be our own, unless `any_source`; `link` binds it to a link."""
        key = (daddr, saddr, link, mark, any_source)
        decision = self._output.get(key)
        if decision is None:
            decision = self._decide_output(daddr, saddr, link, mark, any_source)
            if len(self._output) >= CACHE_LIMIT:
                self._output.clear()
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

    def _decide_input(self, link: Link, saddr: int, daddr: int, mark: int) -> Decision:
        if is_multicast(daddr):
            return self._input_multicast(link, saddr, daddr)
        if is_multicast(saddr) or is_broadcast(saddr):
            return DropReason.IP_INVALID_SOURCE
        if is_broadcast(daddr) or (saddr == 0 and daddr == 0):
            return self._input_broadcast(link, saddr)
        martian = self._martian(link, saddr, daddr)
        if martian is not None:
            return martian
        route = self._fib.lookup(daddr, saddr, mark, link.name)
        if isinstance(route, DropReason):
            return self._unreachable(route if link.conf.forwarding else DropReason.IP_FORWARDING_OFF)
        if route.type is RouteType.BROADCAST:
            return self._input_broadcast(link, saddr)
        if route.type is RouteType.LOCAL:
            invalid = self._validate_source(link, saddr, daddr, None)
            return invalid if isinstance(invalid, DropReason) else self._local(RouteType.LOCAL, route)
        if not link.conf.forwarding:
            return self._unreachable(DropReason.IP_FORWARDING_OFF)
        if route.type is not RouteType.UNICAST or route.link is None:
            return DropReason.IP_INVALID_DEST
        return self._forward(link, saddr, daddr, route, route.link)

    def _martian(self, link: Link, saddr: int, daddr: int) -> DropReason | None:
        if is_zeronet(saddr):
            return DropReason.IP_INVALID_SOURCE
        if is_zeronet(daddr):
            return DropReason.IP_INVALID_DEST
        localnet = link.conf.route_localnet or self._sysctl.all.route_localnet
        return DropReason.IP_LOCALNET if (is_loopback(daddr) or is_loopback(saddr)) and not localnet else None

    def _forward(self, link: Link, saddr: int, daddr: int, route: Route, out_link: Link) -> Decision:
        on_link = self._validate_source(link, saddr, daddr, out_link)
        if isinstance(on_link, DropReason):
            return on_link
        result = RouteResult(RouteType.UNICAST, out_link, self._fib.generation, gateway=route.gateway, route=route)
        if out_link is link and on_link and (link.conf.send_redirects or self._sysctl.all.send_redirects):
            shared = link.conf.shared_media or self._sysctl.all.shared_media
            result.redirect = bool(shared) or any(
                own.holds(saddr) and own.holds(route.gateway) for own in link.addresses
            )
        return result

    def _input_multicast(self, link: Link, saddr: int, daddr: int) -> Decision:
        if daddr not in link.multicast_groups:
            return DropReason.IP_INVALID_DEST
        if is_multicast(saddr) or is_broadcast(saddr):
            return DropReason.IP_INVALID_SOURCE
        if is_loopback(saddr) and not (link.conf.route_localnet or self._sysctl.all.route_localnet):
            return DropReason.IP_INVALID_SOURCE
        if is_zeronet(saddr):
            if daddr >> 8 != LOCAL_GROUPS:
                return DropReason.IP_INVALID_SOURCE
        else:
            invalid = self._validate_source(link, saddr, 0, None)
            if isinstance(invalid, DropReason):
                return invalid
        return self._local(RouteType.MULTICAST, None)

    def _input_broadcast(self, link: Link, saddr: int) -> Decision:
        if not is_zeronet(saddr):
            invalid = self._validate_source(link, saddr, 0, None)
            if isinstance(invalid, DropReason):
                return invalid
        return self._local(RouteType.BROADCAST, None)

    def _local(self, kind: RouteType, route: Route | None) -> RouteResult:
        return RouteResult(kind, self._netns.loopback, self._fib.generation, route=route)

    def _unreachable(self, reason: DropReason) -> RouteResult:
        result = RouteResult(RouteType.UNREACHABLE, self._netns.loopback, self._fib.generation)
        result.error = DropReason.IP_INNOROUTES if reason is DropReason.IP_OUTNOROUTES else reason
        return result

    def _validate_source(self, link: Link, saddr: int, daddr: int, out_link: Link | None) -> bool | DropReason:
        """Check the sender (fib_validate_source): the reason to drop, or whether the sender is on this very link."""
        rp_filter = max(link.conf.rp_filter, self._sysctl.all.rp_filter)
        accept_local = link.conf.accept_local or self._sysctl.all.accept_local
        send_redirects = link.conf.send_redirects or self._sysctl.all.send_redirects
        if not rp_filter and (link is not out_link or not send_redirects):
            if not accept_local and self._netns.has_address(saddr):
                return DropReason.IP_LOCAL_SOURCE
            return False
        return self._reverse_path(link, saddr, daddr, rp_filter, bool(accept_local))

    def _reverse_path(
        self, link: Link, saddr: int, daddr: int, rp_filter: int, accept_local: bool
    ) -> bool | DropReason:
        """Look the sender up as if it were a destination (__fib_validate_source)."""
        back = self._fib.lookup(saddr, daddr, 0, link.name)
        last_resort = DropReason.IP_RPFILTER if rp_filter else False
        if isinstance(back, DropReason):
            return last_resort
        if back.type is not RouteType.UNICAST and (back.type is not RouteType.LOCAL or not accept_local):
            return DropReason.IP_LOCAL_SOURCE
        if back.link is link:
            return not back.gateway
        if not link.addresses:
            return last_resort
        if rp_filter == 1:
            return DropReason.IP_RPFILTER
        back = self._fib.lookup(saddr, daddr, 0, link.name, link)
        return isinstance(back, Route) and back.type is RouteType.UNICAST and not back.gateway

    # Output: ip_route_output_key_hash_rcu

    def _decide_output(self, daddr: int, saddr: int, link: Link | None, mark: int, any_source: bool) -> Decision:
        group = is_multicast(daddr) or is_broadcast(daddr)
        if saddr:
            if is_multicast(saddr) or is_broadcast(saddr):
                return DropReason.IP_INVALID_SOURCE
            if link is None and group:
                link = self._netns.link_of_address(saddr)
                return DropReason.IP_OUTNOROUTES if link is None else self._group_route(link, daddr, saddr, None)
            if not any_source and not self._fib.is_local(saddr):
                return DropReason.IP_INVALID_SOURCE
        if link is not None:
            if not link.up:
                return DropReason.IP_OUTNOROUTES
            if is_broadcast(daddr) or daddr >> 8 == LOCAL_GROUPS:
                return self._group_route(link, daddr, saddr, None)
            if not saddr and is_multicast(daddr):
                saddr = self._netns.select_address(link, 0, Scope.UNIVERSE)
        if not daddr:
            source = saddr or LOOPBACK_IPV4
            return RouteResult(RouteType.LOCAL, self._netns.loopback, self._fib.generation, source=source)
        return self._output_lookup(daddr, saddr, link, mark)

    def _output_lookup(self, daddr: int, saddr: int, link: Link | None, mark: int) -> Decision:
        route = self._fib.lookup(daddr, saddr, mark, "lo", link)
        if isinstance(route, DropReason):
            if link is None:
                return route
            source = saddr or self._netns.select_address(link, 0, Scope.LINK)
            kind = RouteType.MULTICAST if is_multicast(daddr) else RouteType.UNICAST
            return RouteResult(kind, link, self._fib.generation, source=source)
        if route.type is RouteType.LOCAL:
            source = saddr or route.source or daddr
            return RouteResult(RouteType.LOCAL, self._netns.loopback, self._fib.generation, source=source, route=route)
        if route.link is None or is_zeronet(daddr):
            return DropReason.IP_OUTNOROUTES
        source = saddr or self.preferred_source(route, route.link)
        if is_loopback(source) and not route.link.loopback and not route.link.conf.route_localnet:
            return DropReason.IP_INVALID_SOURCE
        if is_multicast(daddr) or is_broadcast(daddr):
            return self._group_route(route.link, daddr, source, route)
        return RouteResult(
            route.type, route.link, self._fib.generation, gateway=route.gateway, source=source, route=route
        )

    def preferred_source(self, route: Route, link: Link) -> int:
        """The source address that a route gives to packets without one (fib_result_prefsrc)."""
        return route.source or self._netns.select_address(link, route.gateway, route.scope)

    def _group_route(self, link: Link, daddr: int, saddr: int, route: Route | None) -> RouteResult:
        """A route for a group or the limited broadcast: never through a gateway that a short prefix names."""
        source = saddr or self._netns.select_address(link, 0, Scope.LINK)
        kind = RouteType.MULTICAST if is_multicast(daddr) else RouteType.BROADCAST
        gateway = 0
        if route is not None and kind is RouteType.MULTICAST and route.prefix_length >= 4:
            gateway = route.gateway
        return RouteResult(kind, link, self._fib.generation, gateway=gateway, source=source)
