"""`ip route`: show routes, ask which one is taken, add, change, delete and flush them."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field

from emulator.apps.commands import ip_words
from emulator.apps.commands.ip_context import SHOW, Context, IpError, Words, is_command, unknown_command
from emulator.apps.commands.ip_route_get import get_route
from emulator.apps.commands.ip_route_usage import USAGE
from emulator.apps.commands.ip_route_view import write_routes
from emulator.apps.commands.ip_route_words import TYPES, read_route
from emulator.kernel.routing.route import TABLE_MAIN, Route
from emulator.packet.address import MASKS

_CHANGES: dict[str, dict[str, bool]] = {
    "add": {},
    "change": {"replace_existing": True, "create": False},
    "replace": {"replace_existing": True},
    "prepend": {"prepend": True},
    "append": {"append": True},
    "test": {"create": False},
}


def run(context: Context, arguments: list[str]) -> None:
    """Run the rest of an `ip route` line."""
    words = Words(arguments)
    command = words.next() if words else "show"
    change = next((name for name in _CHANGES if name.startswith(command)), "change" if command == "chg" else "")
    if is_command(command, *SHOW):
        _show(context, words)
    elif change:
        route = read_route(context, words, usage=USAGE).route()
        context.netns.fib.add(route, exact_scope=True, **_CHANGES[change])
    elif is_command(command, "delete"):
        context.netns.fib.delete(read_route(context, words, usage=USAGE).pattern())
    elif is_command(command, "get"):
        get_route(context, words)
    elif is_command(command, "flush"):
        _flush(context, words)
    elif is_command(command, "save"):
        raise IpError("Not sending a binary stream to stdout", 255)
    elif is_command(command, "help"):
        raise IpError(USAGE, 255)
    else:
        raise unknown_command(command, "route")


class _Selection(Struct):
    """Which routes a line means, and which of their fields need not be said."""

    table: int | None = TABLE_MAIN
    tests: list[Callable[[Route], bool]] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    cached: bool = False

    def routes(self, context: Context) -> list[Route]:
        """Return the routes. IpError for a table that there is not."""
        fib = context.netns.fib
        if self.table is not None and self.table not in fib.tables:
            raise IpError("Error: ipv4: FIB table does not exist.\nDump terminated", 2)
        if context.has("inet6") or self.cached:
            return []
        return [route for route in fib.routes(self.table) if all(test(route) for test in self.tests)]

    def where(self, test: Callable[[Route], bool], *hidden: str) -> None:
        """Narrow it."""
        self.tests.append(test)
        self.hidden |= set(hidden)


def _select(context: Context, words: Words) -> _Selection:
    """Read `[[root|match|exact] PREFIX] [dev LINK] [table TABLE] [type TYPE] [proto PROTOCOL] [via GATEWAY] ...`."""
    found = _Selection()
    while words:
        word = words.next()
        read = _FILTERS.get(word)
        if read is not None:
            read(context, found, words)
        elif is_command(word, "table"):
            name = words.next()
            if name == "cache":
                found.cached = True
            else:
                found.table = None if name == "all" else _table(name)
        elif is_command(word, "cache", "cached", "cloned"):
            found.cached = True
        else:
            _select_prefix(found, words, "exact" if word == "to" else word)
    return found


def _table(name: str) -> int | None:
    return ip_words.table(name, "table id value is invalid\n") or None


def _select_prefix(found: _Selection, words: Words, word: str) -> None:
    how = word if word in {"root", "match", "exact"} else ""
    address, length = ip_words.any_prefix(words.next() if how else word)
    if how == "root":
        mask = MASKS[length]
        found.where(lambda route: route.prefix_length >= length and not (route.destination ^ address) & mask)
    elif how == "match":
        found.where(
            lambda route: (
                route.prefix_length <= length and not (route.destination ^ address) & MASKS[route.prefix_length]
            )
        )
    else:
        found.where(lambda route: (route.destination, route.prefix_length) == (address, length))


_Filter = Callable[[Context, _Selection, Words], None]


def _by_link(context: Context, found: _Selection, words: Words) -> None:
    link = ip_words.link(context.netns, words.next())
    found.where(lambda route: route.link is link, "dev")


def _by_type(_context: Context, found: _Selection, words: Words) -> None:
    word = words.next()
    if word not in TYPES:
        raise ip_words.wrong(word, "node type value is invalid\n")
    found.where(lambda route: route.type is TYPES[word])


def _by_protocol(_context: Context, found: _Selection, words: Words) -> None:
    word = words.next()
    if word == "all":
        return
    protocol = ip_words.route_protocol(word, 'invalid "protocol"\n')
    found.where(lambda route: route.protocol == protocol, "protocol")


def _by_scope(_context: Context, found: _Selection, words: Words) -> None:
    word = words.next()
    if word not in ip_words.SCOPES:
        raise ip_words.wrong(word, 'invalid "scope"\n')
    found.where(lambda route: route.scope is ip_words.SCOPES[word], "scope")


def _by_gateway(_context: Context, found: _Selection, words: Words) -> None:
    gateway = ip_words.inet_address(words.next())
    found.where(lambda route: route.gateway == gateway, "gateway")


def _by_source(_context: Context, found: _Selection, words: Words) -> None:
    source = ip_words.inet_address(words.next())
    found.where(lambda route: route.source == source, "prefsrc")


def _by_metric(_context: Context, found: _Selection, words: Words) -> None:
    metric = ip_words.number(words.next(), '"metric" value is invalid\n')
    found.where(lambda route: route.metric == metric, "metric")


def _by_tos(_context: Context, found: _Selection, words: Words) -> None:
    tos = ip_words.dsfield(words.next(), "TOS value is invalid\n")
    found.where(lambda route: route.tos == tos, "tos")


_FILTERS: dict[str, _Filter] = {
    "dev": _by_link, "oif": _by_link, "type": _by_type, "proto": _by_protocol, "protocol": _by_protocol,
    "scope": _by_scope, "via": _by_gateway, "src": _by_source, "metric": _by_metric, "priority": _by_metric,
    "preference": _by_metric, "tos": _by_tos, "dsfield": _by_tos,
}  # fmt: skip


def _show(context: Context, words: Words) -> None:
    selection = _select(context, words)
    write_routes(context, selection.routes(context), show_table=selection.table is None, hidden=selection.hidden)


def _flush(context: Context, words: Words) -> None:
    """Run `ip route flush SELECTION`: delete all that it means; of the cache there is nothing to see."""
    if not words:
        raise IpError('"ip route flush" requires arguments.')
    selection = _select(context, words)
    if selection.cached:
        context.netns.flush_routes()
        return
    gone = selection.routes(context)
    context.netns.fib.remove_where(lambda route: any(route is other for other in gone))
