"""The forwarding information base: routing tables, and the policy rules that pick one (net/ipv4/fib_*.c).

Results are cached by `routing.py` until `generation` moves.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from emulator.kernel.drop import DropReason
from emulator.kernel.routing.fib_check import check_rule, checked
from emulator.kernel.routing.fib_rule import DEFAULT_RULES, FAILING_ACTIONS, Flow, Rule, RuleAction, RulePattern
from emulator.kernel.routing.fib_table import Table
from emulator.kernel.routing.route import (
    FAILURES,
    NOWHERE_TYPES,
    TABLE_DEFAULT,
    TABLE_LOCAL,
    TABLE_MAIN,
    NextHop,
    Route,
    RouteError,
    RouteType,
    Scope,
)
from emulator.packet.address import is_broadcast, is_multicast, is_zeronet

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link

__all__ = ["Fib", "RoutePattern", "Rule", "Table"]

_EXISTS = "RTNETLINK answers: File exists"
_TABLE_BUCKETS = 0xFF  # tables are listed in the order of their hash buckets
_NO_ENTRY = "RTNETLINK answers: No such file or directory"


class RoutePattern(Struct, frozen=True):
    """Which route to delete: the first of a prefix that agrees in every field given; None, 0 and () match anything."""

    destination: int
    prefix_length: int
    table: int = TABLE_MAIN
    tos: int = 0  # must be equal even where it is 0
    type: RouteType | None = None
    scope: Scope | None = None
    protocol: str | None = None
    source: int = 0
    metric: int = 0
    link: Link | None = None
    gateway: int = 0
    nexthops: tuple[NextHop, ...] = ()
    mtu: int = 0
    metrics: tuple[tuple[str, int | str], ...] = ()

    def matches(self, route: Route) -> bool:
        """Whether this route is meant (fib_table_delete, fib_nh_match)."""
        first = route.hops[0] if route.hops else NextHop()
        return (
            self.tos == route.tos
            and self.type in (None, route.type)
            and self.scope in (None, route.scope)
            and self.protocol in (None, route.protocol)
            and self.source in (0, route.source)
            and self.metric in (0, route.metric)
            and self.link in (None, first.link)
            and self.gateway in (0, first.gateway)
            and (not self.nexthops or self._same_ways(route))
            and self.mtu in (0, route.mtu)
            and set(self.metrics) <= set(route.metrics)
        )

    def _same_ways(self, route: Route) -> bool:
        if len(self.nexthops) != len(route.hops):
            return False
        pairs = zip(self.nexthops, route.hops, strict=True)
        return all(
            hop.link in (None, other.link)
            and hop.gateway in (0, other.gateway)
            and (hop.weight in (1, other.weight) or not route.nexthops)
            for hop, other in pairs
        )


class Fib:
    """Tables and rules of one namespace. `generation` moves with every change; `on_change` drops cached results.

    `custom_rules` is set by the first rule that is added or removed. Until then Linux keeps the local and the main
    table in one trie: the longest prefix of both wins, whichever table it is in (fib_trie_unmerge).
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.generation = 0
        self.tables: dict[int, Table] = {TABLE_LOCAL: Table(), TABLE_MAIN: Table(), TABLE_DEFAULT: Table()}
        self.rules: list[Rule] = list(DEFAULT_RULES)
        self.plain_rules = True  # no rule looks at more than the destination
        self.reads_tos = False  # some rule or route looks at the TOS
        self.reads_ports = False  # some rule looks at the protocol or the ports
        self.multipath = False  # some route has more than one way
        self.reads_flows = False  # any of these three: addresses and mark alone do not decide
        self.custom_rules = False
        self.custom_local_routes = False
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
        in_order = sorted(self.tables, key=lambda number: (number & _TABLE_BUCKETS, number))
        return [route for number in in_order for route in self.tables[number]]

    def lookup(
        self, daddr: int, saddr: int = 0, mark: int = 0, in_link: str = "lo", out_link: Link | None = None
    ) -> Route | DropReason:
        """Find the route, as fib_lookup does. IP_OUTNOROUTES where there is none."""
        return self.find(Flow(daddr, saddr, mark, in_link, out_link))

    def find(self, flow: Flow, *, any_carrier: bool = False, scope: int = 0) -> Route | DropReason:
        """Find the route of a flow. Of one with many ways the caller chooses one (`multipath.py`)."""
        if not self.custom_rules:
            return self._find_plain(flow, any_carrier, scope)
        position, rules = 0, self.rules
        while position < len(rules):
            rule = rules[position]
            position += 1
            if not (self.plain_rules or rule.matches(flow)):
                continue
            if rule.action is RuleAction.LOOKUP:
                table = self.tables.get(rule.table)
                route = None
                if table is not None:
                    route = table.lookup(flow.daddr, flow.out_link, scope, flow.tos, any_carrier=any_carrier)
                if route is None or route.type is RouteType.THROW:
                    continue
                if route.type in FAILURES:
                    return FAILURES[route.type]
                if not rule.suppresses(route.prefix_length):
                    return route
            elif rule.action is RuleAction.GOTO:
                position = self._position(rule.target) or position
            elif rule.action is not RuleAction.NOP:
                return FAILING_ACTIONS[rule.action]
        return DropReason.IP_OUTNOROUTES

    def _find_plain(self, flow: Flow, any_carrier: bool, scope: int) -> Route | DropReason:
        """Look in the merged local and main table, then in the default table."""
        daddr, out_link, tos = flow.daddr, flow.out_link, flow.tos
        route = self.merged_lookup(daddr, out_link, scope, tos, any_carrier=any_carrier)
        if route is None or route.type is RouteType.THROW:
            route = self.tables[TABLE_DEFAULT].lookup(daddr, out_link, scope, tos, any_carrier=any_carrier)
        if route is None or route.type is RouteType.THROW:
            return DropReason.IP_OUTNOROUTES
        return FAILURES.get(route.type, route)

    def merged_lookup(
        self, daddr: int, out_link: Link | None = None, scope: int = 0, tos: int = 0, *, any_carrier: bool = False
    ) -> Route | None:
        """Return the longest match of the local and the main table; of equal ones the local table's."""
        own = self.local.lookup(daddr, out_link, scope, tos, any_carrier=any_carrier)
        if own is not None and own.prefix_length == 32:
            return own
        other = self.main.lookup(daddr, out_link, scope, tos, any_carrier=any_carrier)
        if own is None or (other is not None and other.prefix_length > own.prefix_length):
            return other
        return own

    def shown_table(self, route: Route) -> int:
        """The table that `ip route get` names: main for all that is in the merged one."""
        return TABLE_MAIN if route.table == TABLE_LOCAL and not self.custom_rules else route.table

    def _position(self, priority: int) -> int | None:
        """Where the first rule of a priority is in the list, if there is one."""
        return next((number for number, rule in enumerate(self.rules) if rule.priority == priority), None)

    def address_type(self, address: int, link: Link | None = None) -> RouteType:
        """What kind of address it is to this machine, or to one of its links (inet_addr_type)."""
        if is_zeronet(address) or is_broadcast(address):
            return RouteType.BROADCAST
        if is_multicast(address):
            return RouteType.MULTICAST
        route = self._lookup_local(address)
        if route is None or route.type in NOWHERE_TYPES or (link is not None and not route.uses(link)):
            return RouteType.UNICAST
        return route.type

    def is_local(self, address: int) -> bool:
        """Whether an address is this machine's own."""
        route = self._lookup_local(address)
        return route is not None and route.type is RouteType.LOCAL

    def _lookup_local(self, address: int) -> Route | None:
        return self.local.lookup(address) if self.custom_rules else self.merged_lookup(address)

    # Routes

    def add(
        self,
        route: Route,
        *,
        replace_existing: bool = False,
        append: bool = False,
        prepend: bool = False,
        create: bool = True,
        exact_scope: bool = False,
    ) -> Route:
        """Add a route, checked as Linux does, and return it as stored. RouteError names what is wrong.

        The ways of ip(8): `add`; `replace` (replace_existing), `change` (also create=False), `append`, `prepend`.
        Without `exact_scope` an on-link route of scope "global" gets the scope that ip(8) asks for: "link" or "host".
        """
        route = checked(self, route, exact_scope=exact_scope)
        table = self.tables.setdefault(route.table, Table())
        equal = [o for o in table.same_prefix(route) if o.metric == route.metric and o.tos == route.tos]
        if equal and replace_existing:
            if route in equal[1:]:
                raise RouteError(errno.EEXIST, _EXISTS)
            table.replace(equal[0], route)
        elif equal and (not (append or prepend) or route in equal):
            raise RouteError(errno.EEXIST, _EXISTS)
        elif not create:
            raise RouteError(errno.ENOENT, _NO_ENTRY)
        else:
            table.insert(route, first=prepend)
        if route.type is RouteType.LOCAL and route.protocol != "kernel":
            self.custom_local_routes = True
        self._routes_changed()
        return route

    def remove(self, route: Route) -> None:
        """Remove the first route of this prefix and type that agrees in every field not left at its default.

        RouteError(ESRCH) if none does.
        """
        scope = None if route.scope is Scope.UNIVERSE else route.scope
        self.delete(
            RoutePattern(
                route.destination, route.prefix_length, route.table, route.tos, route.type, scope, None, route.source,
                route.metric, route.link, route.gateway, route.nexthops,
            )
        )  # fmt: skip

    def delete(self, pattern: RoutePattern) -> Route:
        """Remove and return the first route that a pattern means. RouteError(ESRCH) if there is none."""
        table = self.tables.get(pattern.table)
        if table is not None:
            for route in tuple(table.same_prefix(Route(pattern.destination, pattern.prefix_length))):
                if pattern.matches(route):
                    table.delete(route)
                    self._routes_changed()
                    return route
        raise RouteError(errno.ESRCH, "RTNETLINK answers: No such process")

    def remove_where(self, condition: Callable[[Route], bool]) -> list[Route]:
        """Remove every route for which `condition` holds, and return them."""
        return self._remove(route for table in self.tables.values() for route in table if condition(route))

    def forget_address(self, link: Link, address: int) -> None:
        """Remove the kernel's own routes through `link` that came with an address (fib_del_ifaddr)."""
        own_routes = self.local.same_prefix(Route(address, 32))
        candidates = [*self.with_source(address), *(route for route in own_routes if route.type is RouteType.LOCAL)]
        self._remove({id(r): r for r in candidates if r.link is link and r.protocol == "kernel"}.values())

    def forget_source(self, address: int) -> None:
        """Remove all routes that prefer a source address which the machine no longer has (fib_sync_down_addr)."""
        self._remove(self.with_source(address))

    def with_source(self, address: int) -> list[Route]:
        """Return the routes of all tables whose preferred source address this is."""
        return [route for table in self.tables.values() for route in table.with_source(address)]

    def _remove(self, routes: Iterable[Route]) -> list[Route]:
        removed = list(routes)
        for route in removed:
            self.tables[route.table].delete(route)
        if removed:
            self._routes_changed()
        return removed

    def take(self, routes: Iterable[Route]) -> None:
        """Have these routes and no others, unchecked: a Linux has checked them when it was given them."""
        self.tables = {number: Table() for number in (TABLE_LOCAL, TABLE_MAIN, TABLE_DEFAULT)}
        for route in routes:
            self.tables.setdefault(route.table, Table()).insert(route)
            if route.type is RouteType.LOCAL and route.protocol != "kernel":
                self.custom_local_routes = True
        self._routes_changed()

    # Rules

    def add_rule(self, rule: Rule) -> None:
        """Add a policy rule behind those of its priority. RouteError: EEXIST if the same is there, EINVAL."""
        check_rule(rule)
        if any(rule.repeats(other) for other in self.rules):
            raise RouteError(errno.EEXIST, _EXISTS)
        self.rules.append(rule)
        self.rules.sort(key=lambda other: other.priority)
        self.rules_changed()

    def default_priority(self) -> int:
        """The priority that a rule gets that names none: one less than the second rule's (fib_default_rule_pref)."""
        if len(self.rules) < 2 or not self.rules[1].priority:
            return 0
        return self.rules[1].priority - 1

    def empty_table(self) -> int:
        """Make the first table that there is not, and return its number (fib_empty_table)."""
        number = next(number for number in itertools.count(1) if number not in self.tables)
        self.tables[number] = Table()
        return number

    def remove_rule(self, rule: Rule) -> None:
        """Remove a policy rule, whoever made it. RouteError(ENOENT) if it is not there."""
        found = next((other for other in self.rules if replace(other, protocol=rule.protocol) == rule), None)
        if found is None:
            raise RouteError(errno.ENOENT, _NO_ENTRY)
        self.rules.remove(found)
        self.rules_changed()

    def delete_rule(self, pattern: RulePattern) -> Rule:
        """Remove and return the first rule that a pattern means. RouteError: ENOENT if there is none, EINVAL."""
        rule = pattern.rule
        check_rule(rule if pattern.with_priority else replace(rule, priority=self.default_priority()))
        found = next((rule for rule in self.rules if pattern.matches(rule)), None)
        if found is None:
            raise RouteError(errno.ENOENT, _NO_ENTRY)
        self.rules.remove(found)
        self.rules_changed()
        return found

    def rules_changed(self) -> None:
        """Note what rules look at; called by whoever changes `rules` in place."""
        self.custom_rules = True
        self.plain_rules = all(rule.plain for rule in self.rules)
        self.reads_ports = any(rule.reads_ports for rule in self.rules)
        self._routes_changed()

    def _routes_changed(self) -> None:
        routes = [route for table in self.tables.values() for route in table.special]
        self.multipath = any(route.nexthops for route in routes)
        self.reads_tos = any(route.tos for route in routes) or any(rule.tos for rule in self.rules)
        self.reads_flows = self.reads_ports or self.reads_tos or self.multipath
        self.changed()

    def changed(self) -> None:
        """Drop what was remembered: a table, a rule or a link's state is another."""
        self.generation += 1
        self._on_change()
