"""The plugin `kubernetes`: makes records of each type from what a name of the cluster stands for.

Source: CoreDNS's plugin/kubernetes (handler.go, setup.go) and plugin/backend_lookup.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from emulator.apps.directory import ServiceDirectory
from emulator.apps.dns.corefile import Directive, number
from emulator.apps.dns.records import NO_PORT, ClusterRecords, Entry, NoSuchNameError
from emulator.apps.dns.request import Fallthrough, Handler, Request, closest, full_name, inside
from emulator.packet import dns
from emulator.packet.dns_record import (
    AAAA,
    AXFR,
    CNAME,
    IXFR,
    NS,
    PTR,
    SOA,
    SRV,
    TXT,
    A,
    Record,
    Soa,
    Srv,
    reversed_address,
)

DEFAULT_TTL = 5
SCHEMA_VERSION = b"1.1.0"
SCHEMA_TTL = 28800
MOST_ALIASES = 8
"""CNAMEs followed for one answer."""

Lookup = Callable[[Request], Awaitable[dns.Message]]
"""Asks the whole server anew, for names that an ExternalName leads to."""
_FAMILY_TYPES = {4: A, 6: AAAA}
_WITHOUT_EFFECT = frozenset({"endpoint", "tls", "kubeconfig", "upstream"})


class KubernetesSettings(Struct, frozen=True):
    """What the Corefile says: `zones` of which the first that is not a reverse one names things; `ttl` in seconds."""

    zones: tuple[str, ...]
    pods: bool = False
    ttl: int = DEFAULT_TTL
    fallthrough: Fallthrough = Fallthrough()
    namespaces: frozenset[str] = frozenset()

    @property
    def primary(self) -> str:
        """The zone that PTR records name."""
        return next((zone for zone in self.zones if not zone.endswith(".arpa.")), self.zones[0])


def kubernetes_settings(directive: Directive, origins: tuple[str, ...]) -> KubernetesSettings:
    """Read `kubernetes [ZONES...] { ... }`. CorefileError."""
    zones = tuple(full_name(word) for word in directive.line.arguments) or origins
    pods, ttl, fallthrough, namespaces = False, DEFAULT_TTL, Fallthrough(), frozenset[str]()
    for line in directive.block:
        match line.words:
            case ("pods", "disabled" | "insecure" as mode):
                pods = mode == "insecure"
            case ("pods", "verified"):
                raise line.wrong("pods verified is not there: nodes know their own pods only; pods insecure is")
            case ("ttl", text):
                ttl = number(line, text, 0, 3600)
            case ("fallthrough", *words):
                fallthrough = Fallthrough(tuple(full_name(word) for word in words) or zones)
            case ("namespaces", *words) if words:
                namespaces = frozenset(words)
            case (name, *_) if name not in _WITHOUT_EFFECT:
                raise line.argument_error(name)
    return KubernetesSettings(zones, pods, ttl, fallthrough, namespaces)


class _Found(Struct, frozen=True):
    """The records of an answer, and whether what an alias leads to was cut short."""

    answers: list[Record]
    additionals: list[Record]
    truncated: bool = False


class Kubernetes:
    """Answers for the cluster's zones. `own` is the server's own address."""

    def __init__(
        self, settings: KubernetesSettings, directory: ServiceDirectory, own: str, lookup: Lookup, following: Handler
    ) -> None:
        self._settings = settings
        self._records = ClusterRecords(directory, settings.namespaces, pods=settings.pods)
        self._own = own
        self._lookup = lookup
        self._next = following

    async def serve(self, request: Request) -> dns.Message:
        """Answer for names of these zones."""
        zone = closest(request.name, self._settings.zones)
        if zone is None:
            return await self._next.serve(request)
        spelled = request.question.name[len(request.name) - len(zone) :] or "."
        if request.question.type in {AXFR, IXFR}:
            return request.error(dns.REFUSED)
        try:
            found = await self._find(request, spelled)
        except NoSuchNameError:
            if self._settings.fallthrough.takes(request.name):
                return await self._next.serve(request)
            rcode = dns.NXDOMAIN if self._records.directory.synced else dns.SERVFAIL
            return request.reply(authorities=(self._authority(spelled),), rcode=rcode)
        if not found.answers:
            return request.reply(authorities=(self._authority(spelled),))
        message = request.reply(found.answers, found.additionals)
        return message.as_truncated() if found.truncated else message

    async def _find(self, request: Request, zone: str) -> _Found:
        """Find the records of a type. NoSuchNameError."""
        name, kind = request.name, request.question.type
        at_top = name == zone.lower()
        if kind in {A, AAAA}:
            return await self._addresses(request, zone, [])
        if kind == SRV:
            return self._services(request, self._entries(name, zone))
        if kind == PTR:
            return _Found(self._pointers(request, zone), [])
        if kind == TXT:
            text = Record(request.question.name, TXT, SCHEMA_TTL, (SCHEMA_VERSION,))
            return _Found([text] if name == f"dns-version.{zone.lower()}" else [], [])
        if kind == SOA:
            return _Found([self._authority(zone)] if at_top else [], [])
        if kind == NS and at_top:
            return self._name_servers(request, zone)
        entries = self._entries(name, zone)
        if kind == CNAME and entries and not entries[0].family:
            return _Found([Record(request.question.name, CNAME, self._settings.ttl, entries[0].host)], [])
        return _Found([], [])  # the name is there, or its entries would not be

    def _entries(self, name: str, zone: str) -> list[Entry]:
        if name == f"ns.dns.{zone.lower()}":
            return self._records.name_servers(self._own, zone)
        return self._records.entries(name, zone)

    async def _addresses(self, request: Request, zone: str, aliases: list[Record]) -> _Found:
        """Find A or AAAA records, through the aliases of ExternalName Services."""
        wanted, name = request.question.type, request.question.name
        ttl = self._settings.ttl
        found = _Found([], [])
        for entry in self._entries(request.name, zone):
            if entry.family:
                if _FAMILY_TYPES[entry.family] == wanted:
                    found.answers.append(Record(name, wanted, ttl, entry.address))
                continue
            alias = Record(name, CNAME, ttl, entry.host)
            if entry.host.lower() == request.name or len(aliases) >= MOST_ALIASES or alias in aliases:
                continue
            found = await self._follow(request.asking(entry.host, wanted), zone, [*aliases, alias])
        return _Found(list(dict.fromkeys(found.answers)), [], found.truncated)

    async def _follow(self, request: Request, zone: str, aliases: list[Record]) -> _Found:
        """Return the last alias with what it leads to: in this zone only if that is something, else as others say."""
        if inside(request.name, zone.lower()):
            try:
                found = await self._addresses(request, zone, aliases)
            except NoSuchNameError:
                return _Found([], [])
            return _Found([aliases[-1], *found.answers] if found.answers else [], [], found.truncated)
        message = await self._lookup(request)
        return _Found([aliases[-1], *message.answers], [], message.truncated)

    def _services(self, request: Request, entries: list[Entry]) -> _Found:
        """Make SRV records that share the weight of 100, with the addresses of their targets."""
        ttl, weight = self._settings.ttl, max(1, 100 // max(1, len(entries)))
        answers, additionals = [], []
        for entry in entries:
            if entry.port == NO_PORT or not entry.family:  # no SRV of ExternalNames in CoreDNS either
                continue
            answers.append(Record(request.question.name, SRV, ttl, Srv(0, weight, entry.port, entry.owner)))
            additionals.append(Record(entry.owner, _FAMILY_TYPES[entry.family], ttl, entry.address))
        return _Found(list(dict.fromkeys(answers)), list(dict.fromkeys(additionals)))

    def _pointers(self, request: Request, zone: str) -> list[Record]:
        address = reversed_address(request.name)
        if address is None:
            self._entries(request.name, zone)
            return []
        names = self._records.names_of(*address, self._settings.primary)
        if not names:
            raise NoSuchNameError
        return [Record(request.question.name, PTR, self._settings.ttl, name) for name in names]

    def _name_servers(self, request: Request, zone: str) -> _Found:
        entries = self._records.name_servers(self._own, zone)
        ttl = self._settings.ttl
        answers = [Record(request.question.name, NS, ttl, entry.owner) for entry in entries]
        additionals = [Record(entry.owner, _FAMILY_TYPES[entry.family], ttl, entry.address) for entry in entries]
        return _Found(list(dict.fromkeys(answers)), additionals)

    def _authority(self, zone: str) -> Record:
        """Return the SOA record; its serial is when the directory last changed."""
        ttl = self._settings.ttl
        dot = "" if zone == "." else zone
        serial = self._records.directory.serial
        soa = Soa(f"ns.dns.{dot}", f"hostmaster.{dot}", serial, 7200, 1800, 86400, ttl)
        return Record(zone, SOA, min(ttl, 300), soa)
