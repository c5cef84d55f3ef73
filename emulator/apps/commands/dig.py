"""dig of BIND 9.18: what servers answer, whole.

Source: bind9 9.18, bin/dig/dig.c; the text is compared with the real one's (tests/apps/dns/test_real_tools.py).
"""

from __future__ import annotations

from datetime import UTC, datetime

from emulator.apps.commands.dig_help import HELP
from emulator.apps.commands.dig_options import SUBNET, DigError, DigQuery, read_command_line
from emulator.apps.commands.dig_output import message_text
from emulator.apps.dns.client import search_names
from emulator.apps.dns.lookup import Asker, Outcome, name_error, servers_of
from emulator.apps.dns.text import data_text
from emulator.apps.environment import Invocation
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.dns_edns import COOKIE, NSID, Edns
from emulator.packet.dns_record import AXFR

VERSION = "DiG 9.18.49-1~deb12u3-Debian"
_NO_SERVER = 9  # exit status
_FATAL = 10
_ORDER = {NSID: 0, SUBNET: 1, COOKIE: 2}
"""How options are sorted in a query; others come after."""


async def main(invocation: Invocation) -> int:
    """Run dig. Exit status 0, 1 for usage, 9 without an answer, 10 for a name that is none."""
    try:
        line = read_command_line(invocation.argv[1:])
    except DigError as error:
        invocation.write(error.warning)
        invocation.write_error(str(error))
        return error.status
    if line.wants:
        (invocation.write if line.wants == "h" else invocation.write_error)(
            HELP if line.wants == "h" else f"{VERSION}\n"
        )
        return 0
    for warning in line.warnings:
        invocation.write_error(warning)
    cookie = invocation.network.netns.kernel.random.getrandbits(64).to_bytes(8, "big")
    status = 0
    for index, query in enumerate(line.queries):
        status = max(status, await _Dig(invocation, query, cookie, greets=index == 0 and line.greets).run())
    return status


class _Dig:
    """One name's lookup."""

    def __init__(self, invocation: Invocation, query: DigQuery, cookie: bytes, *, greets: bool) -> None:
        self._invocation = invocation
        self._query = query
        self._greets = greets
        self._servers: list[str] = []
        if query.with_edns:
            options = [*query.options, *([(COOKIE, cookie)] if query.cookie else [])]
            options.sort(key=lambda option: _ORDER.get(option[0], len(_ORDER)))
            query.lookup.edns = Edns(query.udp_size, 0, query.edns_version, query.dnssec, tuple(options))

    async def run(self) -> int:
        query, write = self._query, self._invocation.write
        servers = await servers_of(self._invocation, query.server)
        if servers is None:
            self._invocation.write_error(f"dig: couldn't get address for '{query.server}': failure\n")
            return 1
        self._servers = servers
        display = query.display
        asker = Asker(self._invocation, servers, self._notice, self._sending)
        try:
            outcome = await self._search(asker)
        except WireError:
            self._invocation.write_error(f"dig: '{query.name}' is not a legal name ({name_error(query.name)})\n")
            return _FATAL
        if outcome is None:
            write(self._greeting() + ";; no servers could be reached\n")
            return _NO_SERVER
        if display.cmd and not display.qr:
            write(self._greeting())
        if query.lookup.kind == AXFR and outcome.message.rcode != dns.NOERROR:
            write("; Transfer failed.\n")
            return 0
        self._print(outcome)
        return 0

    async def _search(self, asker: Asker) -> Outcome | None:
        outcome = None
        names = self._names()
        for index, name in enumerate(names):
            outcome = await asker.ask(self._query.lookup, name)
            if outcome is None or outcome.message.rcode != dns.NXDOMAIN or index == len(names) - 1:
                return outcome
            if self._query.display.showsearch:
                self._print(outcome)
        return outcome

    def _names(self) -> list[str]:
        query, network = self._query, self._invocation.network
        if query.domain is not None and not query.name.endswith("."):
            return [f"{query.name}.{query.domain.rstrip('.')}.", f"{query.name}."]
        if not query.search:
            return [query.name if query.name.endswith(".") else f"{query.name}."]
        return search_names(network, query.name, query.ndots)

    def _greeting(self) -> str:
        if not self._greets:
            return ""
        self._greets = False
        words = " ".join(self._invocation.argv[1:])
        count = len(self._servers)
        found = f"; ({count} server{'' if count == 1 else 's'} found)\n" if self._query.server else ""
        return f"\n; <<>> {VERSION} <<>>{' ' if words else ''}{words}\n{found};; global options: +cmd\n"

    def _notice(self, text: str) -> None:
        if self._query.display.comments or text.startswith(";; communications"):
            self._invocation.write(text)

    def _sending(self, sent: dns.Message) -> None:
        display = self._query.display
        if not display.qr:
            return
        if display.cmd:
            self._invocation.write(self._greeting())
        if display.comments:
            self._invocation.write(";; Sending:\n")
        text = message_text(sent, display)
        self._invocation.write(text + (f";; QUERY SIZE: {len(sent.build())}\n\n" if display.stats else ""))

    def _print(self, outcome: Outcome) -> None:
        display, write = self._query.display, self._invocation.write
        if display.short:
            self._print_short(outcome)
            return
        if display.comments:
            write(";; Got answer:\n")
        write(message_text(outcome.message, display, outcome.query))
        milliseconds = int(outcome.elapsed * 1000)
        place = f"{outcome.server}#{self._query.lookup.port}({outcome.server})"
        if display.stats:
            taken = f"{int(outcome.elapsed * 1e6)} usec" if display.microseconds else f"{milliseconds} msec"
            now = datetime.fromtimestamp(self._invocation.wall_clock(), UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
            write(
                f";; Query time: {taken}\n;; SERVER: {place} ({'TCP' if outcome.over_tcp else 'UDP'})\n"
                f";; WHEN: {now}\n;; MSG SIZE  rcvd: {outcome.size}\n\n"
            )
        elif display.identify:
            write(f";; Received {outcome.size} bytes from {place} in {milliseconds} ms\n\n")

    def _print_short(self, outcome: Outcome) -> None:
        tail = ""
        if self._query.display.identify:
            tail = f" from server {outcome.server} in {int(outcome.elapsed * 1000)} ms."
        for record in outcome.message.answers:
            self._invocation.write(f"{data_text(record)}{tail}\n")
