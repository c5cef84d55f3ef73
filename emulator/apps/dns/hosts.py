"""The plugin `hosts`: names and addresses as a hosts file has them, written into the Corefile or read from a file.

Source: CoreDNS's plugin/hosts.
"""

from __future__ import annotations

from msgspec import Struct

from emulator.apps.dns.corefile import Directive, number
from emulator.apps.dns.request import Fallthrough, Handler, Request, closest, full_name
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.address import ipv4_to_int, ipv6_to_int
from emulator.packet.dns_record import AAAA, PTR, A, Record, reversed_address

TTL = 3600
FILE = "/etc/hosts"


class HostsSettings(Struct, frozen=True):
    """What the Corefile says; `lines` are those of a hosts file."""

    path: str
    zones: tuple[str, ...]
    lines: tuple[str, ...] = ()
    ttl: int = TTL
    fallthrough: Fallthrough = Fallthrough()
    reverse: bool = True


def hosts_settings(directive: Directive, origins: tuple[str, ...]) -> HostsSettings:
    """Read `hosts [FILE [ZONES...]] { ADDRESS NAME... | ttl | no_reverse | fallthrough }`. CorefileError."""
    path, *words = directive.line.arguments or (FILE,)
    zones = tuple(full_name(word) for word in words) or origins
    lines, ttl, fallthrough, reverse = [], TTL, Fallthrough(), True
    for line in directive.block:
        match line.words:
            case ("fallthrough", *rest):
                fallthrough = Fallthrough(tuple(full_name(word) for word in rest) or zones)
            case ("ttl", text):
                ttl = number(line, text, 1, 65535)
            case ("no_reverse",):
                reverse = False
            case ("reload", _):
                pass
            case (first, _, *_) if first[0].isdigit() or ":" in first:
                lines.append(" ".join(line.words))
            case _:
                raise line.argument_error(line.name)
    return HostsSettings(path, zones, tuple(lines), ttl, fallthrough, reverse)


class Hosts:
    """Answers A, AAAA and PTR questions; `text` is that of the hosts file."""

    def __init__(self, settings: HostsSettings, text: str, following: Handler) -> None:
        self._settings = settings
        self._next = following
        self._addresses: dict[str, list[tuple[int, int]]] = {}
        self._names: dict[tuple[int, int], list[str]] = {}
        for line in (*text.splitlines(), *settings.lines):
            self._add(line.partition("#")[0].split())

    def _add(self, words: list[str]) -> None:
        if len(words) < 2:
            return
        try:
            address = (6, ipv6_to_int(words[0])) if ":" in words[0] else (4, ipv4_to_int(words[0]))
        except WireError:
            return  # as CoreDNS: a line that is none is passed over
        for word in words[1:]:
            name = full_name(word)
            if closest(name, self._settings.zones) is None:
                continue
            self._addresses.setdefault(name, []).append(address)
            if self._settings.reverse:
                self._names.setdefault(address, []).append(name)

    async def serve(self, request: Request) -> dns.Message:
        """Answer, or hand on; a name that is here without the type is NODATA."""
        name, spelled, kind = request.name, request.question.name, request.question.type
        answers: list[Record] = []
        ttl = self._settings.ttl
        if kind == PTR:
            address = reversed_address(name)
            names = self._names.get(address, []) if address else []
            if not names:
                return await self._next.serve(request)
            answers = [Record(spelled, PTR, ttl, found) for found in names]
        elif closest(name, self._settings.zones) is None:
            return await self._next.serve(request)
        family = {A: 4, AAAA: 6}.get(kind)
        answers += [Record(spelled, kind, ttl, value) for of, value in self._addresses.get(name, ()) if of == family]
        if not answers and name not in self._addresses:
            if self._settings.fallthrough.takes(name):
                return await self._next.serve(request)
            return request.error(dns.SERVFAIL)  # there is no SOA that could go with NXDOMAIN
        return request.reply(answers)
