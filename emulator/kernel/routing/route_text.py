"""A route as `ip route` prints it, in text and JSON (iproute2's ip/iproute.c, print_route)."""

from __future__ import annotations

from collections.abc import Container, Sequence

from emulator.kernel.link.link import Link
from emulator.kernel.routing.route import NOWHERE_TYPES, TABLE_MAIN, TABLE_NAMES, NextHop, Route, RouteType, Scope
from emulator.packet.address import format_ipv4, format_network

Value = str | int | None | Sequence[str] | Sequence["dict[str, Value]"]
Field = tuple[str, Value, str]
"""(JSON key, JSON value, text); the text is empty where only JSON has the field."""

TIME_UNITS = {"rtt": 8, "rttvar": 4, "rto_min": 1}  # how many of a metric's units are a millisecond
DSCP_NAMES = {
    0x28: "AF11", 0x30: "AF12", 0x38: "AF13", 0x48: "AF21", 0x50: "AF22", 0x58: "AF23", 0x68: "AF31", 0x70: "AF32",
    0x78: "AF33", 0x88: "AF41", 0x90: "AF42", 0x98: "AF43", 0x20: "CS1", 0x40: "CS2", 0x60: "CS3", 0x80: "CS4",
    0xA0: "CS5", 0xC0: "CS6", 0xE0: "CS7", 0xB8: "EF",
}  # fmt: skip


def table_name(table: int) -> str:
    """Return the name of a table, or its number."""
    return TABLE_NAMES.get(table, str(table))


def tos_name(tos: int) -> str:
    """Return the name that rt_dsfield has for a TOS, or its number."""
    return DSCP_NAMES.get(tos, f"{tos:#04x}")


def destination_text(address: int, length: int) -> str:
    """Return a prefix; `default` for all, a plain address for one."""
    if length == 32:
        return format_ipv4(address)
    return "default" if length == 0 else format_network(address, length)


def route_line(route: Route, *, show_table: bool = False) -> str:
    """Return a route in one line; the words of its many ways follow those that they share."""
    words = [text for _, _, text in route_fields(route, show_table=show_table) if text]
    for hop in route.nexthops:
        words += ["nexthop", *(text for _, _, text in hop_fields(hop) if text)]
    return " ".join(words)


def route_fields(
    route: Route, *, show_table: bool = False, hidden: Container[str] = (), details: bool = False
) -> list[Field]:
    """Return what is said about a route, in order, but for its nexthops if there are many; `hidden` keys are not."""
    fields: list[Field] = []
    if route.type is not RouteType.UNICAST or details:
        fields.append(_same("type", route.type.value))
    fields.append(_same("dst", destination_text(route.destination, route.prefix_length)))
    if route.tos:
        fields.append(_named("tos", tos_name(route.tos)))
    if not route.nexthops:
        fields += _way(route.gateway, route.link)
    if show_table and (route.table != TABLE_MAIN or details):
        fields.append(_named("table", table_name(route.table)))
    if route.protocol != "boot" or details:
        fields.append(("protocol", route.protocol, f"proto {route.protocol}"))
    if route.scope is not Scope.UNIVERSE or details:
        fields.append(_named("scope", str(route.scope)))
    if route.source:
        fields.append(("prefsrc", format_ipv4(route.source), f"src {format_ipv4(route.source)}"))
    if route.metric:
        fields.append(("metric", route.metric, f"metric {route.metric}"))
    flags = [] if route.nexthops or route.type in NOWHERE_TYPES else hop_flags(route.hops[0], route.scope)
    fields.append(("flags", flags, " ".join(flags)))
    fields += metric_fields(route)
    return [field for field in fields if field[0] not in hidden]


def hop_fields(hop: NextHop) -> list[Field]:
    """Return what is said about one way of many."""
    fields = _way(hop.gateway, hop.link)
    fields.append(("weight", hop.weight, f"weight {hop.weight}"))
    flags = hop_flags(hop)
    fields.append(("flags", flags, " ".join(flags)))
    return fields


def hop_flags(hop: NextHop, scope: Scope = Scope.UNIVERSE) -> list[str]:
    """Return the flags of a way. A route of this host's own outlives its link's going down and is never dead."""
    dead = hop.dead and scope is not Scope.HOST
    down = hop.linkdown and (scope is not Scope.HOST or not hop.dead)
    named = (("dead", dead), ("onlink", hop.onlink), ("linkdown", down))
    return [name for name, on in named if on]


def _way(gateway: int, link: Link | None) -> list[Field]:
    fields: list[Field] = []
    if gateway:
        fields.append(("gateway", format_ipv4(gateway), f"via {format_ipv4(gateway)}"))
    if link is not None:
        fields.append(_named("dev", link.name))
    return fields


def metric_fields(route: Route) -> list[Field]:
    """Return the metrics of a route: one field, or none."""
    pairs = ([("mtu", route.mtu)] if route.mtu else []) + list(route.metrics)
    if not pairs:
        return []
    words: list[str] = []
    values: dict[str, Value] = {}
    for name, value in pairs:
        shown, text = value, str(value)
        if name == "features":
            text = "ecn"
            values["ecn"] = None
        else:
            if name in TIME_UNITS and isinstance(value, int):
                shown = value // TIME_UNITS[name]
                text = f"{shown / 1000:g}s" if shown >= 1000 else f"{shown}ms"
            values["congestion" if name == "congctl" else name] = shown
        words.append(f"{name} lock {text}" if name in route.locked else f"{name} {text}")
    return [("metrics", [values], " ".join(words))]


def _same(key: str, text: str) -> Field:
    return key, text, text


def _named(key: str, text: str) -> Field:
    return key, text, f"{key} {text}"
