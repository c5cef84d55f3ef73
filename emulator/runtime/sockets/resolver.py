"""How programs look names up: hosts file, search list, DNS to the pod's name servers, as glibc's resolver does.

Source: glibc 2.36, resolv/res_query.c (search list), res_send.c (servers, times, TCP), res_init.c (options); nss_dns
asks for A and AAAA from one socket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import trio
from msgspec import Struct
from msgspec.structs import force_setattr

from emulator.apps.environment import ResolveError
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.address import format_ipv4, ipv4_to_int
from emulator.packet.dns_edns import Edns
from emulator.packet.dns_record import AAAA, CNAME, A, Question

if TYPE_CHECKING:
    from emulator.runtime.sockets.sockets import UdpEndpoint
    from emulator.runtime.sockets.tcp_stream import TcpStream

DNS_PORT = 53
EDNS_SIZE = 1200  # bytes that `edns0` announces (RESOLV_EDNS_BUFFER_SIZE)
_MOST = {"ndots": 15, "timeout": 30, "attempts": 5}
_ANSWERS = frozenset({dns.NOERROR, dns.NXDOMAIN})


class ResolverSettings(Struct, frozen=True):
    """What resolv.conf(5) and the hosts file say; `options` as they are written ("ndots:5", "rotate")."""

    nameservers: Sequence[str] = ()
    search: Sequence[str] = ()
    ndots: int = 1
    hosts: Mapping[str, str] = {}
    timeout: float = 5.0
    attempts: int = 2
    options: Sequence[str] = ()

    def __post_init__(self) -> None:
        for option in self.options:
            name, _, value = option.partition(":")
            if name in _MOST and value.isascii() and value.isdigit():
                force_setattr(self, name, min(int(value), _MOST[name]))

    def has(self, option: str) -> bool:
        """Whether an option without a value is on."""
        return option in self.options

    def candidates(self, host: str) -> Iterator[str]:
        """The full names to ask for, in order: with enough dots the name itself comes first, else last."""
        if host.endswith("."):
            yield host
            return
        as_it_is_first = host.count(".") >= self.ndots
        if as_it_is_first:
            yield f"{host}."
        for domain in self.search:
            yield f"{host}.{domain.rstrip('.')}." if domain != "." else f"{host}."
        if not as_it_is_first:
            yield f"{host}."


class Transport(Protocol):
    """What questions and answers go over: the sockets of one namespace, and its random numbers."""

    def open_udp(self) -> UdpEndpoint:
        """Bind a UDP socket to a free port."""

    async def open_tcp_stream(self, host: str, port: int) -> TcpStream:
        """Connect to an address."""

    def draw(self, bits: int) -> int:
        """Draw random bits."""


class Resolver:
    """Looks names up from one namespace."""

    def __init__(self, network: Transport, settings: ResolverSettings) -> None:
        self._network = network
        self._settings = settings
        self._turn = 0  # of `rotate`

    async def resolve(self, host: str) -> list[str]:
        """Return the IPv4 addresses of a name, in the order of the answer. ResolveError if there are none."""
        return (await self.look_up(host))[1]

    async def look_up(self, host: str) -> tuple[list[str], list[str]]:
        """Return a name's own, full name and its aliases, and its addresses. ResolveError if there are none."""
        if _is_address(host):
            return [host], [host]
        known = self._settings.hosts.get(host.rstrip(".").lower())
        if known is not None:
            return [host.rstrip(".")], [known]
        failed = exists = False
        for name in self._settings.candidates(host):
            responses = await self._ask(name)
            if responses is None:
                failed = True
                break
            addresses = [address for response in responses for address in _addresses(response, name)]
            if addresses:
                names = [name, *(alias for response in responses for alias in _aliases(response, name))]
                return [each.rstrip(".") for each in reversed(list(dict.fromkeys(names)))], addresses
            failed = failed or any(response.rcode not in _ANSWERS for response in responses)
            exists = exists or any(response.rcode == dns.NOERROR for response in responses)
        reason = "no name server answered" if failed else "Name or service not known"
        reason = "No address associated with hostname" if exists and not failed else reason
        raise ResolveError(
            f"Could not resolve host: {host} ({reason})", temporary=failed, without_address=exists and not failed
        )

    async def _ask(self, name: str) -> list[dns.Message] | None:
        """Ask for A and AAAA until some server has answered both. None if none answered; failures if that was all."""
        kinds = [A] if self._settings.has("no-aaaa") else [A, AAAA]
        failures: list[dns.Message] | None = None
        for attempt in range(self._settings.attempts):
            for index, server in enumerate(self._servers()):
                # The more often and the later a server comes, the longer: res_send.c, retrans << try.
                seconds = self._settings.timeout * 2**attempt if index else self._settings.timeout
                queries = {kind: self._query(name, kind) for kind in kinds}
                responses = await self._ask_one(server, queries, max(1.0, seconds / max(1, index + 1)))
                if responses is None:
                    continue
                if all(response.rcode in _ANSWERS for response in responses):
                    return responses
                failures = responses
            if failures is not None:
                return failures
        return None

    def _servers(self) -> Sequence[str]:
        servers = self._settings.nameservers
        if not self._settings.has("rotate") or not servers:
            return servers
        self._turn = (self._turn + 1) % len(servers)
        return [*servers[self._turn :], *servers[: self._turn]]

    def _query(self, name: str, kind: int) -> dns.Message:
        options = (Edns(EDNS_SIZE).record(),) if self._settings.has("edns0") else ()
        return dns.Message(self._network.draw(16), (Question(name, kind),), additionals=options, recursion_desired=True)

    async def _ask_one(
        self, server: str, queries: Mapping[int, dns.Message], seconds: float
    ) -> list[dns.Message] | None:
        """Return a server's answers to all queries; None where it is silent, or its port is closed."""
        try:
            payloads = {kind: query.build() for kind, query in queries.items()}
        except WireError:
            name = next(iter(queries.values())).questions[0].name
            raise ResolveError(f"Could not resolve host: {name.rstrip('.')} (it is no host name)") from None
        single = self._settings.has("single-request") or self._settings.has("single-request-reopen")
        groups = [[kind] for kind in queries] if single else [list(queries)]
        found: dict[int, dns.Message] = {}
        try:
            for group in groups:
                await self._exchange(server, {kind: (queries[kind], payloads[kind]) for kind in group}, found, seconds)
                missing = [kind for kind in group if kind not in found]
                if missing and len(missing) < len(group):  # it may take one question at a time only: once more, alone
                    rest = {kind: (queries[kind], payloads[kind]) for kind in missing}
                    await self._exchange(server, rest, found, seconds)
                if any(kind not in found for kind in group):
                    return None
        except (OSError, trio.BrokenResourceError):
            return None
        return list(found.values())

    async def _exchange(
        self,
        server: str,
        asked: Mapping[int, tuple[dns.Message, bytes]],
        found: dict[int, dns.Message],
        seconds: float,
    ) -> None:
        """Send queries from one socket and put the answers that come in time into `found`; over TCP what was cut."""
        with trio.move_on_after(seconds):
            if not self._settings.has("use-vc"):
                with self._network.open_udp() as endpoint:
                    endpoint.connect((server, DNS_PORT))
                    for _, payload in asked.values():
                        await endpoint.send_to(payload)
                    while any(kind not in found for kind in asked):
                        data = (await endpoint.receive()).payload
                        for kind, (query, _) in asked.items():
                            response = _matching(data, query)
                            if response is not None:
                                found[kind] = response
            for kind, (query, payload) in asked.items():
                if kind not in found or found[kind].truncated:
                    found.pop(kind, None)
                    response = await self._ask_over_tcp(server, payload)
                    if response is not None and response.identifier == query.identifier:
                        found[kind] = response

    async def _ask_over_tcp(self, server: str, payload: bytes) -> dns.Message | None:
        async with await self._network.open_tcp_stream(server, DNS_PORT) as stream:
            await stream.send_all(len(payload).to_bytes(2, "big") + payload)
            length = int.from_bytes(await _receive_exactly(stream, 2), "big")
            return _parse(await _receive_exactly(stream, length))


