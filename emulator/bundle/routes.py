"""routes.json and rules.json: the routing tables and policy rules of a node, taken as they are.

Linux has checked them when they were made, so nothing is checked here but that they can be read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emulator.bundle.item import Item
from emulator.errors import WireError
from emulator.kernel.netfilter.service_names import PROTOCOLS
from emulator.kernel.routing.fib_rule import DEFAULT_RULES, Rule, RuleAction
from emulator.kernel.routing.route import (
    NOWHERE_TYPES,
    TABLE_DEFAULT,
    TABLE_LOCAL,
    TABLE_MAIN,
    NextHop,
    Route,
    RouteType,
    Scope,
)
from emulator.packet.address import MASKS, parse_interface
from emulator.packet.digits import is_natural

if TYPE_CHECKING:
    from emulator.bundle.problem import Problems
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns

ROUTES, RULES = "routes.json", "rules.json"
_FIRST_NAMED = 1 << 32  # tables that the node's rt_tables names get numbers that no table has
_SCOPES = {str(scope): scope for scope in Scope}
_TYPES = {kind.value: kind for kind in RouteType}
_ACTIONS = {action.value: action for action in RuleAction}


class Tables:
    """The numbers of routing tables, by number or by the names that routes.json and rules.json share."""

    def __init__(self) -> None:
        self._numbers = {"local": TABLE_LOCAL, "main": TABLE_MAIN, "default": TABLE_DEFAULT}

    def number(self, name: str) -> int:
        """Return a table's number."""
        if is_natural(name):
            return int(name)
        return self._numbers.setdefault(name, _FIRST_NAMED + len(self._numbers))


def load_routes(netns: Netns, values: list[Any], tables: Tables, problems: Problems) -> None:
    """Put the routes in place of those that the addresses made."""
    found = (_read_route(netns, item, tables) for item in Item.each(values, f"{ROUTES}: ", problems))
    netns.fib.take(route for route in found if route is not None)


def _is_ipv6(item: Item) -> bool:
    """Whether a route is IPv6's: only these have a preference, and colons."""
    gateway = item.text("gateway")
    return item.has("pref") or ":" in item.text("dst") or ":" in gateway


def _read_route(netns: Netns, item: Item, tables: Tables) -> Route | None:
    if _is_ipv6(item):
        return None
    kind = _TYPES.get(item.text("type", "unicast"))
    if kind is None:
        item.wrong("type", f"{item.text('type')!r} is not one of {', '.join(_TYPES)}")
        return None
    destination = _prefix(item, "dst")
    scope = item.text("scope", "global")
    if scope not in _SCOPES:
        item.wrong("scope", f"{scope!r} is not one of {', '.join(_SCOPES)}")
    mtu = sum(each.number("mtu") for each in item.children("metrics") if each.has("mtu"))
    route = Route(
        *destination,
        kind,
        source=item.address("prefsrc"),
        scope=_SCOPES.get(scope, Scope.UNIVERSE),
        metric=item.number("metric"),
        table=tables.number(item.text("table", "main")),
        protocol=item.text("protocol", "boot"),
        mtu=mtu,
        tos=item.number("tos", high=0xFF),
    )
    if kind in NOWHERE_TYPES:
        return route
    hops = tuple(hop for each in item.children("nexthops") if (hop := _hop(netns, each)) is not None)
    if item.has("nexthops"):
        return replace(route, nexthops=hops) if len(hops) > 1 else _with_one(route, hops)
    hop = _hop(netns, item)
    return _with_one(route, () if hop is None else (hop,))


def _with_one(route: Route, hops: tuple[NextHop, ...]) -> Route | None:
    if not hops:
        return None
    hop = hops[0]
    return replace(route, link=hop.link, gateway=hop.gateway, onlink=hop.onlink)


def _hop(netns: Netns, item: Item) -> NextHop | None:
    """Read one way of a route."""
    if item.has("via"):
        item.wrong("via", "an IPv6 gateway of an IPv4 route is not emulated; take the route out if it is not needed")
        return None
    link = _link(netns, item, "dev")
    if link is None:
        return None
    return NextHop(link, item.address("gateway"), item.number("weight", 1, low=1), "onlink" in item.words("flags"))


