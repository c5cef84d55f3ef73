"""The words of one route on an `ip route` line: what is to be added or deleted (iproute2's iproute_modify)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from msgspec import Struct, field

from emulator.apps.commands import ip_words
from emulator.apps.commands.ip_context import Context, IpError, Words, is_command
from emulator.kernel.link.link import Link
from emulator.kernel.routing.fib import RoutePattern
from emulator.kernel.routing.route import TABLE_LOCAL, TABLE_MAIN, NextHop, Route, RouteError, RouteType, Scope

TYPES = {kind.value: kind for kind in RouteType} | {"brd": RouteType.BROADCAST}
# In the order of enum RTAX_* (include/uapi/linux/rtnetlink.h), as they are stored and printed.
METRICS = (
    "mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd", "features",
    "rto_min", "initrwnd", "quickack", "congctl", "fastopen_no_cookie",
)  # fmt: skip
_UNLOCKED = frozenset({"initcwnd", "features", "rto_min", "initrwnd", "quickack", "fastopen_no_cookie"})
_TIMES = {"rtt": 8, "rttvar": 4, "rto_min": 1}
_LARGEST = {"mtu": 65_535 - 15, "advmss": 65_535 - 40}
_CONGESTION = frozenset({"reno", "cubic"})
_LOCAL_TYPES = frozenset({RouteType.LOCAL, RouteType.BROADCAST})
_ECN_FEATURE = 1
_HIGHEST_WEIGHT = 256


class RouteLine(Struct):
    """What a line says of a route; None where it says nothing."""

    prefix: tuple[int, int] | None = None
    type: RouteType | None = None
    link: Link | None = None
    gateway: int = 0
    onlink: bool = False
    source: int = 0
    metric: int = 0
    table: int | None = None
    scope: Scope | None = None
    protocol: str | None = None
    tos: int = 0
    hops: list[NextHop] = field(default_factory=list)
    metrics: dict[str, int | str] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)

    def route(self) -> Route:
        """Return the route to be added, with the scope and table that ip(8) asks for."""
        destination, length = self.prefix or (0, 0)
        kind = self.type or RouteType.UNICAST
        scope = Scope.UNIVERSE if self.scope is None else self.scope
        if self.scope is None:
            if kind is RouteType.LOCAL:
                scope = Scope.HOST
            elif kind in {RouteType.BROADCAST, RouteType.MULTICAST} or (
                kind is RouteType.UNICAST and not self.gateway and not self.hops
            ):
                scope = Scope.LINK
        return Route(
            destination, length, kind, self.link, self.gateway, self.source, scope, self.metric,
            self._table(), self.protocol or "boot", self.onlink, int(self.metrics.get("mtu", 0)), self.tos,
            tuple(self.hops), self._metrics(), frozenset(self.locked),
        )  # fmt: skip

    def pattern(self) -> RoutePattern:
        """Return what is to be deleted."""
        destination, length = self.prefix or (0, 0)
        scope = self.scope
        if scope is None and self.type in TYPES.values() and self.type is not RouteType.UNICAST:
            scope = self.route().scope
        return RoutePattern(
            destination, length, self._table(), self.tos, self.type, scope, self.protocol, self.source, self.metric,
            self.link, self.gateway, tuple(self.hops), int(self.metrics.get("mtu", 0)), self._metrics(),
        )  # fmt: skip

    def _table(self) -> int:
        if self.table is not None:
            return self.table
        return TABLE_LOCAL if self.type in _LOCAL_TYPES else TABLE_MAIN

    def _metrics(self) -> tuple[tuple[str, int | str], ...]:
        return tuple((name, self.metrics[name]) for name in METRICS if name in self.metrics and name != "mtu")


def read_route(context: Context, words: Words, *, usage: str) -> RouteLine:
    """Read what follows `ip route add|del|...`. IpError for what `ip` cannot use."""
    line = RouteLine()
    while words:
        word = words.next()
        if word == "nexthop":
            _read_hops(context, line, words)
            break
        read = _WORDS.get(word)
        if read is not None:
            read(context, line, words)
        elif word in METRICS:
            _read_metric(line, word, words)
        else:
            _read_prefix(line, word, words, usage)
    if line.prefix is None:
        raise IpError(usage, 255)
    return line


def _read_prefix(line: RouteLine, word: str, words: Words, usage: str) -> None:
    if word == "to":
        word = words.next()
    if word in TYPES and line.prefix is None:
        line.type = TYPES[word]
        word = words.next()
    if is_command(word, "help"):
        raise IpError(usage, 255)
    if line.prefix is not None:
        raise IpError(f'Error: either "to" is duplicate, or "{word}" is a garbage.', 255)
    line.prefix = ip_words.any_prefix(word)


def _read_hops(context: Context, line: RouteLine, words: Words) -> None:
    """Read `nexthop [via GATEWAY] [dev LINK] [weight N] [onlink] nexthop ...` to the end of the line."""
    while True:
        if not words:
            raise IpError('Error: unexpected end of line after "nexthop"', 255)
        hop = NextHop()
        word = ""
        while words and (word := words.next()) in _HOP_WORDS:
            hop = _HOP_WORDS[word](context, hop, words)
        line.hops.append(hop)
        if word in _HOP_WORDS:
            return
        if word != "nexthop":
            raise IpError(f'Error: "nexthop" or end of line is expected instead of "{word}"', 255)


def _hop_weight(_context: Context, hop: NextHop, words: Words) -> NextHop:
    word = words.next()
    weight = ip_words.number(word, '"weight" is invalid\n')
    if not 1 <= weight <= _HIGHEST_WEIGHT:
        raise ip_words.wrong(word, '"weight" is invalid\n')
    return replace(hop, weight=weight)


def _gateway(words: Words) -> int:
    word = words.next()
    return ip_words.inet_address(words.next() if word == "inet" else word)


_HOP_WORDS: dict[str, Callable[[Context, NextHop, Words], NextHop]] = {
    "via": lambda _context, hop, words: replace(hop, gateway=_gateway(words)),
    "dev": lambda context, hop, words: replace(hop, link=ip_words.link(context.netns, words.next())),
    "weight": _hop_weight,
    "onlink": lambda _context, hop, _words: replace(hop, onlink=True),
}


def _read_metric(line: RouteLine, name: str, words: Words) -> None:
    word = words.next()
    if word == "lock" and name not in _UNLOCKED:
        line.locked.add(name)
        word = words.next()
    if name == "congctl":
        if word not in _CONGESTION:
            raise RouteError(22, "Error: Unknown tcp congestion algorithm.")
        line.metrics[name] = word
    elif name == "features":
        if word != "ecn":
            raise ip_words.wrong(word, '"features" value not valid\n')
        line.metrics[name] = _ECN_FEATURE
    elif name in _TIMES:
        line.metrics[name] = _time(word, name)
        if name == "rto_min":
            line.locked.add(name)
    else:
        limit = 0xFF if name == "hoplimit" else 0xFFFFFFFF
        value = ip_words.number(word, f'"{name}" value is invalid\n', limit=limit)
        line.metrics[name] = min(value, _LARGEST.get(name, value))


def _time(word: str, name: str) -> int:
    """Read a time with its unit; a plain number is in the metric's own units (get_time_rtt)."""
    for unit, milliseconds in (("msecs", 1), ("msec", 1), ("ms", 1), ("secs", 1000), ("sec", 1000), ("s", 1000)):
        if word.endswith(unit):
            try:
                return int(float(word.removesuffix(unit)) * milliseconds * _TIMES[name])
            except ValueError:
                break
    return ip_words.number(word, f'"{name}" value is invalid\n')