def _is_address(host: str) -> bool:
    try:
        ipv4_to_int(host)
    except WireError:
        return False
    return True


def _parse(data: bytes) -> dns.Message | None:
    try:
        return dns.Message.parse(data)
    except WireError:
        return None


def _matching(data: bytes, query: dns.Message) -> dns.Message | None:
    """The answer to this very query; anything else that comes in is passed over."""
    response = _parse(data)
    if response is None or not response.is_response or response.identifier != query.identifier:
        return None
    if not response.questions and response.rcode not in _ANSWERS:
        return response  # FORMERR and its like come without
    asked = [(question.name.lower(), question.type) for question in response.questions]
    return response if asked == [(question.name.lower(), question.type) for question in query.questions] else None


def _aliases(response: dns.Message, name: str) -> Iterator[str]:
    """Yield the names that a name's aliases lead to, the last one last."""
    wanted = name.lower()
    for record in response.answers:
        if record.type == CNAME and record.name.lower() == wanted and isinstance(record.data, str):
            wanted = record.data.lower()
            yield record.data


def _addresses(response: dns.Message, name: str) -> list[str]:
    """The A records of a name, through its aliases."""
    wanted = {name.lower()}
    addresses = []
    for record in response.answers:
        if record.name.lower() not in wanted:
            continue
        if record.type == CNAME and isinstance(record.data, str):
            wanted.add(record.data.lower())
        elif record.type == A and isinstance(record.data, int):
            addresses.append(format_ipv4(record.data))
    return addresses


async def _receive_exactly(stream: trio.abc.ReceiveStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await stream.receive_some(count - len(data))
        if not more:
            raise trio.BrokenResourceError("the name server closed the connection")
        data += more
    return data
