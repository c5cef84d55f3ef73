"""host of BIND 9.18: names and addresses in sentences.

Source: bind9 9.18, bin/dig/host.c; the text is compared with the real one's (tests/apps/dns/test_real_tools.py).
"""

from __future__ import annotations

from msgspec.structs import replace

from emulator.apps.commands.dig_options import Display
from emulator.apps.commands.dig_output import header_text, question_text, record_text
from emulator.apps.dns.client import search_names
from emulator.apps.dns.lookup import Asker, Lookup, Outcome, name_error, reversed_name, servers_of
from emulator.apps.dns.text import data_text, record_class, record_type
from emulator.apps.environment import Invocation
from emulator.apps.options import Options, UsageError, parse
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.digits import is_natural
from emulator.packet.dns_record import AAAA, ANY, CNAME, MX, NS, OPT, PTR, SOA, SRV, TXT, A, Record, type_name

_USAGE = """Usage: host [-aCdilrTvVw] [-c class] [-N ndots] [-t type] [-W time]
            [-R number] [-m flag] [-p port] hostname [server]
       -a is equivalent to -v -t ANY
       -A is like -a but omits RRSIG, NSEC, NSEC3
       -c specifies query class for non-IN data
       -C compares SOA records on authoritative nameservers
       -d is equivalent to -v
       -l lists all hosts in a domain, using AXFR
       -m set memory debugging flag (trace|record|usage)
       -N changes the number of dots allowed before root lookup is done
       -p specifies the port on the server to query
       -r disables recursive processing
       -R specifies number of retries for UDP packets
       -s a SERVFAIL response should stop query
       -t specifies the query type
       -T enables TCP/IP mode
       -U enables UDP mode
       -v enables verbose output
       -V print version number and exit
       -w specifies to wait forever for a reply
       -W specifies how long to wait for a reply
       -4 use IPv4 query transport only
       -6 use IPv6 query transport only
"""
_SENTENCES = {
    A: "has address",
    AAAA: "has IPv6 address",
    CNAME: "is an alias for",
    MX: "mail is handled by",
    NS: "name server",
    PTR: "domain name pointer",
    SOA: "has SOA record",
    SRV: "has SRV record",
    TXT: "descriptive text",
}
_FOREVER = 1e9


async def main(invocation: Invocation) -> int:
    """Run `host [OPTIONS] NAME [SERVER]`. Exit status 0, or 1 where there is no such name or no answer."""
    try:
        options = parse(invocation.argv[1:], "aACdlrTUvVws46c:N:p:t:W:R:m:")
        given = _read(options)
    except UsageError as error:
        invocation.write_error(f"host: {error}\n" if str(error) else _USAGE)
        return 2 if str(error) else 1
    if "V" in options:
        invocation.write_error("host 9.18.49-1~deb12u3-Debian\n")
        return 0
    if not 1 <= len(options.operands) <= 2 or ("C" in options) or ("l" in options) or ("6" in options):
        for letter in "Cl6":
            if letter in options:
                invocation.write_error(f"host: -{letter} is not there; see docs/programs.md\n")
                return 1
        invocation.write_error(_USAGE)
        return 1
    return await _Host(invocation, options, *given).run()


def _read(options: Options) -> tuple[Lookup, int | None]:
    """Return how to ask, and the ndots of -N. UsageError."""
    lookup = Lookup(tries=2, stop_at_servfail=("s" in options), recursion="r" not in options, tcp=("T" in options))
    if kind := options.get("t"):
        number = record_type(kind)
        if number is None:
            raise UsageError(f"invalid type: {kind}\n")
        lookup.kind = number
    elif ("a" in options) or ("A" in options):
        lookup.kind = ANY
    if rclass := options.get("c"):
        lookup.rclass = record_class(rclass) or 0
        if not lookup.rclass:
            raise UsageError(f"invalid class: {rclass}\n")
    numbers = {letter: _natural(options, letter) for letter in "NpWR"}
    lookup.port = numbers["p"] or lookup.port
    lookup.timeout = _FOREVER if ("w" in options) else float(max(1, numbers["W"] or 5))
    lookup.tries = 1 + (1 if numbers["R"] is None else max(1, numbers["R"]))
    lookup.tcp = lookup.tcp or lookup.kind == ANY
    return lookup, numbers["N"]


def _natural(options: Options, letter: str) -> int | None:
    if letter not in options:
        return None
    text = options.get(letter)
    if not is_natural(text):
        raise UsageError(f"invalid number: {text}")
    return int(text)


