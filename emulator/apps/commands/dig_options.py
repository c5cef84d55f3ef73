"""The command line of dig: global options, then names, each with its own.

Source: bind9 9.18, bin/dig/dig.c.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from msgspec import Struct, field
from msgspec.structs import fields

from emulator.apps.dns.lookup import Lookup, reversed_name
from emulator.apps.dns.text import record_class, record_type
from emulator.errors import WireError
from emulator.packet.address import parse_network
from emulator.packet.digits import is_natural
from emulator.packet.dns_edns import NSID
from emulator.packet.dns_record import ANY, AXFR, NS, PTR

UDP_SIZE = 1232
SUBNET = 8
USAGE = """Usage:  dig [@global-server] [domain] [q-type] [q-class] {q-opt}
            {global-d-opt} host [@local-server] {local-d-opt}
            [ host [@local-server] {local-d-opt} [...]]
"""
HINT = '\nUse "dig -h" (or "dig -h | more") for complete list of options\n'


class DigError(Exception):
    """What is wrong with the command line: what standard error gets, standard output before, and the exit status."""

    def __init__(self, message: str, status: int = 1, warning: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.warning = warning


class Display(Struct):
    """What is printed of an answer."""

    cmd: bool = True
    comments: bool = True
    question: bool = True
    answer: bool = True
    authority: bool = True
    additional: bool = True
    stats: bool = True
    short: bool = False
    identify: bool = False
    qr: bool = False
    multiline: bool = False
    ttlid: bool = True
    class_: bool = True
    ttlunits: bool = False
    showsearch: bool = False
    microseconds: bool = False


class DigQuery(Struct):
    """One name to look up, and how."""

    name: str = ""
    server: str = ""
    search: bool = False
    domain: str | None = None
    ndots: int | None = None
    lookup: Lookup = field(default_factory=Lookup)
    display: Display = field(default_factory=Display)
    with_edns: bool = True
    edns_version: int = 0
    udp_size: int = UDP_SIZE
    dnssec: bool = False
    cookie: bool = True
    options: list[tuple[int, bytes]] = field(default_factory=list)
    typed: bool = False


class CommandLine(Struct):
    """All names, and whether only help or the version is asked for."""

    queries: list[DigQuery]
    wants: str = ""
    greets: bool = True
    """Whether the command line is to be printed: as the options before the first name say."""
    warnings: list[str] = field(default_factory=list)


def read_command_line(words: tuple[str, ...]) -> CommandLine:
    """Read dig's arguments. DigError."""
    return _Reader(list(words)).read()


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self._words = words[::-1]
        self._default = DigQuery()
        self._default.lookup.authentic_data = True
        self._default.lookup.negotiate = True
        self._queries: list[DigQuery] = []
        self._line = CommandLine(self._queries)

    @property
    def _current(self) -> DigQuery:
        return self._queries[-1] if self._queries else self._default

    def read(self) -> CommandLine:
        while self._words and not self._line.wants:
            word = self._words.pop()
            if word.startswith("@"):
                self._current.server = word[1:]
            elif word.startswith("+"):
                self._plus(word[1:])
            elif word.startswith("-"):
                self._dash(word)
            elif not self._type_or_class(word):
                self._add(word)
        if not self._queries:
            self._add(".")
            self._current.lookup.kind = NS
        return self._line

    def _add(self, name: str) -> None:
        query = deepcopy(self._default)
        query.name = name
        if not self._queries:
            self._line.greets = query.display.cmd
        self._queries.append(query)

    def _type_or_class(self, word: str) -> bool:
        kind = record_type(word)
        if kind is not None:
            self._set_type(kind)
            return True
        rclass = record_class(word)
        if rclass is not None:
            self._current.lookup.rclass = rclass
        return rclass is not None

    def _set_type(self, kind: int) -> None:
        query = self._current
        if query.typed:
            self._line.warnings.append(";; Warning, extra type option\n")
        query.typed = True
        query.lookup.kind = kind
        if kind in {ANY, AXFR}:
            query.lookup.tcp = True

    def _dash(self, word: str) -> None:
        letter, value = word[1:2], word[2:]
        if letter in {"h", "v"}:
            self._line.wants = letter
        elif letter == "u":
            self._current.display.microseconds = True
        elif letter in {"4", "r", "m"} and not value:
            pass
        elif letter in {"c", "p", "q", "t", "x"}:
            if not value and not self._words:
                raise DigError(f"Invalid option: {word}\n{USAGE}{HINT}")
            self._valued(letter, value or self._words.pop())
        elif letter in {"6", "b", "f", "k", "y"}:
            raise DigError(f"dig: -{letter} is not there; see docs/programs.md\n")
        else:
            raise DigError(f"Invalid option: {word}\n{USAGE}{HINT}")

    def _valued(self, letter: str, value: str) -> None:
        if letter == "q":
            self._add(value)
        elif letter == "p":
            if not is_natural(value) or int(value) > 65535:
                warning = f"invalid port number '{value}': not a valid number\n"
                raise DigError("dig: Couldn't parse port number\n", 1, warning)
            self._current.lookup.port = int(value)
        elif letter == "t":
            kind = record_type(value)
            if kind is None:
                self._line.warnings.append(f";; Warning, ignoring invalid type {value}\n")
            else:
                self._set_type(kind)
        elif letter == "c":
            rclass = record_class(value)
            if rclass is None:
                self._line.warnings.append(f";; Warning, ignoring invalid class {value}\n")
            else:
                self._current.lookup.rclass = rclass
        else:
            self._add(reversed_name(value) or f"{'.'.join(reversed(value.split('.')))}.in-addr.arpa.")
            if not self._current.typed:
                self._set_type(PTR)

    def _plus(self, text: str) -> None:
        name, equals, value = text.lower().partition("=")
        on = not name.startswith("no") or name == "nocrypto"
        name = name if on else name[2:]
        name = _ALIASES.get(name, name)
        query = self._current
        if name in _SWITCHES:
            _SWITCHES[name](query, on)
        elif name in _VALUES and (value or not on or name in {"bufsize", "edns"}):
            _VALUES[name](query, value, on)
        elif name in _REFUSED:
            raise DigError(f"dig: +{name} is not there; see docs/programs.md\n")
        elif name not in _WITHOUT_EFFECT or equals:
            raise DigError(f"Invalid option: +{text}\n{USAGE}{HINT}")
        if name == "short":
            for each in (self._default, *self._queries):
                each.display.short = on


