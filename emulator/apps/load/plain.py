"""Requests of a load without HTTP: TCP connections, UDP datagrams, DNS questions, ICMP echoes."""

from __future__ import annotations

import itertools
import os

import trio

from emulator.api.messages.load import LoadTarget
from emulator.apps.dns.client import PORT as DNS_PORT
from emulator.apps.dns.client import ask, search_names
from emulator.apps.environment import PingEndpoint, ResolveError, UdpEndpoint
from emulator.apps.load.client import TCP, UDP, Client, CountedStream, Lookup
from emulator.apps.load.failure import FailedError
from emulator.apps.load.tally import Tally
from emulator.errors import WireError
from emulator.packet import dns
from emulator.packet.dns_record import Question

_ECHO = bytes(range(56))  # as many bytes as ping sends
_RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_READ = 1 << 18


class TcpRequests:
    """Connections: made, and closed; or, where there is something to send, sent, half closed and read to the end."""

    def __init__(self, client: Client, target: LoadTarget) -> None:
        self._client = client
        self._target = target
        self._lookup = Lookup(client, target.host)

    async def __call__(self, tally: Tally) -> str:
        """Make one connection; return its endpoint."""
        target = self._target
        opened = await self._client.network.open_tcp_stream(await self._lookup.address(), target.port)
        tally.connections += 1
        endpoint = self._client.find_endpoint(TCP, opened.local_address, opened.remote_address)
        answer = b""
        async with CountedStream(opened, tally) as stream:
            if target.payload or target.expect:
                left = (target.size or len(target.payload)) if target.payload else 0
                while left > 0:
                    await stream.send_all(target.payload[:left])
                    left -= len(target.payload)
                await stream.send_eof()
                while data := await stream.receive_some(_READ):
                    if target.expect:
                        answer = answer[-len(target.expect) :] + data
                        if target.expect in answer:
                            break
        if target.expect not in answer:
            raise FailedError("Unexpected reply")
        return endpoint

    async def aclose(self) -> None:
        """Nothing is kept."""
        await trio.lowlevel.checkpoint()


class UdpRequests:
    """Datagrams, each answered by one; from a port of its own each, or from kept ones."""

    def __init__(self, client: Client, target: LoadTarget) -> None:
        self._client = client
        self._target = target
        self._lookup = Lookup(client, target.host)
        self._idle: list[UdpEndpoint] = []

    async def __call__(self, tally: Tally) -> str:
        """Send one and wait for its answer; return the endpoint."""
        target, idle = self._target, self._idle
        address = (await self._lookup.address(), target.port)
        endpoint = idle.pop() if idle else self._client.network.open_udp()
        kept = False
        try:
            endpoint.connect(address)
            await endpoint.send_to(target.payload)
            tally.bytes_sent += len(target.payload)
            datagram = await endpoint.receive()
            tally.bytes_received += len(datagram.payload)
            who = self._client.find_endpoint(UDP, endpoint.local_address, address)
            kept = self._client.keep
        finally:
            if kept:
                idle.append(endpoint)
            else:
                endpoint.close()
        if target.expect not in datagram.payload:
            raise FailedError("Unexpected reply")
        return who

    async def aclose(self) -> None:
        """Close kept sockets."""
        while self._idle:
            self._idle.pop().close()
        await trio.lowlevel.checkpoint()


class DnsRequests:
    """Lookups of one name as stub resolvers do them: without a dot at its end it goes through the search list."""

    def __init__(self, client: Client, target: LoadTarget) -> None:
        self._client = client
        self._target = target
        self._lookup = Lookup(client, target.host) if target.host else None
        self._names = search_names(client.network, target.path)
        self._identifiers = itertools.count(client.network.netns.kernel.random.getrandbits(16))

    async def __call__(self, tally: Tally) -> str:
        """Look the name up; return the server that answered. Names without such records are errors, in dig's words."""
        servers = self._client.network.nameservers
        if self._lookup is None and not servers:
            raise ResolveError("no name server")
        server = servers[0] if self._lookup is None else await self._lookup.address()
        failure = "NXDOMAIN"
        for name in self._names:
            response, who = await self._ask(server, name, tally)
            if response.rcode == dns.NOERROR and response.answers:
                return who
            if response.rcode != dns.NXDOMAIN:
                failure = _RCODES.get(response.rcode, f"RCODE{response.rcode}") if response.rcode else "NODATA"
        raise FailedError(failure)

    async def aclose(self) -> None:
        """Nothing is kept."""
        await trio.lowlevel.checkpoint()

    async def _ask(self, server: str, name: str, tally: Tally) -> tuple[dns.Message, str]:
        target = self._target
        query = dns.Message(next(self._identifiers) & 0xFFFF, (Question(name, target.record),), recursion_desired=True)
        payload = query.build()
        port = target.port or DNS_PORT
        endpoint = self._client.network.open_udp()
        try:
            endpoint.connect((server, port))
            await endpoint.send_to(payload)
            tally.bytes_sent += len(payload)
            response = await _answer_to(query, endpoint, tally)
            who = self._client.find_endpoint(UDP, endpoint.local_address, (server, port))
        finally:
            endpoint.close()
        if response.truncated:
            response = await ask(self._client.network, server, name, target.record, port=port, tcp=True)
        return response, who


async def _answer_to(query: dns.Message, endpoint: UdpEndpoint, tally: Tally) -> dns.Message:
    while True:
        data = (await endpoint.receive()).payload
        tally.bytes_received += len(data)
        try:
            response = dns.Message.parse(data)
        except WireError:
            raise FailedError("Malformed DNS answer") from None
        if response.is_response and response.identifier == query.identifier:
            return response


class PingRequests:
    """Echo requests, each from a socket of its own."""

    def __init__(self, client: Client, target: LoadTarget) -> None:
        self._client = client
        self._target = target
        self._lookup = Lookup(client, target.host)
        self._sequence = itertools.count(1)

    async def __call__(self, tally: Tally) -> str:
        """Send one and wait for its answer; return who gave it."""
        address = await self._lookup.address()
        payload = self._target.payload or _ECHO
        sequence = next(self._sequence) & 0xFFFF
        socket: PingEndpoint = self._client.network.open_ping()
        try:
            socket.send_echo(address, sequence, payload)
            tally.bytes_sent += len(payload)
            while True:
                reply = await socket.receive()
                if reply.error is not None:
                    raise OSError(reply.error.errno, os.strerror(reply.error.errno))
                if reply.sequence == sequence:
                    break
        finally:
            socket.close()
        tally.bytes_received += len(reply.payload)
        return reply.source

    async def aclose(self) -> None:
        """Nothing is kept."""
        await trio.lowlevel.checkpoint()
