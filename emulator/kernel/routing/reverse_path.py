"""Checks on senders of received packets: rp_filter, own addresses (net/ipv4/fib_frontend.c, fib_validate_source)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.fib_rule import LOCAL_OUTPUT, Flow
from emulator.kernel.routing.route import Route, RouteType

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns

STRICT = 1


class ReversePath:
    """The checks of one namespace."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._fib = netns.fib
        self._all = netns.sysctl.all

    def check(self, link: Link, flow: Flow, out_link: Link | None) -> bool | DropReason:
        """Return the reason to drop a packet that came in at `link`, or whether its sender is on this very link.

        `out_link` is where the packet would be forwarded to, None if it is for this machine. Where `flow.daddr` is 0
        the packet was for a group.
        """
        conf = link.conf
        rp_filter = max(conf.rp_filter, self._all.rp_filter)
        accept_local = bool(conf.accept_local or self._all.accept_local)
        send_redirects = conf.send_redirects or self._all.send_redirects
        if not rp_filter and (link is not out_link or not send_redirects):
            if accept_local:
                return False
            if not (self._fib.custom_local_routes or self._fib.custom_rules):
                return DropReason.IP_LOCAL_SOURCE if self._netns.has_address(flow.saddr) else False
        return self._look_back(link, flow, out_link, rp_filter, accept_local)

    def _look_back(
        self, link: Link, flow: Flow, out_link: Link | None, rp_filter: int, accept_local: bool
    ) -> bool | DropReason:
        """Look the sender up as if it were a destination (__fib_validate_source)."""
        back = Flow(
            flow.saddr,
            flow.daddr,
            flow.mark if link.conf.src_valid_mark or self._all.src_valid_mark else 0,
            LOCAL_OUTPUT if out_link is None else out_link.name,
            None,
            flow.tos,
            flow.protocol,
            flow.dport,
            flow.sport,
        )
        last_resort = DropReason.IP_RPFILTER if rp_filter else False
        route = self._fib.find(back)
        if isinstance(route, DropReason):
            return last_resort
        if route.type is RouteType.LOCAL:
            if not accept_local:
                return DropReason.IP_LOCAL_SOURCE
        elif route.type is not RouteType.UNICAST:
            return DropReason.IP_INVALID_SOURCE
        if route.uses(link) or (route.type is RouteType.LOCAL and link.loopback):
            return _on_link(route, None)
        if not link.addresses:
            return last_resort
        if rp_filter == STRICT:
            return DropReason.IP_RPFILTER
        route = self._fib.find(back._replace(out_link=link), any_carrier=True)
        return isinstance(route, Route) and route.type is RouteType.UNICAST and _on_link(route, link)


def _on_link(route: Route, link: Link | None) -> bool:
    """Whether the way that a lookup answers with needs no gateway."""
    hops = [hop for hop in route.hops if (link is None or hop.link is link) and (hop.usable or not route.nexthops)]
    return bool(hops) and hops[0].on_link
