"""nslookup of BIND 9.18, without its interactive mode.

Source: bind9 9.18, bin/dig/nslookup.c; the text is compared with the real one's (tests/apps/dns/test_real_tools.py).
"""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from emulator.apps.dns.client import search_names
from emulator.apps.dns.lookup import Asker, Lookup, Outcome, name_error, reversed_name, servers_of
from emulator.apps.dns.text import data_text, record_class, record_type
from emulator.apps.environment import Invocation
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.digits import is_natural
from emulator.packet.dns_record import (
    AAAA,
    CNAME,
    MX,
    NS,
    OPT,
    PTR,
    SRV,
    TXT,
    A,
    Record,
    Soa,
    class_name,
    type_name,
)

_USAGE = """Usage:
   nslookup [-opt ...]             # interactive mode using default server
   nslookup [-opt ...] - server    # interactive mode using 'server'
   nslookup [-opt ...] host        # just look up 'host' using default server
   nslookup [-opt ...] host server # just look up 'host' using 'server'
"""
_WORDS = {
    NS: "nameserver = ",
    CNAME: "canonical name = ",
    PTR: "name = ",
    MX: "mail exchanger = ",
    TXT: "text = ",
    SRV: "service = ",
}
_SWITCHES = frozenset({"vc", "debug", "d2", "search", "recurse", "fail", "all", "defname", "ignoretc", "sil"})


class _Settings(Struct):
    lookup: Lookup = field(default_factory=lambda: Lookup(stop_at_servfail=False, check_recursion=True))
    typed: bool = False
    search: bool = True
    debug: bool = False
    domain: str = ""


async def main(invocation: Invocation) -> int:
    """Run `nslookup [-OPTION]... NAME [SERVER]`. Exit status 0, or 1 where there is no such name or no answer."""
    settings = _Settings()
    words = list(invocation.argv[1:])
    while words and words[0].startswith("-") and len(words[0]) > 1:
        complaint = _option(settings, words.pop(0)[1:])
        if complaint:
            invocation.write(complaint)
    if not 1 <= len(words) <= 2 or words[0] == "-":
        invocation.write_error(_USAGE)
        return 1
    server = words[1] if len(words) == 2 else ""
    servers = await servers_of(invocation, server)
    if servers is None:
        invocation.write_error(f"nslookup: couldn't get address for '{server}': failure\n")
        return 1
    settings.lookup.check_recursion = not server
    return await _Nslookup(invocation, settings, servers).run(words[0])


def _option(settings: _Settings, word: str) -> str:
    """Take an option; return what is to be said of it."""
    name, _, value = word.partition("=")
    lookup = settings.lookup
    if name in {"type", "querytype", "query", "ty", "q"}:
        kind = record_type(value)
        if kind is None:
            return f"unknown query type: {value}\n"
        lookup.kind, settings.typed = kind, True
    elif name in {"class", "cl"}:
        lookup.rclass = record_class(value) or lookup.rclass
    elif name in {"port", "timeout", "retry", "po", "ti", "ret"}:
        if not is_natural(value):
            return f"invalid {name} '{value}': not a valid number\n"
        match name[0]:
            case "p":
                lookup.port = int(value)
            case "t":
                lookup.timeout = float(max(1, int(value)))
            case _:
                lookup.tries = max(1, int(value))
    elif name in {"domain", "do"}:
        settings.domain = value
    elif name.removeprefix("no") in _SWITCHES:
        _switch(settings, name.removeprefix("no"), not name.startswith("no"))
    else:
        return f"*** Invalid option: {name}\n"
    return ""


def _switch(settings: _Settings, name: str, on: bool) -> None:
    match name:
        case "vc":
            settings.lookup.tcp = on
        case "debug" | "d2":
            settings.debug = on
        case "search" | "defname":
            settings.search = on
        case "recurse":
            settings.lookup.recursion = on
        case "fail":
            settings.lookup.stop_at_servfail = on
        case "ignoretc":
            settings.lookup.ignore_truncation = on


