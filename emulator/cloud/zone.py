"""The names of the emulated internet, as its resolver has them: those of the hosts, and no others.

Source: RFC 1034 section 4.3.2, RFC 2308 (negative answers carry the SOA of the zone that denies them).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from emulator.api.cloud_section import INTERNET
from emulator.cloud.plan import Host
from emulator.packet.dns_record import ANY, PTR, SOA, A, Record, Soa, reverse_name

TTL = 300
"""Seconds that an answer may be kept."""
NEGATIVE_TTL = 60
_ROOT = Record(
    ".", SOA, NEGATIVE_TTL, Soa("a.root-servers.net.", "nstld.verisign-grs.com.", 1, 1800, 900, 604800, NEGATIVE_TTL)
)


class Answer(Struct, frozen=True):
    """Records of a name; `exists` tells NODATA from NXDOMAIN; `authority` goes with an answer without records."""

    records: tuple[Record, ...]
    exists: bool
    authority: tuple[Record, ...] = ()


class InternetZone:
    """All names that there are outside: each question has an answer here, since nobody else could be asked."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self._names: dict[str, list[Record]] = {}
        for host in hosts:
            if host.network == INTERNET:
                name, address = f"{host.name}.", int(host.address)
                self._names.setdefault(name, []).append(Record(name, A, TTL, address))
                reverse = reverse_name(address)
                self._names.setdefault(reverse, []).append(Record(reverse, PTR, TTL, name))
        self._zones = {".".join(name.split(".")[-3:]) for name in self._names if not name.endswith(".arpa.")}
        for zone in self._zones:
            self._names.setdefault(zone, []).append(_authority(zone))
        self._above = {above for name in self._names for above in _names_above(name)}

    def lookup(self, name: str, record_type: int) -> Answer:
        """Look up a full name; letters' case does not matter."""
        wanted = name.lower().rstrip(".") + "."
        records = self._names.get(wanted, [])
        found = tuple(record for record in records if record_type in (record.type, ANY))
        if found:
            return Answer(found, exists=True)
        return Answer((), exists=bool(records) or wanted in self._above, authority=(self._denies(wanted),))

    def _denies(self, name: str) -> Record:
        """Return the SOA of the closest zone."""
        zone = ".".join(name.split(".")[-3:])
        return _authority(zone) if zone in self._zones else _ROOT


def _authority(zone: str) -> Record:
    soa = Soa(f"ns.{zone}", f"hostmaster.{zone}", 1, 7200, 3600, 1209600, NEGATIVE_TTL)
    return Record(zone, SOA, TTL, soa)


def _names_above(name: str) -> Iterable[str]:
    """Yield the names that exist because others are below them (RFC 8020)."""
    while name:
        name = name.partition(".")[2]
        yield name or "."
