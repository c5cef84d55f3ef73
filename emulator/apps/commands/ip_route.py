"""`ip route`: show routes, ask which one is taken, add, replace and delete them."""

from __future__ import annotations

from dataclasses import replace

from emulator.apps.commands.ip_context import SHOW, Context, IpError, Json, Words, is_command, unknown_command
from emulator.kernel.link import Link
from emulator.kernel.route import (
    TABLE_DEFAULT,
    TABLE_LOCAL,
    TABLE_MAIN,
    TABLE_NAMES,
    Route,
    RouteResult,
    RouteType,
    Scope,
)
from emulator.packet.address import MASKS, format_ipv4, format_network

_TABLES = {"default": TABLE_DEFAULT, "main": TABLE_MAIN, "local": TABLE_LOCAL}
_SCOPES = {
    "global": Scope.UNIVERSE,
    "site": Scope.SITE,
    "link": Scope.LINK,
    "host": Scope.HOST,
    "nowhere": Scope.NOWHERE,
}
_TYPES = {kind.value: kind for kind in RouteType}


def run(context: Context, arguments: list[str]) -> None:
    """Run the rest of an `ip route` line."""
    words = Words(arguments)
    command = words.next() if words else "show"
    if is_command(command, *SHOW):
        _show(context, words)
    elif is_command(command, "get"):
        _get(context, words)
    elif is_command(command, "add"):
        context.netns.fib.add(_read(context, words))
    elif command == "append":
        context.netns.fib.add(_read(context, words), append=True)
    elif is_command(command, "replace", "change"):
        context.netns.fib.add(_read(context, words), replace_existing=True)
    elif is_command(command, "delete"):
        context.netns.fib.remove(replace(_read(context, words), protocol="boot"))
    else:
        raise unknown_command(command, "route")


def _show(context: Context, words: Words) -> None:
    """Run `ip route show [PREFIX] [dev LINK] [table TABLE] [type TYPE] [proto PROTOCOL] [via GATEWAY]`."""
    table: int | None = TABLE_MAIN
    link: Link | None = None
    kept = context.netns.fib.routes(None)
    if context.has("inet6"):
        kept = []
    while words:
        word = words.next()
        if word == "dev" or word == "oif":
            link = context.link(words.next())
            kept = [route for route in kept if route.link is link]
        elif word == "table":
            table = _table(words.next())
        elif word == "type":
            kind = words.next()
            kept = [route for route in kept if route.type.value == kind]
        elif word in {"proto", "protocol"}:
            protocol = words.next()
            kept = [route for route in kept if route.protocol == protocol]
        elif word == "via":
            gateway = words.address()
            kept = [route for route in kept if route.gateway == gateway]
        else:
            prefix = Words([words.next() if word in {"to", "exact"} else word]).prefix()
            kept = [route for route in kept if (route.destination, route.prefix_length) == prefix]
    rows = [_fields(route, show_table=table is None, hide_link=link) for route in kept if table in {None, route.table}]
    if context.has("json"):
        context.write_json([{**_as_json(row), "flags": []} for row in rows])
    else:
        context.write("".join(f"{' '.join(text for _, _, text in row)} \n" for row in rows))


_Field = tuple[str, Json, str]


def _as_json(row: list[_Field]) -> dict[str, Json]:
    return {key: value for key, value, _ in row}


def _fields(route: Route, *, show_table: bool, hide_link: Link | None) -> list[_Field]:
    """Return (JSON key, JSON value, text) of each thing that is said about a route, in order."""
    fields: list[_Field] = []
    if route.type is not RouteType.UNICAST:
        fields.append(("type", route.type.value, route.type.value))
    destination = _destination(route)
    fields.append(("dst", destination, destination))
    if route.gateway:
        gateway = format_ipv4(route.gateway)
        fields.append(("gateway", gateway, f"via {gateway}"))
    if route.link is not None and route.link is not hide_link:
        fields.append(("dev", route.link.name, f"dev {route.link.name}"))
    if show_table and route.table != TABLE_MAIN:
        table = TABLE_NAMES.get(route.table, str(route.table))
        fields.append(("table", table, f"table {table}"))
    if route.protocol != "boot":
        fields.append(("protocol", route.protocol, f"proto {route.protocol}"))
    if route.scope is not Scope.UNIVERSE:
        fields.append(("scope", str(route.scope), f"scope {route.scope}"))
    if route.source:
        fields.append(("prefsrc", format_ipv4(route.source), f"src {format_ipv4(route.source)}"))
    if route.metric:
        fields.append(("metric", route.metric, f"metric {route.metric}"))
    if route.mtu:
        fields.append(("metrics", [{"mtu": route.mtu}], f"mtu {route.mtu}"))
    flags = [name for name, on in (("onlink", route.onlink), ("linkdown", _is_linkdown(route))) if on]
    fields += [(name, True, name) for name in flags]
    return fields


