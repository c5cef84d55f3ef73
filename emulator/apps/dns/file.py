"""The plugin `file`: answers from a zone file, with aliases, delegations, wildcards and empty names.

Source: CoreDNS's plugin/file (lookup.go); RFC 1034 section 4.3.2, RFC 4592 (wildcards), RFC 8020.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from emulator.apps.dns.corefile import Directive
from emulator.apps.dns.request import Fallthrough, Handler, Request, closest, full_name, inside
from emulator.packet import dns
from emulator.packet.dns_record import AAAA, AXFR, CNAME, IXFR, NS, SOA, A, Record, Srv

MOST_ALIASES = 8

Lookup = Callable[[Request], Awaitable[dns.Message]]


class FileSettings(Struct, frozen=True):
    """What the Corefile says: the file, and the zones that it is for."""

    path: str
    zones: tuple[str, ...]
    fallthrough: Fallthrough = Fallthrough()


def file_settings(directive: Directive, origins: tuple[str, ...]) -> FileSettings:
    """Read `file PATH [ZONES...] { fallthrough [ZONES...] | reload TIME }`. CorefileError."""
    if not directive.line.arguments:
        raise directive.line.argument_error()
    path, *words = directive.line.arguments
    zones = tuple(full_name(word) for word in words) or origins
    fallthrough = Fallthrough()
    for line in directive.block:
        match line.words:
            case ("fallthrough", *rest):
                fallthrough = Fallthrough(tuple(full_name(word) for word in rest) or zones)
            case ("reload", _) | ("upstream", *_):
                pass
            case _:
                raise line.argument_error(line.name)
    return FileSettings(path, zones, fallthrough)


class ZoneData:
    """The records of one zone by their names in lower case."""

    def __init__(self, origin: str, records: Iterable[Record]) -> None:
        self.origin = origin
        self._names: dict[str, list[Record]] = {}
        self._above: set[str] = {origin}
        for record in records:
            name = record.name.lower()
            if not inside(name, origin):
                continue
            self._names.setdefault(name, []).append(record)
            while name != origin and name not in self._above:
                name = name.partition(".")[2] or "."
                self._above.add(name)

    @property
    def authority(self) -> tuple[Record, ...]:
        """The SOA record, if the file has one."""
        return tuple(record for record in self._names.get(self.origin, ()) if record.type == SOA)[:1]

    def records(self, name: str) -> list[Record] | None:
        """Return all records of a name, of the wildcard that stands for it too; none of a name that is only above.

        None: there is no such name.
        """
        found = self._names.get(name)
        if found is not None:
            return found
        if name in self._above:
            return []
        encloser = name
        while encloser not in self._above and encloser not in self._names:
            encloser = encloser.partition(".")[2] or "."
        wildcard = self._names.get(f"*.{encloser}" if encloser != "." else "*.")
        return None if wildcard is None else [replace(record, name=name) for record in wildcard]

    def delegation(self, name: str) -> list[Record]:
        """Return the NS records of the highest zone cut above a name, or none."""
        labels = name.removesuffix(self.origin).rstrip(".").split(".") if name != self.origin else []
        above = self.origin
        for label in reversed(labels):
            above = f"{label}.{above}" if above != "." else f"{label}."
            cut = [record for record in self._names.get(above, ()) if record.type == NS]
            if cut:
                return cut
        return []

    def glue(self, records: Iterable[Record]) -> list[Record]:
        """Return the addresses that the zone has for the targets of NS and SRV records."""
        targets = [record.data.target if isinstance(record.data, Srv) else record.data for record in records]
        return [
            record
            for target in targets
            if isinstance(target, str)
            for record in self._names.get(target.lower(), ())
            if record.type in {A, AAAA}
        ]


class File:
    """Answers for the zones of one file."""

    def __init__(self, settings: FileSettings, zones: Iterable[ZoneData], lookup: Lookup, following: Handler) -> None:
        self._settings = settings
        self._zones = {zone.origin: zone for zone in zones}
        self._lookup = lookup
        self._next = following

    async def serve(self, request: Request) -> dns.Message:
        """Answer for names of these zones."""
        origin = closest(request.name, tuple(self._zones))
        if origin is None:
            return await self._next.serve(request)
        if request.question.type in {AXFR, IXFR}:
            return request.error(dns.REFUSED)
        zone = self._zones[origin]
        cut = zone.delegation(request.name)
        if cut and not (request.name == cut[0].name.lower() == origin):
            referral = request.reply((), zone.glue(cut), cut)
            return replace(referral, authoritative=False)
        return await self._answer(request, zone)

    async def _answer(self, request: Request, zone: ZoneData) -> dns.Message:
        kind = request.question.type
        answers: list[Record] = []
        name = request.name
        for _ in range(MOST_ALIASES):
            records = zone.records(name)
            if records is None:
                if not answers and self._settings.fallthrough.takes(name):
                    return await self._next.serve(request)
                return request.reply(answers, (), zone.authority, dns.NXDOMAIN)
            found = [record for record in records if record.type == kind]
            spelled = request.question.name if name == request.name else name
            if found:
                answers += [replace(record, name=spelled) for record in found]
                return request.reply(answers, zone.glue(found))
            aliases = [record for record in records if record.type == CNAME]
            if not aliases or not isinstance(aliases[0].data, str):
                return request.reply(answers, (), () if answers else zone.authority)
            answers.append(replace(aliases[0], name=spelled))
            name = aliases[0].data.lower()
            if not inside(name, zone.origin):
                message = await self._lookup(request.asking(aliases[0].data, kind))
                return request.reply([*answers, *message.answers], rcode=message.rcode)
        return request.reply(answers)
