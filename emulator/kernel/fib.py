"""The forwarding information base: routing tables, and the policy rules that pick one (net/ipv4/fib_*.c).

A table is a dict for each prefix length, longest first. Results are cached by `routing.py` until `generation` moves.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.route import (
    TABLE_DEFAULT,
    TABLE_LOCAL,
    TABLE_MAIN,
    TABLE_NAMES,
    Route,
    RouteError,
    RouteType,
    Scope,
)
from emulator.packet.address import MASKS, format_ipv4, format_network, is_broadcast, is_multicast, is_zeronet

if TYPE_CHECKING:
    from emulator.kernel.link import Link

_FAILURES = {
    RouteType.BLACKHOLE: DropReason.IP_ROUTE_BLACKHOLE,
    RouteType.UNREACHABLE: DropReason.IP_ROUTE_UNREACHABLE,
    RouteType.PROHIBIT: DropReason.IP_ROUTE_PROHIBIT,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy rule. Prefix length 0, mask 0 and an empty link name match everything; `iif lo` is local output."""

    priority: int
    table: int
    source: tuple[int, int] = (0, 0)
    destination: tuple[int, int] = (0, 0)
    mark: int = 0
    mask: int = 0
    in_link: str = ""

    def matches(self, daddr: int, saddr: int, mark: int, in_link: str) -> bool:
        """Whether the rule is for this packet."""
        network, length = self.source
        if (saddr ^ network) & MASKS[length]:
            return False
        network, length = self.destination
        if (daddr ^ network) & MASKS[length]:
            return False
        return not (mark ^ self.mark) & self.mask and (not self.in_link or self.in_link == in_link)

    def format(self) -> str:
        """Return the line that `ip rule` prints."""
        words = ["from", _format_prefix(*self.source) if self.source[1] else "all"]
        if self.destination[1]:
            words += ["to", _format_prefix(*self.destination)]
        if self.mask:
            suffix = "" if self.mask == 0xFFFFFFFF else f"/{self.mask:#x}"
            words += ["fwmark", f"{self.mark:#x}{suffix}"]
        if self.in_link:
            words += ["iif", self.in_link]
        words += ["lookup", TABLE_NAMES.get(self.table, str(self.table))]
        return f"{self.priority}:\t{' '.join(words)}"


def _format_prefix(address: int, length: int) -> str:
    return format_ipv4(address) if length == 32 else format_network(address, length)


DEFAULT_RULES = (Rule(0, TABLE_LOCAL), Rule(32766, TABLE_MAIN), Rule(32767, TABLE_DEFAULT))


class Table:
    """Routes by prefix length and network; of equal prefixes the lowest metric first, then the older."""

    __slots__ = ("_by_length", "_lengths")

    def __init__(self) -> None:
        self._by_length: dict[int, dict[int, list[Route]]] = {}
        self._lengths: tuple[tuple[int, dict[int, list[Route]]], ...] = ()

    def __iter__(self) -> Iterator[Route]:
        """Routes in `ip route`'s order: by network, then shorter prefixes first, then metric."""
        entries = (
            (network, length, routes) for length, by in self._by_length.items() for network, routes in by.items()
        )
        for _, _, routes in sorted(entries, key=lambda entry: entry[:2]):
            yield from routes

    def __len__(self) -> int:
        return sum(len(routes) for by in self._by_length.values() for routes in by.values())

    def lookup(self, daddr: int, out_link: Link | None = None, scope: int = 0) -> Route | None:
        """Return the longest match: through `out_link` if one is asked for, of scope `scope` or narrower."""
        for mask, networks in self._lengths:
            routes = networks.get(daddr & mask)
            if routes is None:
                continue
            for route in routes:
                if route.scope >= scope and (out_link is None or route.link is None or route.link is out_link):
                    return route
        return None

    def same_prefix(self, route: Route) -> list[Route]:
        """Routes for exactly this prefix."""
        return self._by_length.get(route.prefix_length, {}).get(route.destination, [])

    def insert(self, route: Route) -> None:
        """Add a route after those of the same prefix and metric."""
        networks = self._by_length.get(route.prefix_length)
        if networks is None:
            networks = self._by_length[route.prefix_length] = {}
            self._index()
        routes = networks.setdefault(route.destination, [])
        position = sum(1 for other in routes if other.metric <= route.metric)
        routes.insert(position, route)

    def delete(self, route: Route) -> None:
        """Take a route out; it must be in."""
        networks = self._by_length[route.prefix_length]
        routes = networks[route.destination]
        routes.remove(route)
        if not routes:
            del networks[route.destination]
        if not networks:
            del self._by_length[route.prefix_length]
            self._index()

    def _index(self) -> None:
        lengths = sorted(self._by_length, reverse=True)
        self._lengths = tuple((MASKS[length], self._by_length[length]) for length in lengths)