def _destination(route: Route) -> str:
    if route.prefix_length == 0:
        return "default"
    return (
        format_ipv4(route.destination)
        if route.prefix_length == 32
        else format_network(route.destination, route.prefix_length)
    )


def _is_linkdown(route: Route) -> bool:
    return route.link is not None and route.link.up and not route.link.carrier


def _get(context: Context, words: Words) -> None:
    """Run `ip route get ADDRESS [from ADDRESS] [oif LINK] [mark MARK]`."""
    daddr, saddr, mark = 0, 0, 0
    link: Link | None = None
    while words:
        word = words.next()
        if word == "from":
            saddr = words.address()
        elif word in {"oif", "dev"}:
            link = context.link(words.next())
        elif word == "mark":
            mark = words.integer("mark")
        else:
            daddr, _ = Words([words.next() if word == "to" else word]).prefix()
    result = context.netns.ip.route_output(daddr, saddr=saddr, link=link, mark=mark)
    if not isinstance(result, RouteResult):
        from emulator.kernel.socket_error import output_error

        error = output_error(result)
        raise IpError(f"RTNETLINK answers: {'Network is unreachable' if error is None else error.strerror}", 2)
    _write_result(context, result, daddr, saddr, mark)


def _write_result(context: Context, result: RouteResult, daddr: int, saddr: int, mark: int) -> None:
    kind = "" if result.type is RouteType.UNICAST else result.type.value
    fields: list[_Field] = [("type", kind, kind)] if kind else []
    fields.append(("dst", format_ipv4(daddr), format_ipv4(daddr)))
    if saddr:
        fields.append(("from", format_ipv4(saddr), f"from {format_ipv4(saddr)}"))
    if result.gateway:
        fields.append(("gateway", format_ipv4(result.gateway), f"via {format_ipv4(result.gateway)}"))
    fields.append(("dev", result.link.name, f"dev {result.link.name}"))
    if not saddr:
        fields.append(("prefsrc", format_ipv4(result.source), f"src {format_ipv4(result.source)}"))
    if mark:
        fields.append(("mark", mark, f"mark {mark:#x}"))
    cache = {RouteType.LOCAL: ["local"], RouteType.BROADCAST: ["local", "brd"], RouteType.MULTICAST: ["mc"]}
    names = cache.get(result.type, [])
    if context.has("json"):
        context.write_json([{**_as_json(fields), "flags": [], "uid": 0, "cache": names}])
        return
    text = " ".join(text for _, _, text in fields)
    context.write(f"{text} uid 0 \n    cache {f'<{chr(44).join(names)}> ' if names else ''}\n")


def _read(context: Context, words: Words) -> Route:
    """Read `[TYPE] PREFIX [via GATEWAY] [dev LINK] [src ADDRESS] [metric N] [table TABLE] [scope SCOPE] ...`."""
    first = words.next()
    kind = _TYPES.get(first, RouteType.UNICAST)
    destination, length = (words if first in _TYPES else Words([first])).prefix()
    if destination & ~MASKS[length] & 0xFFFFFFFF:
        raise IpError("Error: Invalid prefix for given prefix length.", 2)
    route = Route(destination, length, kind)
    while words:
        route = _with(context, route, words.next(), words)
    return route


def _with(context: Context, route: Route, word: str, words: Words) -> Route:
    match word:
        case "via":
            return replace(route, gateway=words.address())
        case "dev" | "oif":
            return replace(route, link=context.link(words.next()))
        case "src":
            return replace(route, source=words.address())
        case "metric" | "priority" | "preference":
            return replace(route, metric=words.integer("metric"))
        case "table":
            return replace(route, table=_table(words.next()) or TABLE_MAIN)
        case "scope":
            return replace(route, scope=_scope(words.next()))
        case "proto" | "protocol":
            return replace(route, protocol=words.next())
        case "mtu":
            return replace(route, mtu=words.integer("mtu"))
        case "onlink":
            return replace(route, onlink=True)
        case _:
            raise IpError(f'Error: either "to" is duplicate, or "{word}" is a garbage.', 255)


def _scope(text: str) -> Scope:
    if text not in _SCOPES:
        raise IpError(f'Error: argument "{text}" is wrong: invalid "scope" value\n', 255)
    return _SCOPES[text]


def _table(text: str) -> int | None:
    """Return a table's number; None for all."""
    if text in {"all", "0"}:
        return None
    if text in _TABLES:
        return _TABLES[text]
    if not text.isdigit() or int(text) >= 1 << 32:
        raise IpError(f'Error: argument "{text}" is wrong: table id value is invalid\n', 255)
    return int(text)