Switch = Callable[[DigQuery, bool], None]
Value = Callable[[DigQuery, str, bool], None]


def _display(name: str) -> Switch:
    return lambda query, on: setattr(query.display, name, on)


def _lookup(name: str) -> Switch:
    return lambda query, on: setattr(query.lookup, name, on)


def _query(name: str) -> Switch:
    return lambda query, on: setattr(query, name, on)


def _all(query: DigQuery, on: bool) -> None:
    for name in ("cmd", "comments", "question", "answer", "authority", "additional", "stats"):
        setattr(query.display, name, on)


def _short(query: DigQuery, on: bool) -> None:
    _all(query, not on)
    query.display.answer = True
    query.display.short = on


def _nsid(query: DigQuery, on: bool) -> None:
    query.options = [option for option in query.options if option[0] != NSID] + ([(NSID, b"")] if on else [])


def _dnssec(query: DigQuery, on: bool) -> None:
    query.dnssec = on
    query.with_edns = query.with_edns or on


def _number(what: str, value: str, most: int) -> int:
    if not is_natural(value) or int(value) > most:
        raise DigError(f"dig: Couldn't parse {what}\n", 10, f"invalid {what} '{value}': not a valid number\n")
    return int(value)


def _timeout(query: DigQuery, value: str, on: bool) -> None:
    del on
    query.lookup.timeout = float(max(1, _number("timeout", value, 0xFFFF)))


