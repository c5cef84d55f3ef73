"""The cluster's name server: answers over UDP and TCP on port 53 from the zone that the node keeps.

Source: RFC 1035, RFC 7766 (TCP), the Kubernetes DNS specification. There is no resolver to forward to: names outside
the cluster are refused, but single labels, which the root has none of, do not exist.
"""

from __future__ import annotations

from contextlib import suppress

import trio
from msgspec.structs import replace

from emulator.apps.environment import Container, TcpListener, TcpStream, Zone
from emulator.apps.udp_server import serve_udp
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.dns_record import CLASS_IN, OPT, Record

PORT = 53
UDP_SIZE = 1232  # bytes that we take and send at most over UDP (DNS flag day 2020), as CoreDNS's bufsize
TCP_IDLE = 10.0  # seconds
CONNECTION_LIMIT = 200


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve until cancelled. OSError(EADDRINUSE) where the port is taken."""
    server = NameServer(container.zone)
    listener = await container.network.open_tcp_listener(PORT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve_tcp, listener, server)
        nursery.start_soon(
            serve_udp, container.network.open_udp(PORT), lambda datagram: server.answer_udp(datagram.payload)
        )
        container.log(".:53")
        task_status.started()
        await trio.sleep_forever()


class NameServer:
    """Makes answers from a zone; without one, every question is refused."""

    def __init__(self, zone: Zone | None) -> None:
        self._zone = zone

    def answer_udp(self, data: bytes) -> bytes | None:
        """Return the answer to a datagram, truncated to what its sender takes; None where none is due."""
        query = self._parse(data)
        if query is None or query.is_response:
            return None
        return self._respond(query).build(min(query.udp_size, UDP_SIZE))

    def answer_tcp(self, data: bytes) -> bytes | None:
        """Return the answer to a message that came over TCP; None where none is due."""
        query = self._parse(data)
        return None if query is None or query.is_response else self._respond(query).build()

    @staticmethod
    def _parse(data: bytes) -> dns.Message | None:
        try:
            return dns.Message.parse(data)
        except WireError:
            if len(data) < dns.HEADER_LENGTH or data[2] & 0x80:
                return None
            return dns.Message(int.from_bytes(data[:2], "big"))  # no question: answered with FORMERR

    def _respond(self, query: dns.Message) -> dns.Message:
        response = self._lookup(query)
        if any(record.type == OPT for record in query.additionals):
            response = replace(response, additionals=(Record(".", OPT, 0, b"", UDP_SIZE),))
        return response

    def _lookup(self, query: dns.Message) -> dns.Message:
        if query.opcode != dns.OPCODE_QUERY:
            return query.reply(dns.NOTIMP, authoritative=False)
        if len(query.questions) != 1:
            return query.reply(dns.FORMERR, authoritative=False)
        question = query.questions[0]
        if self._zone is None or question.rclass != CLASS_IN:
            return query.reply(dns.REFUSED, authoritative=False)
        answer = self._zone.lookup(question.name, question.type)
        if not answer.authoritative:
            single = question.name.rstrip(".").count(".") == 0
            return query.reply(dns.NXDOMAIN if single else dns.REFUSED, authoritative=False)
        records = tuple(_spelled(record, question.name) for record in answer.records)
        if records:
            return query.reply(answers=records)
        negative = query.reply(dns.NOERROR if answer.exists else dns.NXDOMAIN)
        return replace(negative, authorities=answer.authority)


def _spelled(record: Record, asked: str) -> Record:
    """Repeat the asker's spelling of the name, as servers do (some resolvers check it)."""
    return replace(record, name=asked) if record.name.lower() == asked.lower() else record


async def _serve_tcp(listener: TcpListener, server: NameServer) -> None:
    free = trio.Semaphore(CONNECTION_LIMIT)
    try:
        async with trio.open_nursery() as nursery:
            while True:
                await free.acquire()
                nursery.start_soon(_serve_stream, await listener.accept(), server, free)
    finally:
        with trio.CancelScope(shield=True):
            await listener.aclose()


async def _serve_stream(stream: TcpStream, server: NameServer, free: trio.Semaphore) -> None:
    try:
        async with stream:
            with suppress(trio.BrokenResourceError, trio.TooSlowError):  # the client went away, or says nothing more
                await _answer_all(stream, server)
    finally:
        free.release()


async def _answer_all(stream: TcpStream, server: NameServer) -> None:
    data = bytearray()
    while True:
        while len(data) >= 2 and len(data) >= 2 + (length := int.from_bytes(data[:2], "big")):
            answer = server.answer_tcp(bytes(data[2 : 2 + length]))
            del data[: 2 + length]
            if answer is None:
                return
            with trio.fail_after(TCP_IDLE):
                await stream.send_all(len(answer).to_bytes(2, "big") + answer)
        with trio.fail_after(TCP_IDLE):
            more = await stream.receive_some()
        if not more:
            return
        data += more
