"""The plugin `forward`: asks other name servers, one after the other until one answers, and watches those that fail.

Source: CoreDNS's plugin/forward and plugin/pkg/proxy (forward.go, connect.go, health.go).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio
from msgspec import Struct
from msgspec.structs import replace

from emulator.apps.dns.client import exchange
from emulator.apps.dns.corefile import Directive, Line, duration, number
from emulator.apps.dns.request import Handler, Request, closest, full_name, inside
from emulator.apps.environment import Network
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.address import ipv4_to_int
from emulator.packet.digits import is_natural
from emulator.packet.dns_record import NS, Question

PORT = 53
RESOLV_CONF = "/etc/resolv.conf"
TIMEOUT = 5.0
"""Seconds for all tries of one question."""
READ_TIMEOUT = 2.0
CHECK_INTERVAL = 0.5
MOST_SERVERS = 15


class ForwardSettings(Struct, frozen=True):
    """What the Corefile says: which names (`origin` without `but`) go to which servers, and how."""

    origin: str
    servers: tuple[tuple[str, int], ...]
    but: tuple[str, ...] = ()
    force_tcp: bool = False
    prefer_udp: bool = False
    policy: str = "random"
    most_at_once: int = 0
    most_failures: int = 2
    check_interval: float = CHECK_INTERVAL


def forward_settings(directive: Directive, nameservers: Sequence[str]) -> ForwardSettings:
    """Read `forward FROM TO... { ... }`; /etc/resolv.conf stands for `nameservers`. CorefileError."""
    if len(directive.line.arguments) < 2:
        raise directive.line.argument_error()
    origin, *words = directive.line.arguments
    servers: list[tuple[str, int]] = []
    for word in words:
        servers += [(host, PORT) for host in nameservers] if word == RESOLV_CONF else [_server(directive.line, word)]
    if len(servers) > MOST_SERVERS:
        raise directive.line.wrong(f"more than {MOST_SERVERS} TOs configured: {len(servers)}")
    settings = ForwardSettings(full_name(origin), tuple(servers))
    for line in directive.block:
        settings = _property(settings, line)
    return settings


def _property(settings: ForwardSettings, line: Line) -> ForwardSettings:
    match line.words:
        case ("except", *rest) if rest:
            return replace(settings, but=tuple(full_name(word) for word in rest))
        case ("force_tcp",):
            return replace(settings, force_tcp=True)
        case ("prefer_udp",):
            return replace(settings, prefer_udp=True)
        case ("policy", "random" | "round_robin" | "sequential" as policy):
            return replace(settings, policy=policy)
        case ("max_concurrent", text):
            return replace(settings, most_at_once=number(line, text, 0, 2**31))
        case ("max_fails", text):
            return replace(settings, most_failures=number(line, text, 0, 2**31))
        case ("health_check", text, *_):
            return replace(settings, check_interval=duration(line, text))
        case ("expire", text):
            duration(line, text)  # connections to servers are not kept
            return settings
    raise line.argument_error(line.name)


def _server(line: Line, word: str) -> tuple[str, int]:
    host, colon, port = word.removeprefix("dns://").partition(":")
    try:
        ipv4_to_int(host)
    except WireError:
        raise line.wrong(f"not an IP address or file: {word!r}") from None
    if colon and (not is_natural(port) or not 0 < int(port) < 65536):
        raise line.wrong(f"invalid port: {word!r}")
    return host, int(port) if colon else PORT


class _Upstream:
    """One server that is asked; `failures` counts health checks in a row that failed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.failures = 0
        self.checked = False  # a task looks after it


class Forward:
    """Hands questions on. `watch` starts a task that may outlive the question."""

    def __init__(
        self, settings: ForwardSettings, network: Network, watch: Callable[..., None], following: Handler
    ) -> None:
        self._settings = settings
        self._network = network
        self._watch = watch
        self._next = following
        self._upstreams = [_Upstream(address) for address in settings.servers]
        self._turn = 0
        self._running = 0

    async def serve(self, request: Request) -> dns.Message:
        """Answer with what the first server says that can be reached; SERVFAIL after five seconds."""
        settings = self._settings
        if not inside(request.name, settings.origin) or closest(request.name, settings.but) is not None:
            return await self._next.serve(request)
        if settings.most_at_once and self._running >= settings.most_at_once:
            return request.error(dns.REFUSED)
        self._running += 1
        try:
            with trio.move_on_after(TIMEOUT):
                return await self._ask_all(request)
        finally:
            self._running -= 1
        return request.error(dns.SERVFAIL)

    async def _ask_all(self, request: Request) -> dns.Message:
        while self._upstreams:
            order = self._order()
            usable = [each for each in order if not self._is_down(each)] or order[:1]
            for upstream in usable:
                try:
                    with trio.fail_after(READ_TIMEOUT):
                        return await self._ask(request, upstream)
                except (OSError, trio.TooSlowError, trio.BrokenResourceError):
                    self._begin_checks(upstream)
            await trio.sleep(0.01)  # a closed port answers at once: no need to hurry
        return request.error(dns.SERVFAIL)

    async def _ask(self, request: Request, upstream: _Upstream) -> dns.Message:
        over_tcp = self._settings.force_tcp or (request.over_tcp and not self._settings.prefer_udp)
        query = replace(request.query, identifier=self._draw(16))
        response = await exchange(self._network, upstream.address, query, tcp=over_tcp)
        if response.truncated and self._settings.prefer_udp and not over_tcp:
            response = await exchange(self._network, upstream.address, query, tcp=True)
        asked = [(question.name.lower(), question.type) for question in response.questions]
        if asked != [(request.name, request.question.type)]:
            return request.error(dns.FORMERR)
        return replace(response, identifier=request.query.identifier)

    def _order(self) -> list[_Upstream]:
        order = list(self._upstreams)
        if self._settings.policy == "random":
            for index in range(len(order) - 1, 0, -1):
                other = self._draw(16) % (index + 1)
                order[index], order[other] = order[other], order[index]
        elif self._settings.policy == "round_robin":
            self._turn = (self._turn + 1) % len(order)
            order = order[self._turn :] + order[: self._turn]
        return order

    def _is_down(self, upstream: _Upstream) -> bool:
        most = self._settings.most_failures
        return most > 0 and upstream.failures > most

    def _begin_checks(self, upstream: _Upstream) -> None:
        if self._settings.most_failures and not upstream.checked:
            upstream.checked = True
            self._watch(self._check, upstream)

    async def _check(self, upstream: _Upstream) -> None:
        """Ask a server that failed for the root's name servers until it says something, whatever it says."""
        while True:
            query = dns.Message(self._draw(16), (Question(".", NS),), recursion_desired=True)
            try:
                with trio.fail_after(1):
                    await exchange(self._network, upstream.address, query)
                break
            except (OSError, trio.TooSlowError, trio.BrokenResourceError):
                upstream.failures += 1
            await trio.sleep(self._settings.check_interval)
        upstream.failures = 0
        upstream.checked = False

    def _draw(self, bits: int) -> int:
        return self._network.netns.kernel.random.getrandbits(bits)