def _table(word: str) -> int:
    return ip_words.table(word, '"table" value is invalid\n') or TABLE_MAIN


_Reader = Callable[[Context, RouteLine, Words], None]


def _set(name: str, convert: Callable[[Context, Words], object]) -> _Reader:
    return lambda context, line, words: setattr(line, name, convert(context, words))


def _refuse(word: str) -> _Reader:
    def read(_context: Context, _line: RouteLine, _words: Words) -> None:
        raise IpError(f'Error: "{word}" is not supported by this emulator.', 2)

    return read


_read_number = _set("metric", lambda _context, words: ip_words.number(words.next(), '"metric" value is invalid\n'))
_read_tos = _set("tos", lambda _context, words: ip_words.dsfield(words.next(), '"tos" value is invalid\n'))
_read_link = _set("link", lambda context, words: ip_words.link(context.netns, words.next()))
_read_protocol = _set(
    "protocol", lambda _context, words: ip_words.route_protocol(words.next(), '"protocol" value is invalid\n')
)
_WORDS: dict[str, _Reader] = {
    "src": _set("source", lambda _context, words: ip_words.inet_address(words.next())),
    "via": _set("gateway", lambda _context, words: _gateway(words)),
    "dev": _read_link,
    "oif": _read_link,
    "tos": _read_tos,
    "dsfield": _read_tos,
    "metric": _read_number,
    "priority": _read_number,
    "preference": _read_number,
    "scope": _set("scope", lambda _context, words: ip_words.scope(words.next())),
    "onlink": _set("onlink", lambda _context, _words: True),
    "proto": _read_protocol,
    "protocol": _read_protocol,
    "table": _set("table", lambda _context, words: _table(words.next())),
    "nhid": _refuse("nhid"),
    "encap": _refuse("encap"),
    "realms": _refuse("realms"),
    "vrf": _refuse("vrf"),
    "expires": _refuse("expires"),
    "ttl-propagate": _refuse("ttl-propagate"),
    "pref": lambda _context, _line, words: words.drop(),
}