def _tries(query: DigQuery, value: str, on: bool) -> None:
    del on
    query.lookup.tries = max(1, _number("tries", value, 0xFFFFFFFF))


def _retry(query: DigQuery, value: str, on: bool) -> None:
    del on
    query.lookup.tries = 1 + _number("retries", value, 0xFFFFFFFE)


def _bufsize(query: DigQuery, value: str, on: bool) -> None:
    query.with_edns = True
    query.udp_size = max(512, _number("buffer size", value, 0xFFFF)) if on and value else UDP_SIZE


def _edns(query: DigQuery, value: str, on: bool) -> None:
    query.with_edns = on
    query.edns_version = _number("edns", value, 255) if value else 0


def _ndots(query: DigQuery, value: str, on: bool) -> None:
    del on
    query.ndots = _number("ndots", value, 15)


def _domain(query: DigQuery, value: str, on: bool) -> None:
    query.domain = value if on else None
    query.search = on


def _subnet(query: DigQuery, value: str, on: bool) -> None:
    query.options = [option for option in query.options if option[0] != SUBNET]
    if not on:
        return
    try:
        network, length = parse_network(value)
    except WireError:
        raise DigError(f"dig: invalid address {value}\n", 10) from None
    data = b"\x00\x01" + bytes([length, 0]) + network.to_bytes(4, "big")[: (length + 7) // 8]
    query.options.append((SUBNET, data))


def _opcode(query: DigQuery, value: str, on: bool) -> None:
    query.lookup.opcode = _number("opcode", value, 15) if on else 0


def _ednsopt(query: DigQuery, value: str, on: bool) -> None:
    if not on:
        query.options.clear()
        return
    code, _, text = value.partition(":")
    try:
        query.options.append((_number("ednsopt code point", code, 0xFFFF), bytes.fromhex(text)))
    except ValueError:
        raise DigError("dig: ednsopt bad value\n", 10) from None


_SWITCHES: dict[str, Switch] = {
    **{each.name.rstrip("_"): _display(each.name) for each in fields(Display) if each.name != "microseconds"},
    "all": _all,
    "short": _short,
    "tcp": _lookup("tcp"),
    "ignore": _lookup("ignore_truncation"),
    "recurse": _lookup("recursion"),
    "aaflag": _lookup("authoritative"),
    "adflag": _lookup("authentic_data"),
    "cdflag": _lookup("checking_disabled"),
    "fail": _lookup("stop_at_servfail"),
    "ednsnegotiation": _lookup("negotiate"),
    "search": _query("search"),
    "cookie": _query("cookie"),
    "nsid": _nsid,
    "dnssec": _dnssec,
    "showsearch": lambda query, on: (_display("showsearch")(query, on), _query("search")(query, on))[0],
}
_VALUES: dict[str, Value] = {
    "timeout": _timeout,
    "tries": _tries,
    "retry": _retry,
    "bufsize": _bufsize,
    "edns": _edns,
    "ndots": _ndots,
    "domain": _domain,
    "subnet": _subnet,
    "opcode": _opcode,
    "ednsopt": _ednsopt,
}
_ALIASES = {
    "time": "timeout",
    "vc": "tcp",
    "rec": "recurse",
    "rdflag": "recurse",
    "aaonly": "aaflag",
    "defname": "search",
    "cl": "class",
    "ttl": "ttlid",
    "ednsneg": "ednsnegotiation",
    "cmd": "cmd",
    "comm": "comments",
    "multi": "multiline",
    "do": "dnssec",
    "ans": "answer",
    "auth": "authority",
    "add": "additional",
    "ques": "question",
    "stat": "stats",
}
_WITHOUT_EFFECT = frozenset(
    {"besteffort", "badcookie", "crypto", "idnin", "idnout", "keepopen", "onesoa", "rrcomments", "keepalive", "expire"}
)
_REFUSED = frozenset(
    {"trace", "nssearch", "https", "https-get", "http-plain", "tls", "yaml", "dns64prefix", "header-only", "qid"}
)