class _Host:
    """One run: the lookups of one name."""

    def __init__(self, invocation: Invocation, options: Options, lookup: Lookup, ndots: int | None) -> None:
        self._invocation = invocation
        self._lookup = lookup
        self._ndots = ndots
        self._verbose = ("v" in options) or ("d" in options) or ("a" in options) or ("A" in options)
        self._chosen = "t" in options or ("a" in options) or ("A" in options)
        self._name, *rest = options.operands
        self._server = rest[0] if rest else ""

    async def run(self) -> int:
        write = self._invocation.write
        servers = await servers_of(self._invocation, self._server)
        if servers is None:
            self._invocation.write_error(f"host: couldn't get address for '{self._server}': not found\n")
            return 1
        asker = Asker(self._invocation, servers, self._notice)
        reverse = reversed_name(self._name)
        names = [reverse] if reverse else search_names(self._invocation.network, self._name, self._ndots)
        if reverse and not self._chosen:
            self._lookup.kind = PTR
        try:
            outcome = await self._search(asker, names)
        except WireError:
            self._invocation.write_error(f"host: '{self._name}' is not a legal name ({name_error(self._name)})\n")
            return 1
        if outcome is None:
            write(";; no servers could be reached\n")
            return 1
        if self._server:
            write(f"Using domain server:\nName: {self._server}\n")
            write(f"Address: {outcome.server}#{self._lookup.port}\nAliases: \n\n")
        failed = self._print(outcome, quiet=not self._chosen and not reverse)
        if failed or reverse or self._chosen:
            return int(failed)
        name = _target(outcome)
        for kind in (AAAA, MX):
            further = await self._ask(asker, replace(self._lookup, kind=kind), name)
            name = name if further is None else _target(further)
            if further is None:
                write(";; no servers could be reached\n")
                return 1
            failed = self._print(further, quiet=True, aliases=False) or failed
        return int(failed)

    async def _search(self, asker: Asker, names: list[str]) -> Outcome | None:
        outcome = None
        for name in names:
            outcome = await self._ask(asker, self._lookup, name)
            if outcome is None or outcome.message.rcode != dns.NXDOMAIN:
                break
        return outcome

    async def _ask(self, asker: Asker, lookup: Lookup, name: str) -> Outcome | None:
        if self._verbose:
            self._invocation.write(f'Trying "{name.rstrip(".") or "."}"\n')
        return await asker.ask(lookup, name)

    def _notice(self, text: str) -> None:
        if text.startswith(";; communications") or self._verbose:
            self._invocation.write(text)

    def _print(self, outcome: Outcome, *, quiet: bool, aliases: bool = True) -> bool:
        """Print an answer; with `quiet` its lack is nothing to speak of. True if there is no such name."""
        message, write = outcome.message, self._invocation.write
        asked = message.questions[0] if message.questions else outcome.query.questions[0]
        name = asked.name.rstrip(".") or "."
        if message.rcode != dns.NOERROR:
            shown = self._name if message.rcode == dns.NXDOMAIN and not reversed_name(self._name) else name
            write(f"Host {shown} not found: {message.rcode}({dns.rcode_name(message.rcode)})\n")
            return True
        if self._verbose:
            self._print_message(outcome)
            return False
        if not message.answers and not quiet:
            write(f"{name} has no {type_name(asked.type)} record\n")
        for record in message.answers:
            if aliases or record.type != CNAME:
                write(f"{_sentence(record)}\n")
        return False

    def _print_message(self, outcome: Outcome) -> None:
        message, write, display = outcome.message, self._invocation.write, Display()
        write(f"{header_text(message)}\n")
        write(
            ";; QUESTION SECTION:\n" + "".join(f"{question_text(each, display)}\n" for each in message.questions) + "\n"
        )
        others = tuple(record for record in message.additionals if record.type != OPT)
        for title, records in (
            ("ANSWER", message.answers),
            ("AUTHORITY", message.authorities),
            ("ADDITIONAL", others),
        ):
            if records:
                lines = "".join(f"{record_text(record, display)}\n" for record in records)
                write(f";; {title} SECTION:\n{lines}\n")
        place = f"{outcome.server}#{self._lookup.port}"
        write(f"Received {outcome.size} bytes from {place} in {int(outcome.elapsed * 1000)} ms\n")


def _sentence(record: Record) -> str:
    name = record.name.rstrip(".") or "."
    words = _SENTENCES.get(record.type)
    if words is None:
        return f"{name} has {type_name(record.type)} record {data_text(record)}"
    return f"{name} {words} {data_text(record)}"


def _target(outcome: Outcome) -> str:
    """Return the name that an answer's aliases lead to: further types are asked for that one."""
    name = outcome.query.questions[0].name
    for record in outcome.message.answers:
        if record.type == CNAME and record.name.lower() == name.lower() and isinstance(record.data, str):
            name = record.data
    return name
