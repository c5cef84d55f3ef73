"""What Linux refuses of a new route, and what it adds (fib_create_info, fib_check_nh of net/ipv4/fib_semantics.c)."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.kernel.routing.fib_rule import ANY_PORTS, Flow, Rule, RuleAction
from emulator.kernel.routing.route import (
    NOWHERE_TYPES,
    TABLE_LOCAL,
    TABLE_MAIN,
    TOS_MASK,
    NextHop,
    Route,
    RouteError,
    RouteType,
    Scope,
)
from emulator.packet.address import MASKS

if TYPE_CHECKING:
    from emulator.kernel.routing.fib import Fib

_NARROWEST = {RouteType.LOCAL: Scope.HOST, RouteType.BROADCAST: Scope.LINK}
_LAST_PORT = 0xFFFF
_BAD_GATEWAY = "Error: Nexthop has invalid gateway."


def checked(fib: Fib, route: Route, *, exact_scope: bool = False) -> Route:
    """Return a route as it is stored: each gateway has its link, on-link routes the scope. RouteError if refused."""
    if route.destination & ~MASKS[route.prefix_length] & 0xFFFFFFFF:
        raise RouteError(errno.EINVAL, "Error: Invalid prefix for given prefix length.")
    if len(route.nexthops) == 1:
        hop = route.nexthops[0]
        route = replace(route, nexthops=(), link=hop.link, gateway=hop.gateway, onlink=hop.onlink)
    if route.type in NOWHERE_TYPES:
        if route.gateway or route.link is not None or route.nexthops:
            message = "Error: Gateway, device and multipath can not be specified for this route type."
            raise RouteError(errno.EINVAL, message)
        return route
    if not (exact_scope or route.nexthops or route.gateway) and route.scope is Scope.UNIVERSE:
        route = replace(route, scope=_scope_of(route.type))
    _check_scope(route)
    if route.nexthops:
        route = replace(route, nexthops=tuple(_check_hop(fib, route, hop) for hop in route.nexthops))
    else:
        hop = _check_hop(fib, route, NextHop(route.link, route.gateway, 1, route.onlink))
        route = replace(route, link=hop.link, gateway_scope=hop.gateway_scope)
    if route.source and not (route.type is RouteType.LOCAL and route.source == route.destination):
        _check_source(fib, route)
    return route


def check_rule(rule: Rule) -> None:
    """Refuse what Linux refuses of a policy rule (fib_nl2rule, fib4_rule_configure). RouteError(EINVAL)."""
    if rule.tos & ~TOS_MASK:
        raise RouteError(errno.EINVAL, "Error: Invalid tos.")
    for name, ports in (("sport", rule.sport), ("dport", rule.dport)):
        if ports != ANY_PORTS and not 0 < ports[0] <= ports[1] < _LAST_PORT:
            raise RouteError(errno.EINVAL, f"Error: Invalid {name} range.")
    if rule.uid_range is not None and rule.uid_range[0] > rule.uid_range[1]:
        raise RouteError(errno.EINVAL, "Error: Invalid uid range.")
    if rule.action is RuleAction.GOTO and rule.target <= rule.priority:
        raise RouteError(errno.EINVAL, "Error: Backward goto not supported.")


def _scope_of(kind: RouteType) -> Scope:
    return Scope.HOST if kind is RouteType.LOCAL else Scope.LINK


def _check_scope(route: Route) -> None:
    if route.scope < _NARROWEST.get(route.type, Scope.UNIVERSE) or route.scope > Scope.HOST:
        raise RouteError(errno.EINVAL, "Error: Invalid scope.")
    if route.scope is Scope.HOST:
        if route.nexthops:
            raise RouteError(errno.EINVAL, "Error: Route with host scope can not have multiple nexthops.")
        if route.gateway:
            raise RouteError(errno.EINVAL, "Error: Route with host scope can not have a gateway.")


def _check_hop(fib: Fib, route: Route, hop: NextHop) -> NextHop:
    if hop.gateway:
        return _check_onlink(fib, route, hop) if hop.onlink else _find_gateway(fib, route, hop)
    if hop.onlink:
        message = "Error: Invalid flags for nexthop - PERVASIVE and ONLINK can not be set."
        raise RouteError(errno.EINVAL, message)
    if hop.link is None:
        raise RouteError(errno.ENODEV, "RTNETLINK answers: No such device")
    if not hop.link.up and route.scope is not Scope.HOST:
        raise RouteError(errno.ENETDOWN, "Error: Device for nexthop is not up.")
    return hop


def _check_onlink(fib: Fib, route: Route, hop: NextHop) -> NextHop:
    if route.scope >= Scope.LINK:
        raise RouteError(errno.EINVAL, "Error: Nexthop has invalid scope.")
    if hop.link is None:
        raise RouteError(errno.ENODEV, "Error: Nexthop device required for onlink.")
    if not hop.link.up:
        raise RouteError(errno.ENETDOWN, "Error: Nexthop device is not up.")
    if fib.address_type(hop.gateway) is not RouteType.UNICAST:
        raise RouteError(errno.EINVAL, _BAD_GATEWAY)
    return hop


def _find_gateway(fib: Fib, route: Route, hop: NextHop) -> NextHop:
    """Ask how the gateway is reached: first in the route's own table, then by the rules."""
    scope = max(route.scope + 1, Scope.LINK)
    found = None
    if route.table != TABLE_MAIN and route.table in fib.tables:
        table = fib.tables[route.table]
        found = table.lookup(hop.gateway, hop.link, scope, any_carrier=True)
        if found is not None and found.type in NOWHERE_TYPES:
            found = None
    if found is None:
        answer = fib.find(Flow(hop.gateway, out_link=hop.link), any_carrier=True, scope=scope)
        if not isinstance(answer, Route):
            raise RouteError(errno.ENETUNREACH, _BAD_GATEWAY)
        found = answer
    if found.type not in (RouteType.UNICAST, RouteType.LOCAL):
        raise RouteError(errno.EINVAL, _BAD_GATEWAY)
    link = next(way.link for way in found.hops if hop.link in (None, way.link))
    if link is not None and not link.up:
        raise RouteError(errno.ENETDOWN, "RTNETLINK answers: Network is down")
    return replace(hop, link=link, gateway_scope=found.scope)


def _check_source(fib: Fib, route: Route) -> None:
    numbers = (TABLE_LOCAL,) if route.table == TABLE_MAIN else (route.table, TABLE_LOCAL)
    tables = [fib.tables[number] for number in numbers if number in fib.tables]
    found = [table.lookup(route.source) for table in tables]
    if not any(other is not None and other.type is RouteType.LOCAL for other in found):
        raise RouteError(errno.EINVAL, "Error: Invalid prefsrc address.")