class _Nslookup:
    """One run: the lookups of one name."""

    def __init__(self, invocation: Invocation, settings: _Settings, servers: list[str]) -> None:
        self._settings = settings
        self._write = invocation.write
        self._network = invocation.network
        self._error = invocation.write_error
        self._asker = Asker(invocation, servers, self._write)
        self._with_server = True
        self._denied = False

    async def run(self, name: str) -> int:
        settings = self._settings
        reverse = reversed_name(name)
        if reverse and not settings.typed:
            settings.lookup.kind, settings.typed, self._with_server = PTR, True, False
        try:
            outcome = await self._search(self._names(name) if not reverse else [reverse])
        except WireError:
            self._error(f"nslookup: '{name}' is not a legal name ({name_error(name)})\n")
            return 1
        if outcome is None:
            self._write(";; no servers could be reached\n\n")
            return 1
        follow = not settings.typed and outcome.message.rcode == dns.NOERROR
        failed = self._print(outcome, name, quiet=follow)
        if follow:
            target = _target(outcome)
            further = await self._asker.ask(replace(settings.lookup, kind=AAAA), target)
            if further is None:
                self._write(";; no servers could be reached\n\n")
                return 1
            self._with_server = False
            some = bool(outcome.message.answers)
            failed = self._print(further, target.rstrip("."), quiet=some, aliases=False) or failed
        self._write("\n")
        return int(failed or self._denied)

    def _names(self, name: str) -> list[str]:
        if self._settings.domain and not name.endswith("."):
            return [f"{name}.{self._settings.domain.rstrip('.')}.", f"{name}."]
        if not self._settings.search:
            return [name if name.endswith(".") else f"{name}."]
        return search_names(self._network, name)

    async def _search(self, names: list[str]) -> Outcome | None:
        outcome = None
        for index, name in enumerate(names):
            outcome = await self._asker.ask(self._settings.lookup, name)
            if outcome is None or outcome.message.rcode != dns.NXDOMAIN:
                break
            if self._settings.debug and index < len(names) - 1:
                self._denied = self._print(outcome, name, quiet=True)
        return outcome

    def _print(self, outcome: Outcome, name: str, *, quiet: bool, aliases: bool = True) -> bool:
        """Print an answer; with `quiet` its lack is nothing to speak of. True if there is no such name."""
        message = outcome.message
        if self._with_server:
            port = self._settings.lookup.port
            self._write(f"Server:\t\t{outcome.server}\nAddress:\t{outcome.server}#{port}\n\n")
        if self._settings.debug:
            self._write(_debug_text(message))
        asked = outcome.query.questions[0]
        if message.rcode != dns.NOERROR:
            code = dns.rcode_name(message.rcode)
            self._write(f"** server can't find {asked.name.rstrip('.') or '.'}: {code}\n")
            return True
        if message.answers and not message.authoritative and aliases:
            self._write("Non-authoritative answer:\n")
        if not message.answers and not quiet:
            self._write(f"*** Can't find {name}: No answer\n")
        self._write("".join(_line(record) for record in message.answers if aliases or record.type != CNAME))
        return False


def _target(outcome: Outcome) -> str:
    """Return the name that an answer's aliases lead to: AAAA is asked for that one."""
    name = outcome.query.questions[0].name
    for record in outcome.message.answers:
        if record.type == CNAME and record.name.lower() == name.lower() and isinstance(record.data, str):
            name = record.data
    return name


def _line(record: Record) -> str:
    name = record.name.rstrip(".") or "."
    if record.type in {A, AAAA}:
        return f"Name:\t{name}\nAddress: {data_text(record)}\n"
    if isinstance(record.data, Soa):
        return f"{name}\n{_soa_text(record.data)}"
    words = _WORDS.get(record.type)
    if words is None:
        return f"{name}\trdata_{record.type} = {data_text(record)}\n"
    return f"{name}\t{words}{data_text(record)}\n"


def _soa_text(soa: Soa) -> str:
    rows = (
        ("origin", soa.mname.rstrip(".")),
        ("mail addr", soa.rname.rstrip(".")),
        ("serial", soa.serial),
        ("refresh", soa.refresh),
        ("retry", soa.retry),
        ("expire", soa.expire),
        ("minimum", soa.minimum),
    )
    return "".join(f"\t{name} = {value}\n" for name, value in rows)


def _debug_text(message: dns.Message) -> str:
    text = "------------\n    QUESTIONS:\n"
    for question in message.questions:
        kind, rclass = type_name(question.type), class_name(question.rclass)
        text += f"\t{question.name.rstrip('.')}, type = {kind}, class = {rclass}\n"
    others = tuple(record for record in message.additionals if record.type != OPT)
    for title, records in (
        ("ANSWERS", message.answers),
        ("AUTHORITY RECORDS", message.authorities),
        ("ADDITIONAL RECORDS", others),
    ):
        text += f"    {title}:\n" + "".join(_debug_record(record) for record in records)
    return text + "------------\n"


def _debug_record(record: Record) -> str:
    head = f"    ->  {record.name.rstrip('.')}\n"
    if isinstance(record.data, Soa):
        body = _soa_text(record.data)
    elif record.type == A:
        body = f"\tinternet address = {data_text(record)}\n"
    elif record.type == AAAA:
        body = f"\thas AAAA address {data_text(record)}\n"
    else:
        body = f"\t{_WORDS.get(record.type, f'rdata_{record.type} = ')}{data_text(record)}\n"
    return f"{head}{body}\tttl = {record.ttl}\n"
