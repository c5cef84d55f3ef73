"""How programs look names up: hosts file, search list, DNS to the pod's name servers, as glibc's resolver does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import trio

from emulator.apps.environment import ResolveError
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.address import format_ipv4, ipv4_to_int
from emulator.packet.dns_record import CNAME, A, Question

if TYPE_CHECKING:
    from emulator.runtime.sockets.sockets import UdpEndpoint
    from emulator.runtime.sockets.tcp_stream import TcpStream

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class ResolverSettings:
    """What resolv.conf(5) and the hosts file say; `timeout` in seconds, for each of `attempts` rounds."""

    nameservers: Sequence[str] = ()
    search: Sequence[str] = ()
    ndots: int = 1
    hosts: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 5.0
    attempts: int = 2

    def candidates(self, host: str) -> Iterator[str]:
        """The full names to ask for, in order: with enough dots the name itself comes first, else last."""
        if host.endswith("."):
            yield host
            return
        as_it_is_first = host.count(".") >= self.ndots
        if as_it_is_first:
            yield f"{host}."
        for domain in self.search:
            yield f"{host}.{domain.rstrip('.')}."
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

    async def resolve(self, host: str) -> list[str]:
        """Return the addresses of a name, in the order of the answer. ResolveError if there are none."""
        if _is_address(host):
            return [host]
        known = self._settings.hosts.get(host.rstrip(".").lower())
        if known is not None:
            return [known]
        unanswered = False
        for name in self._settings.candidates(host):
            response = await self._ask(name)
            if response is None:
                unanswered = True
                break
            addresses = _addresses(response, name)
            if addresses:
                return addresses
            unanswered = unanswered or response.rcode not in {dns.NOERROR, dns.NXDOMAIN}
        reason = "no name server answered" if unanswered else "Name or service not known"
        raise ResolveError(f"Could not resolve host: {host} ({reason})", temporary=unanswered)

    async def _ask(self, name: str) -> dns.Message | None:
        """Ask each server in turn, `attempts` times. None if none answered; a failure answer if that was all."""
        failure: dns.Message | None = None
        for _ in range(self._settings.attempts):
            for server in self._settings.nameservers:
                with trio.move_on_after(self._settings.timeout):
                    response = await self._ask_one(server, name)
                    if response is None:
                        continue
                    if response.rcode in {dns.NOERROR, dns.NXDOMAIN}:
                        return response
                    failure = response
            if failure is not None:
                return failure
        return None

    async def _ask_one(self, server: str, name: str) -> dns.Message | None:
        """Return the server's answer, or None where its port is closed or the network says no."""
        identifier = self._network.draw(16)
        query = dns.Message(identifier, (Question(name),), recursion_desired=True)
        try:
            payload = query.build()
        except WireError:
            raise ResolveError(f"Could not resolve host: {name.rstrip('.')} (it is no host name)") from None
        try:
            with self._network.open_udp() as endpoint:
                endpoint.connect((server, DNS_PORT))
                await endpoint.send_to(payload)
                while True:
                    response = _matching((await endpoint.receive()).payload, query)
                    if response is not None:
                        break
            return await self._ask_over_tcp(server, payload) if response.truncated else response
        except (OSError, trio.BrokenResourceError):
            return None

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
    asked = [(question.name.lower(), question.type) for question in response.questions]
    return response if asked == [(question.name.lower(), question.type) for question in query.questions] else None


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
