"""The name server's face to the network: which messages are taken, which size answers may have, UDP and TCP.

Source: CoreDNS's core/dnsserver/server.go and request/request.go (ScrubWriter); github.com/miekg/dns server.go,
acceptfunc.go; RFC 1035, RFC 6891 (EDNS), RFC 7766 (TCP).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import trio
from msgspec.structs import replace

from emulator.apps.dns.request import Handler, Request, closest
from emulator.apps.environment import Network, TcpListener, TcpStream, UdpEndpoint
from emulator.errors import WireError
from emulator.kernel.socket.udp import Datagram
from emulator.packet import dns
from emulator.packet.dns_edns import COOKIE, EXPIRE, KEEPALIVE, NSID, PADDING, Edns
from emulator.packet.dns_record import CLASS_IN, OPT

TCP_IDLE = 10.0  # seconds
CONNECTION_LIMIT = 200
QUERY_LIMIT = 2000
"""UDP queries that are worked on at once; more wait in the socket's buffer."""
UNFRAGMENTED = 1480  # bytes; longer UDP answers have their names compressed, lest they are fragmented
_NOTIFY = 4
_OPTIONS = frozenset({NSID, EXPIRE, COOKIE, KEEPALIVE, PADDING})


class NameServer:
    """Answers on one port; `zones` are the chains of plugins by zone (lower case, with a dot at the end)."""

    def __init__(self, zones: Mapping[str, Handler]) -> None:
        self.zones = zones

    async def answer(self, data: bytes, *, over_tcp: bool = False, client: str = "") -> bytes | None:
        """Return the answer to a message in bytes; None where none is due."""
        query = read_query(data)
        if query is None or query.is_response:
            return None
        if query.opcode not in {dns.OPCODE_QUERY, _NOTIFY}:
            return _refusal(query, dns.NOTIMP).build()
        if not _acceptable(query, data):
            return _refusal(query, dns.FORMERR).build()
        try:
            edns = Edns.of(query)
        except WireError:
            return _refusal(query, dns.FORMERR).build()
        request = Request(query, edns, over_tcp, client)
        message = await self.respond(request)
        limit = dns.TCP_LIMIT if over_tcp else query.udp_size
        return _build(_with_edns(message, edns), limit, over_tcp=over_tcp)

    async def respond(self, request: Request) -> dns.Message:
        """Ask the chain of the closest zone; names of no zone are refused."""
        if request.question.rclass != CLASS_IN:
            return request.error(dns.REFUSED)
        if request.edns is not None and request.edns.version:
            return request.error(dns.NOERROR)  # BADVERS: its upper bits are in the OPT record
        zone = closest(request.name, tuple(self.zones))
        return request.error(dns.REFUSED) if zone is None else await self.zones[zone].serve(request)

    async def serve_udp(self, endpoint: UdpEndpoint) -> None:
        """Answer datagrams until cancelled, each in a task of its own."""
        free = trio.Semaphore(QUERY_LIMIT)
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    await free.acquire()
                    nursery.start_soon(self._answer_datagram, endpoint, await endpoint.receive(), free)
        finally:
            endpoint.close()

    async def _answer_datagram(self, endpoint: UdpEndpoint, datagram: Datagram, free: trio.Semaphore) -> None:
        try:
            answer = await self.answer(datagram.payload, client=datagram.source[0])
            if answer is not None:
                with suppress(OSError):  # this client cannot be reached; the next one is another matter
                    await endpoint.send_to(answer, datagram.source, trace=datagram.trace)
        finally:
            free.release()

    async def serve_tcp(self, listener: TcpListener) -> None:
        """Answer connections until cancelled."""
        free = trio.Semaphore(CONNECTION_LIMIT)
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    await free.acquire()
                    nursery.start_soon(self._serve_stream, await listener.accept(), free)
        finally:
            with trio.CancelScope(shield=True):
                await listener.aclose()

    async def _serve_stream(self, stream: TcpStream, free: trio.Semaphore) -> None:
        try:
            async with stream:
                with suppress(trio.BrokenResourceError, trio.TooSlowError):  # gone, or says nothing more
                    await self._answer_all(stream)
        finally:
            free.release()

    async def _answer_all(self, stream: TcpStream) -> None:
        data = bytearray()
        while True:
            while len(data) >= 2 and len(data) >= 2 + (length := int.from_bytes(data[:2], "big")):
                message = bytes(data[2 : 2 + length])
                del data[: 2 + length]
                answer = await self.answer(message, over_tcp=True, client=stream.remote_address[0])
                if answer is None:
                    return
                with trio.fail_after(TCP_IDLE):
                    await stream.send_all(len(answer).to_bytes(2, "big") + answer)
            with trio.fail_after(TCP_IDLE):
                more = await stream.receive_some()
            if not more:
                return
            data += more


def read_query(data: bytes) -> dns.Message | None:
    """Read a message; of one that is malformed only the header; None of what is too short for one."""
    if len(data) < dns.HEADER_LENGTH:
        return None
    try:
        return dns.Message.parse(data)
    except WireError:
        return dns.Message.parse_header(data)


def _acceptable(query: dns.Message, data: bytes) -> bool:
    """Whether a query is well formed, has one question and no more other records than queries may have."""
    counts = [int.from_bytes(data[offset : offset + 2], "big") for offset in (4, 6, 8, 10)]
    questions, answers, authorities, additionals = counts
    return len(query.questions) == questions == 1 and answers <= 1 and authorities <= 1 and additionals <= 2


def _refusal(query: dns.Message, rcode: int) -> dns.Message:
    """Answer without questions and records, as the library does before a plugin sees the query."""
    refused = replace(query, questions=(), answers=(), authorities=(), additionals=())
    message = refused.reply(rcode, authoritative=False, recursion_available=False)
    return message if rcode == dns.NOTIMP else replace(message, opcode=dns.OPCODE_QUERY)


def _with_edns(message: dns.Message, edns: Edns | None) -> dns.Message:
    """Repeat the asker's OPT record, with the options that the library knows."""
    others = tuple(record for record in message.additionals if record.type != OPT)
    if edns is None:
        return replace(message, additionals=others)
    extended = dns.BADVERS >> 4 if edns.version else 0
    options = tuple(option for option in edns.options if option[0] in _OPTIONS)
    record = Edns(edns.udp_size, extended, 0, edns.dnssec_ok, options).record()
    return replace(message, additionals=(*others, record))


def _build(message: dns.Message, limit: int, *, over_tcp: bool) -> bytes:
    """Write an answer; names are compressed only where it would not fit else, or a datagram become fragments."""
    data = message.build(limit, compress=False)
    if not over_tcp and len(data) > UNFRAGMENTED:
        data = message.build(limit)
    return data


async def listen(network: Network, port: int, server: NameServer, nursery: trio.Nursery) -> None:
    """Open a port for UDP and TCP, and serve both in a nursery. OSError(EADDRINUSE)."""
    listener = await network.open_tcp_listener(port)
    endpoint = network.open_udp(port)
    nursery.start_soon(server.serve_tcp, listener)
    nursery.start_soon(server.serve_udp, endpoint)