class Fib:
    """Tables and rules of one namespace. `generation` moves with every change; `on_change` drops cached results."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.generation = 0
        self.tables: dict[int, Table] = {TABLE_LOCAL: Table(), TABLE_MAIN: Table(), TABLE_DEFAULT: Table()}
        self.rules: list[Rule] = list(DEFAULT_RULES)
        self.plain_rules = True  # no rule looks at more than the destination
        self._on_change = on_change

    @property
    def local(self) -> Table:
        """The table of this machine's own addresses."""
        return self.tables[TABLE_LOCAL]

    @property
    def main(self) -> Table:
        """The table that `ip route` shows."""
        return self.tables[TABLE_MAIN]

    def routes(self, table: int | None = TABLE_MAIN) -> list[Route]:
        """The routes of one table in `ip route`'s order, or with None those of all."""
        if table is not None:
            return list(self.tables.get(table, ()))
        return [route for number in sorted(self.tables) for route in self.tables[number]]

    def lookup(
        self, daddr: int, saddr: int = 0, mark: int = 0, in_link: str = "lo", out_link: Link | None = None
    ) -> Route | DropReason:
        """Find the route, as fib_lookup does. IP_OUTNOROUTES where there is none."""
        for rule in self.rules:
            table = self.tables.get(rule.table)
            if table is None or not (self.plain_rules or rule.matches(daddr, saddr, mark, in_link)):
                continue
            route = table.lookup(daddr, out_link)
            if route is None or route.type is RouteType.THROW:
                continue
            return _FAILURES.get(route.type, route)
        return DropReason.IP_OUTNOROUTES

    def address_type(self, address: int, link: Link | None = None) -> RouteType:
        """What kind of address it is to this machine, or to one of its links (inet_addr_type)."""
        if is_zeronet(address) or is_broadcast(address):
            return RouteType.BROADCAST
        if is_multicast(address):
            return RouteType.MULTICAST
        route = self.local.lookup(address)
        if route is None or (link is not None and route.link is not link):
            return RouteType.UNICAST
        return route.type

    def is_local(self, address: int) -> bool:
        """Whether an address is this machine's own."""
        route = self.local.lookup(address)
        return route is not None and route.type is RouteType.LOCAL

    def add(self, route: Route, *, replace_existing: bool = False, append: bool = False) -> Route:
        """Add a route, checked as Linux does, and return it as stored. RouteError names what is wrong."""
        route = self._checked(route)
        table = self.tables.setdefault(route.table, Table())
        equal = [other for other in table.same_prefix(route) if other.metric == route.metric]
        if replace_existing and equal:
            table.delete(equal[0])
        elif equal and not append:
            raise RouteError(errno.EEXIST, "RTNETLINK answers: File exists")
        table.insert(route)
        self._changed()
        return route

    def remove(self, route: Route) -> None:
        """Remove the first route of this prefix that agrees in every field given. RouteError(ESRCH) if none does."""
        table = self.tables.get(route.table)
        for candidate in () if table is None else tuple(table.same_prefix(route)):
            if _agrees(route, candidate) and table is not None:
                table.delete(candidate)
                self._changed()
                return
        raise RouteError(errno.ESRCH, "RTNETLINK answers: No such process")

    def remove_where(self, condition: Callable[[Route], bool]) -> list[Route]:
        """Remove every route for which `condition` holds, and return them."""
        removed = [route for table in self.tables.values() for route in table if condition(route)]
        for route in removed:
            self.tables[route.table].delete(route)
        if removed:
            self._changed()
        return removed

    def add_rule(self, rule: Rule) -> None:
        """Add a policy rule. RouteError(EEXIST) if the same is there."""
        if rule in self.rules:
            raise RouteError(errno.EEXIST, "RTNETLINK answers: File exists")
        self.rules.append(rule)
        self.rules.sort(key=lambda other: other.priority)
        self._rules_changed()

    def remove_rule(self, rule: Rule) -> None:
        """Remove a policy rule. RouteError(ENOENT) if it is not there."""
        if rule not in self.rules:
            raise RouteError(errno.ENOENT, "RTNETLINK answers: No such file or directory")
        self.rules.remove(rule)
        self._rules_changed()

    def _rules_changed(self) -> None:
        self.plain_rules = all(rule == Rule(rule.priority, rule.table) for rule in self.rules)
        self._changed()

    def _changed(self) -> None:
        self.generation += 1
        self._on_change()

    def _checked(self, route: Route) -> Route:
        """Refuse what Linux refuses, and fill in the link that the gateway is on (fib_check_nh)."""
        if route.destination & ~MASKS[route.prefix_length] & 0xFFFFFFFF:
            raise RouteError(errno.EINVAL, "Error: Invalid prefix for given prefix length.")
        if route.type in _FAILURES or route.type is RouteType.THROW:
            return route
        if route.source and not self.is_local(route.source):
            raise RouteError(errno.EINVAL, "Error: Invalid prefsrc address.")
        if route.gateway and not route.onlink:
            route = replace(route, link=self._gateway_link(route))
        if route.link is None:
            raise RouteError(errno.ENODEV, "RTNETLINK answers: No such device")
        if not route.link.up:
            raise RouteError(errno.ENETDOWN, "Error: Device for nexthop is not up.")
        if route.type is RouteType.UNICAST and not route.gateway and route.scope is Scope.UNIVERSE:
            return replace(route, scope=Scope.LINK)  # as ip(8) asks for it
        return route

    def _gateway_link(self, route: Route) -> Link | None:
        scope = max(route.scope + 1, Scope.LINK)
        for rule in self.rules:
            found = (
                self.tables[rule.table].lookup(route.gateway, route.link, scope) if rule.table in self.tables else None
            )
            if found is not None and found.type in (RouteType.UNICAST, RouteType.LOCAL):
                return found.link
            if found is not None:
                break
        raise RouteError(errno.ENETUNREACH, "Error: Nexthop has invalid gateway.")


def _agrees(wanted: Route, candidate: Route) -> bool:
    """Whether `ip route del WANTED` means this candidate: fields left at their default match anything."""
    return (
        wanted.type is candidate.type
        and (wanted.link is None or wanted.link is candidate.link)
        and (not wanted.gateway or wanted.gateway == candidate.gateway)
        and (not wanted.metric or wanted.metric == candidate.metric)
        and (not wanted.source or wanted.source == candidate.source)
        and (wanted.scope is Scope.UNIVERSE or wanted.scope is candidate.scope)
    )