def _link(netns: Netns, item: Item, field: str) -> Link | None:
    name = item.required(field)
    link = netns.links.get(name)
    if link is None and name:
        item.wrong(field, f"no link {name} is in links.json")
    return link


def _prefix(item: Item, field: str) -> tuple[int, int]:
    """Read `default`, an address or a prefix."""
    text = item.required(field)
    if text in ("default", "all", ""):
        return 0, 0
    try:
        address, length = parse_interface(text)
    except WireError as error:
        item.wrong(field, str(error))
        return 0, 0
    return address & MASKS[length], length


# Rules


def load_rules(netns: Netns, values: list[Any], tables: Tables, problems: Problems) -> None:
    """Put the rules in place of the default ones."""
    rules = [rule for item in Item.each(values, f"{RULES}: ", problems) if (rule := _read_rule(item, tables))]
    rules.sort(key=lambda rule: rule.priority)
    defaults = [(rule.priority, rule.table) for rule in DEFAULT_RULES]
    if [(rule.priority, rule.table) for rule in rules] == defaults and all(rule.plain for rule in rules):
        return  # local and main are one trie then, as far as can be told
    netns.fib.rules = rules
    netns.fib.rules_changed()


def _read_rule(item: Item, tables: Tables) -> Rule | None:
    if ":" in item.text("src") or ":" in item.text("dst"):
        return None
    for name in ("l3mdev", "tun_id", "dscp"):
        if item.has(name):
            item.wrong(name, "not emulated; take the rule out if the packets do not need it")
    action = next((name for name in ("goto", "nop") if item.has(name)), item.text("action", "lookup"))
    if action not in _ACTIONS:
        item.wrong("action", f"{action!r} is not one of {', '.join(_ACTIONS)}")
        return None
    priority, target = item.number("priority"), item.number("goto") if item.has("goto") else 0
    if action == "goto" and target <= priority:  # as fib_nl_newrule: it would go round for ever
        item.wrong("goto", f"{target} is not behind the rule's own priority {priority}")
        return None
    has_mark = item.has("fwmark")
    return Rule(
        priority,
        tables.number(item.text("table", "main")) if action == "lookup" else 0,
        _selector(item, "src"),
        _selector(item, "dst"),
        item.number("fwmark"),
        item.number("fwmask", 0xFFFFFFFF) if has_mark else 0,
        item.text("iif"),
        item.text("oif"),
        item.number("tos", high=0xFF),
        _ip_protocol(item),
        _ports(item, "sport"),
        _ports(item, "dport"),
        (item.number("uid_start"), item.number("uid_end")) if item.has("uid_start") else None,
        _ACTIONS[action],
        target,
        item.has("not"),
        item.number("suppress_prefixlen", -1, high=32),
        0 if item.text("suppress_ifgroup") == "default" else -1,
    )


def _selector(item: Item, field: str) -> tuple[int, int]:
    """Read `all`, an address, or an address whose length stands beside it."""
    if not item.has(field):
        return 0, 0
    address, length = _prefix(item, field)
    if item.text(field) == "all":
        return 0, 0
    length = item.number(f"{field}len", length, high=32)
    return address & MASKS[length], length


def _ip_protocol(item: Item) -> int:
    text = item.text("ipproto").removeprefix("ipproto-")
    if is_natural(text) and int(text) < 256:
        return int(text)
    if text and text not in PROTOCOLS:
        item.wrong("ipproto", f"{text!r} is no protocol that is known; write its number")
    return PROTOCOLS.get(text, 0)


def _ports(item: Item, name: str) -> tuple[int, int]:
    """Read a port (`sport`), or a range (`sport_start` and `sport_end`)."""
    if item.has(f"{name}_start"):
        return item.number(f"{name}_start", high=0xFFFF), item.number(f"{name}_end", high=0xFFFF)
    port = item.number(name, high=0xFFFF)
    return port, port
