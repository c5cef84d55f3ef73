"""The plugin `cache`: keeps answers, and denials of names (RFC 2308), as long as they say, within limits.

Source: CoreDNS's plugin/cache, pkg/response/typify.go, pkg/dnsutil/ttl.go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from emulator.apps.dns.corefile import Directive, Line, duration, number
from emulator.apps.dns.request import Handler, Request, closest, full_name
from emulator.packet import dns
from emulator.packet.dns_record import AXFR, IXFR, OPT, SOA, Record, Soa

if TYPE_CHECKING:
    from collections.abc import Iterable

CAPACITY = 9984
LONGEST_TTL = 3600
SHORTEST_TTL = 5
FAILURE_TTL = 5
"""Seconds that SERVFAIL is kept."""


class Kind(Enum):
    """What an answer is, for the cache."""

    SUCCESS = auto()
    DENIAL = auto()
    FAILURE = auto()
    OTHER = auto()


class Limits(Struct, frozen=True):
    """How many answers are kept, and the bounds of how long, in seconds."""

    capacity: int = CAPACITY
    longest: int = LONGEST_TTL
    shortest: int = SHORTEST_TTL
    disabled: tuple[str, ...] = ()
    """Zones of which nothing is kept."""


class CacheSettings(Struct, frozen=True):
    """What the Corefile says."""

    zones: tuple[str, ...]
    success: Limits = Limits()
    denial: Limits = Limits(longest=LONGEST_TTL // 2)
    failure: int = FAILURE_TTL


def cache_settings(directive: Directive, origins: tuple[str, ...]) -> CacheSettings:
    """Read `cache [TTL] [ZONES...] { success ... denial ... servfail ... disable ... }`. CorefileError."""
    words = list(directive.line.arguments)
    success, denial, failure = Limits(), Limits(longest=LONGEST_TTL // 2), FAILURE_TTL
    if words and words[0].isdigit():
        longest = number(directive.line, words.pop(0), 1, 2**31)
        success, denial = replace(success, longest=longest), replace(denial, longest=longest)
    zones = tuple(full_name(word) for word in words) or origins
    for line in directive.block:
        match line.words:
            case ("success", *rest) if 1 <= len(rest) <= 3:
                success = _limits(line, success, rest)
            case ("denial", *rest) if 1 <= len(rest) <= 3:
                denial = _limits(line, denial, rest)
            case ("servfail", text):
                failure = int(duration(line, text))
            case ("disable", "success", *rest):
                success = replace(success, disabled=tuple(map(full_name, rest)) or zones)
            case ("disable", "denial", *rest):
                denial = replace(denial, disabled=tuple(map(full_name, rest)) or zones)
            case ("prefetch", *_) | ("serve_stale", *_) | ("keepttl",):
                raise line.wrong(f"{line.name} of the cache is not there")
            case _:
                raise line.argument_error(line.name)
    return CacheSettings(zones, success, denial, failure)


def _limits(line: Line, limits: Limits, words: list[str]) -> Limits:
    values = [number(line, word, 0, 2**31) for word in words]
    return replace(limits, **dict(zip(("capacity", "longest", "shortest"), values, strict=False)))


class _Item(Struct, frozen=True):
    message: dns.Message
    stored: float
    ttl: int


class Cache:
    """Keeps what the next plugins answer. `clock` gives seconds."""

    def __init__(self, settings: CacheSettings, clock: Callable[[], float], following: Handler) -> None:
        self._settings = settings
        self._clock = clock
        self._next = following
        self._success: OrderedDict[tuple[str, int, bool], _Item] = OrderedDict()
        self._denial: OrderedDict[tuple[str, int, bool], _Item] = OrderedDict()

    async def serve(self, request: Request) -> dns.Message:
        """Answer from the cache, or keep the next plugin's answer."""
        if closest(request.name, self._settings.zones) is None:
            return await self._next.serve(request)
        key = (request.name, request.question.type, request.edns is not None and request.edns.dnssec_ok)
        now = self._clock()
        for items in (self._denial, self._success):
            item = items.get(key)
            if item is not None and (left := item.ttl - int(now - item.stored)) > 0:
                return _answer(request, item.message, left)
        message = await self._next.serve(request)
        kind = classify(message)
        limits = self._settings.denial if kind is Kind.DENIAL else self._settings.success
        if kind is Kind.FAILURE:
            limits = replace(self._settings.denial, longest=self._settings.failure, shortest=self._settings.failure)
        ttl = min(limits.longest, max(limits.shortest, minimal_ttl(message, kind)))
        if kind is not Kind.OTHER and not message.truncated and closest(request.name, limits.disabled) is None:
            items = self._success if kind is Kind.SUCCESS else self._denial
            items[key] = _Item(message, now, ttl)
            items.move_to_end(key)
            if len(items) > limits.capacity:
                items.popitem(last=False)
        return _with_ttl(message, ttl) if kind is not Kind.OTHER else message


def classify(message: dns.Message) -> Kind:
    """Tell whether a message is an answer, a denial with a SOA, a failure, or nothing to keep."""
    if any(question.type in {AXFR, IXFR} for question in message.questions):
        return Kind.OTHER
    if message.answers and message.rcode == dns.NOERROR:
        return Kind.SUCCESS
    denied = any(record.type == SOA for record in message.authorities)
    if denied and message.rcode in {dns.NOERROR, dns.NXDOMAIN}:
        return Kind.DENIAL
    if message.rcode in {dns.SERVFAIL, dns.NOTIMP}:
        return Kind.FAILURE
    return Kind.SUCCESS if message.rcode == dns.NOERROR else Kind.OTHER


def minimal_ttl(message: dns.Message, kind: Kind) -> int:
    """Return how long a message may be kept by its records, seconds."""
    records = (*message.answers, *message.authorities)
    if kind not in {Kind.SUCCESS, Kind.DENIAL} or not (records or _others(message.additionals)):
        return SHORTEST_TTL
    ttl = min((record.ttl for record in (*records, *_others(message.additionals))), default=LONGEST_TTL)
    if kind is Kind.DENIAL:
        ttl = min([ttl, *(record.data.minimum for record in message.authorities if isinstance(record.data, Soa))])
    return min(ttl, LONGEST_TTL)


def _others(records: Iterable[Record]) -> tuple[Record, ...]:
    return tuple(record for record in records if record.type != OPT)


def _with_ttl(message: dns.Message, ttl: int) -> dns.Message:
    """Give all records one time to live: what a client sees does not jump when the answer comes from the cache."""

    def limited(records: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(record if record.type == OPT else replace(record, ttl=ttl) for record in records)

    return replace(
        message,
        answers=limited(message.answers),
        authorities=limited(message.authorities),
        additionals=limited(message.additionals),
    )


def _answer(request: Request, kept: dns.Message, ttl: int) -> dns.Message:
    """Answer with a kept message. It says it is authoritative: some clients throw away what does not."""
    message = replace(
        kept,
        identifier=request.query.identifier,
        questions=request.query.questions,
        authoritative=True,
        recursion_desired=request.query.recursion_desired,
        checking_disabled=request.query.checking_disabled,
        additionals=_others(kept.additionals),
    )
    return _with_ttl(message, ttl)
