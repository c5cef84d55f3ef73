"""dig of BIND 9.18: one question, and the whole answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import trio

from emulator.apps.dns.client import ask, search_names
from emulator.apps.dns.text import data_text, record_type
from emulator.apps.environment import Invocation, ResolveError
from emulator.apps.options import UsageError, port_number
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.address import ipv4_to_int
from emulator.packet.digits import is_natural
from emulator.packet.dns_record import CLASS_IN, OPT, PTR, A, Record, reverse_name, type_name

VERSION = "DiG 9.18.49-1~deb12u3-Debian"
UDP_SIZE = 1232
_NO_SERVER = 9  # exit status
_SWITCHES = frozenset(
    {"short", "tcp", "search", "recurse", "edns", "all", "comments", "question", "answer", "stats", "cmd"}
)


@dataclass(slots=True)
class _Query:
    name: str = "."
    kind: int = A
    server: str = ""
    port: int = 53
    timeout: float = 5.0
    tries: int = 3
    switches: dict[str, bool] = field(default_factory=dict)

    def on(self, name: str, default: bool = True) -> bool:
        """Whether a `+name` is on; `+noall` turns off what is not turned on by itself."""
        if name in {"comments", "question", "answer", "stats", "cmd"}:
            default = self.switches.get("all", default)
        return self.switches.get(name, default)


async def main(invocation: Invocation) -> int:
    """Run `dig [@SERVER] [-x ADDRESS | NAME] [TYPE] [+OPTION]...`. Exit status 0, 1 for usage, 9 without an answer."""
    try:
        query = _read(invocation.argv[1:])
    except UsageError as error:
        invocation.write_error(f"{error}\n\nUsage:  dig [@global-server] [domain] [q-type] [q-class] {{q-opt}}\n")
        return 1
    return await _run(invocation, query)


def _read(words: tuple[str, ...]) -> _Query:
    query = _Query()
    queue = list(words)
    named = False
    while queue:
        word = queue.pop(0)
        if word.startswith("@"):
            query.server = word[1:]
        elif word.startswith("+"):
            _set(query, word[1:].lower())
        elif word.startswith("-"):
            named = _option(query, word, queue) or named
        elif (named and record_type(word) is not None) or (not named and record_type(word) is not None and queue):
            query.kind = record_type(word) or A
        elif word.upper() != "IN":
            query.name, named = word, True
    return query


def _option(query: _Query, word: str, queue: list[str]) -> bool:
    """Read -x, -t, -p, -q, -4. True if the name was given with it."""
    letter, value = word[:2], word[2:]
    if letter == "-4":
        return False
    if letter not in {"-x", "-t", "-p", "-q"}:
        raise UsageError(f"Invalid option: {word}")
    value = value or (queue.pop(0) if queue else "")
    try:
        if letter == "-x":
            query.name, query.kind = reverse_name(ipv4_to_int(value)), PTR
        elif letter == "-p":
            query.port = port_number(value)
    except (WireError, ValueError) as error:
        raise UsageError(f"dig: {error}") from None
    if letter == "-t":
        kind = record_type(value)
        if kind is None:
            raise UsageError(f";; Warning, ignoring invalid type {value}")
        query.kind = kind
    if letter == "-q":
        query.name = value
    return letter in {"-x", "-q"}


def _set(query: _Query, text: str) -> None:
    name, equals, value = text.partition("=")
    if name in {"time", "timeout", "tries", "retry"}:
        if not is_natural(value):
            raise UsageError(f"Couldn't parse {name}: '{value}': not a valid number")
        if name in {"time", "timeout"}:
            query.timeout = max(1.0, float(value))
        else:
            query.tries = max(1, int(value) + (name == "retry"))
        return
    on = not name.startswith("no")
    name = name.removeprefix("no")
    name = {"vc": "tcp", "rec": "recurse", "rd": "recurse", "dns": "edns"}.get(name, name)
    if name not in _SWITCHES or (equals and name != "edns"):
        raise UsageError(f"Invalid option: +{text}")
    query.switches[name] = on


async def _run(invocation: Invocation, query: _Query) -> int:
    network = invocation.network
    try:
        servers = await network.resolve(query.server) if query.server else list(network.nameservers) or ["127.0.0.1"]
    except ResolveError:
        invocation.write_error(f"dig: couldn't get address for '{query.server}': not found\n")
        return 10
    names = search_names(network, query.name) if query.on("search", False) else [query.name.rstrip(".") + "."]
    response, elapsed, server = None, 0.0, servers[0]
    for name in names:
        began = trio.current_time()
        response = await _ask(invocation, query, server, name)
        elapsed = trio.current_time() - began
        if response is None or response.rcode != dns.NXDOMAIN:
            break
    if response is None:
        invocation.write(";; no servers could be reached\n")
        return _NO_SERVER
    if query.on("short", False):
        for record in response.answers:
            invocation.write(f"{data_text(record)}\n")
        return 0
    _print(invocation, query, response, server, elapsed)
    return 0


async def _ask(invocation: Invocation, query: _Query, server: str, name: str) -> dns.Message | None:
    for _ in range(query.tries):
        try:
            with trio.fail_after(query.timeout):
                return await ask(
                    invocation.network,
                    server,
                    name,
                    query.kind,
                    port=query.port,
                    tcp=query.on("tcp", False),
                    recursion=query.on("recurse"),
                    udp_size=UDP_SIZE if query.on("edns") else 0,
                )
        except trio.TooSlowError:
            reason = "timed out"
        except WireError as error:
            invocation.write(f"dig: '{query.name}' is not a legal name ({error})\n")
            return None
        except OSError as error:
            reason = (error.strerror or "failed").lower()
        except trio.BrokenResourceError:
            reason = "end of file"
        invocation.write(f";; communications error to {server}#{query.port}: {reason}\n")
    return None


def _print(invocation: Invocation, query: _Query, response: dns.Message, server: str, elapsed: float) -> None:
    write = invocation.write
    if query.on("cmd"):
        command = " ".join(invocation.argv[1:])
        write(f"\n; <<>> {VERSION} <<>> {command}\n;; global options: +cmd\n")
    comments = query.on("comments")
    if comments:
        write(";; Got answer:\n" + _header(response, query.on("recurse")))
    options = [record for record in response.additionals if record.type == OPT]
    if comments and options:
        write(f";; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags:; udp: {options[0].rclass}\n")
    if query.on("question"):
        write(";; QUESTION SECTION:\n" if comments else "")
        write(
            "".join(
                f"{_columns(f';{question.name}', 'IN', type_name(question.type))}\n" for question in response.questions
            )
        )
        write("\n")
    additionals = tuple(record for record in response.additionals if record.type != OPT)
    for title, records in (
        ("ANSWER", response.answers),
        ("AUTHORITY", response.authorities),
        ("ADDITIONAL", additionals),
    ):
        if records and (query.on("answer") if title == "ANSWER" else query.switches.get("all", True)):
            write(f";; {title} SECTION:\n" if comments else "")
            write("".join(f"{_record(record)}\n" for record in records))
            write("\n" if comments else "")
    if query.on("stats"):
        now = datetime.fromtimestamp(invocation.wall_clock(), UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
        way = "TCP" if query.on("tcp", False) else "UDP"
        write(
            f";; Query time: {int(elapsed * 1000)} msec\n;; SERVER: {server}#{query.port}({server}) ({way})\n"
            f";; WHEN: {now}\n;; MSG SIZE  rcvd: {len(response.build())}\n\n"
        )


def _header(response: dns.Message, recursion: bool) -> str:
    flags = [
        name
        for name, on in (
            ("qr", response.is_response),
            ("aa", response.authoritative),
            ("tc", response.truncated),
            ("rd", response.recursion_desired),
            ("ra", response.recursion_available),
            ("ad", response.authentic_data),
            ("cd", response.checking_disabled),
        )
        if on
    ]
    counts = (
        f"QUERY: {len(response.questions)}, ANSWER: {len(response.answers)}, "
        f"AUTHORITY: {len(response.authorities)}, ADDITIONAL: {len(response.additionals)}"
    )
    status = dns.rcode_name(response.rcode)
    lines = [
        f";; ->>HEADER<<- opcode: QUERY, status: {status}, id: {response.identifier}",
        f";; flags: {' '.join(flags)}; {counts}",
    ]
    if recursion and not response.recursion_available:
        lines.append(";; WARNING: recursion requested but not available")
    return "\n".join(lines) + "\n\n"


def _record(record: Record) -> str:
    rclass = "IN" if record.rclass == CLASS_IN else f"CLASS{record.rclass}"
    return _columns(record.name, str(record.ttl), rclass, type_name(record.type), data_text(record), first=24)


def _columns(*cells: str, first: int = 32) -> str:
    """Set cells at every eighth column from `first` on, with tabs where they do (lib/dns/masterdump.c, indent)."""
    line, column = "", 0
    for index, cell in enumerate(cells):
        if index:
            goal = max(first + 8 * (index - 1), column + 1)
            tabs = goal // 8 - column // 8
            line += "\t" * tabs + " " * (goal % 8 if tabs else goal - column)
            column = goal
        line += cell
        column += len(cell)
    return line
