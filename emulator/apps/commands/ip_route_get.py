"""`ip route get`: which way a packet would take, of ours or received (inet_rtm_getroute of net/ipv4/route.c)."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace

from msgspec import Struct

from emulator.apps.commands import ip_words
from emulator.apps.commands.ip_context import Context, IpError, Words
from emulator.apps.commands.ip_route_view import joined, write_routes
from emulator.kernel.drop import DropReason
from emulator.kernel.link.link import Link
from emulator.kernel.routing.fib_rule import LOCAL_OUTPUT, Flow
from emulator.kernel.routing.route import TABLE_MAIN, RouteResult, RouteType
from emulator.kernel.routing.route_text import Field, metric_fields, table_name, tos_name
from emulator.kernel.routing.routing import Decision
from emulator.kernel.socket.error import output_error
from emulator.packet.address import format_ipv4

_CACHE_FLAGS = {RouteType.LOCAL: ["local"], RouteType.BROADCAST: ["local", "brd"], RouteType.MULTICAST: ["mc"]}
_PORTS = struct.Struct("!HH")


class _Question(Struct):
    """What is asked for."""

    daddr: int | None = None
    saddr: int = 0
    in_link: Link | None = None
    out_link: Link | None = None
    mark: int = 0
    tos: int = 0
    protocol: int = 17  # the kernel assumes UDP
    sport: int = 0
    dport: int = 0
    uid: int = 0
    fib: bool = False
    shortened: int = 32


def get_route(context: Context, words: Words) -> None:
    """Run `ip route get [fibmatch] ADDRESS [from ADDRESS [iif LINK]] [oif LINK] [mark N] [tos TOS] ...`."""
    asked = _read(context, words)
    if asked.daddr is None:
        raise IpError("need at least a destination address")
    if asked.shortened != 32:
        context.invocation.write_error(
            f"Warning: /{asked.shortened} as prefix is invalid, only /32 (or none) is supported.\n"
        )
    decision = _decide(context, asked, asked.daddr)
    if not isinstance(decision, RouteResult) or decision.type is RouteType.UNREACHABLE:
        raise IpError(f"RTNETLINK answers: {_error(decision, received=asked.in_link is not None)}", 2)
    if asked.fib:
        _write_match(context, asked, asked.daddr)
    else:
        _write(context, asked, asked.daddr, decision)


def _read(context: Context, words: Words) -> _Question:
    asked = _Question()
    while words:
        word = words.next()
        read = _WORDS.get(word)
        if read is not None:
            read(context, asked, words)
        elif word in {"fibmatch", "notify", "connected"}:
            asked.fib = asked.fib or word == "fibmatch"
        else:
            text = words.next() if word == "to" else word
            prefix = ip_words.any_prefix(text) if asked.daddr is None else ip_words.inet_prefix(Words([text]))
            asked.daddr, asked.shortened = prefix
    return asked


def _decide(context: Context, asked: _Question, daddr: int) -> Decision:
    netns = context.netns
    if asked.in_link is None:
        return netns.routing.output(
            daddr, saddr=asked.saddr, link=asked.out_link, mark=asked.mark, tos=asked.tos, protocol=asked.protocol,
            ports=(asked.sport, asked.dport),
        )  # fmt: skip
    segment = _PORTS.pack(asked.sport, asked.dport) + bytes(4)
    skb = netns.ip.build(asked.protocol, segment, asked.saddr, daddr, 64, asked.tos)
    skb.mark = asked.mark
    return netns.routing.input(asked.in_link, asked.saddr, daddr, asked.mark, skb)


def _error(decision: Decision, *, received: bool) -> str:
    """What the kernel answers where there is no way."""
    if isinstance(decision, RouteResult):
        reason = decision.error or DropReason.IP_INNOROUTES
        if reason is DropReason.IP_FORWARDING_OFF:
            return os.strerror(113)
    elif received:
        return os.strerror(22)
    else:
        reason = DropReason.IP_OUTNOROUTES if decision is DropReason.IP_INVALID_SOURCE else decision
    error = output_error(reason)
    return "Network is unreachable" if error is None or error.strerror is None else error.strerror


def _write_match(context: Context, asked: _Question, daddr: int) -> None:
    """Print the route that matched rather than what came of it."""
    in_link = LOCAL_OUTPUT if asked.in_link is None else asked.in_link.name
    flow = Flow(
        daddr, asked.saddr, asked.mark, in_link, asked.out_link, asked.tos, asked.protocol, asked.sport, asked.dport
    )
    route = context.netns.fib.find(flow)
    if not isinstance(route, DropReason):
        shown = replace(route, table=context.netns.fib.shown_table(route))
        write_routes(context, [shown], show_table=True)


def _write(context: Context, asked: _Question, daddr: int, result: RouteResult) -> None:
    fields: list[Field] = []
    if result.type is not RouteType.UNICAST:
        fields.append(("type", result.type.value, result.type.value))
    fields.append(("dst", format_ipv4(daddr), format_ipv4(daddr)))
    if asked.saddr:
        fields.append(("from", format_ipv4(asked.saddr), f"from {format_ipv4(asked.saddr)}"))
    if result.route is not None and result.route.tos:
        fields.append(("tos", tos_name(result.route.tos), f"tos {tos_name(result.route.tos)}"))
    if result.gateway:
        fields.append(("gateway", format_ipv4(result.gateway), f"via {format_ipv4(result.gateway)}"))
    fields.append(("dev", result.link.name, f"dev {result.link.name}"))
    if result.route is not None and (table := context.netns.fib.shown_table(result.route)) != TABLE_MAIN:
        fields.append(("table", table_name(table), f"table {table_name(table)}"))
    if not asked.saddr:
        fields.append(("prefsrc", format_ipv4(result.source), f"src {format_ipv4(result.source)}"))
    # RTCF_MULTICAST is the bit of RTM_F_OFFLOAD_FAILED, and iproute2 shows it as that.
    flags = ["rt_offload_failed"] if result.type is RouteType.MULTICAST else []
    fields.append(("flags", flags, " ".join(flags)))
    if asked.mark:
        fields.append(("mark", asked.mark, f"mark {asked.mark:#x}" if asked.mark >= 16 else f"mark {asked.mark}"))
    if asked.in_link is None:
        fields.append(("uid", asked.uid, f"uid {asked.uid}"))
    names = _CACHE_FLAGS.get(result.type, [])
    cache: list[Field] = [("cache", names, f"<{','.join(names)}>" if names else "")]
    if result.route is not None and (asked.in_link is None or result.type is RouteType.UNICAST):
        cache += metric_fields(result.route)
    if asked.in_link is not None:
        cache.append(("iif", asked.in_link.name, f"iif {asked.in_link.name}"))
    if context.has("json"):
        context.write_json([{key: value for key, value, _ in fields + cache}])
        return
    separator = "\\" if context.has("oneline") else "\n"
    context.write(f"{joined(fields)}{separator}    cache {joined(cache)}\n")


def _number(name: str, message: str, limit: int = 0xFFFFFFFF) -> Callable[[Context, _Question, Words], None]:
    return lambda _context, asked, words: setattr(asked, name, ip_words.number(words.next(), message, limit=limit))


def _link(name: str) -> Callable[[Context, _Question, Words], None]:
    return lambda context, asked, words: setattr(asked, name, ip_words.link(context.netns, words.next()))


def _read_from(_context: Context, asked: _Question, words: Words) -> None:
    asked.saddr, _ = ip_words.any_prefix(words.next())


def _read_protocol(_context: Context, asked: _Question, words: Words) -> None:
    asked.protocol = ip_words.ip_protocol(words.next(), 'Invalid "ipproto" value\n')


def _read_tos(_context: Context, asked: _Question, words: Words) -> None:
    asked.tos = ip_words.dsfield(words.next(), "TOS value is invalid\n")


_WORDS: dict[str, Callable[[Context, _Question, Words], None]] = {
    "from": _read_from,
    "iif": _link("in_link"),
    "oif": _link("out_link"),
    "dev": _link("out_link"),
    "mark": _number("mark", "invalid mark\n"),
    "uid": _number("uid", "invalid UID\n"),
    "sport": _number("sport", "invalid sport\n", 0xFFFF),
    "dport": _number("dport", "invalid dport\n", 0xFFFF),
    "ipproto": _read_protocol,
    "tos": _read_tos,
    "dsfield": _read_tos,
}
