"""The load that a pod of the image `podwire/bench` makes: UDP packets, a TCP transfer, new HTTP requests, counted.

UDP is sent no faster than it arrives: the server tells every so often how many packets it has counted, and no more
than a window of them is under way, so that what is measured is the path and not how its queues overflow.
"""

from __future__ import annotations

import hashlib
import random
import struct
from typing import Any

import trio
from msgspec import Struct

from emulator.apps.environment import Address, Network, UdpEndpoint

HEADER = struct.Struct("!cI")
"""A packet of the benchmark: what it is, and the sequence number or the count."""

RESET, DATA, ASK = b"r", b"d", b"?"
"""What the sender says: count from 0, one to count, how many were there."""

TOLD, ANSWER = b"+", b"="
"""What the server says: its count, unasked or because it was asked (RESET, ASK)."""

COUNT_EVERY = 32
"""Packets of data after which the server tells its count unasked."""

WINDOW = 192
"""Packets under way; Linux's default receive buffer holds some 270 small ones."""

_BURST = 32  # as many as one sendmmsg(2)
_PATIENCE = 0.5  # seconds without a count after which what is under way counts as lost
_TRIES = 40
_CHUNK_LENGTH = 262_147  # a prime, so that no segment begins where an earlier one began in its chunk
_REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"


class UnansweredError(Exception):
    """The other side never answered."""


async def send_packets(network: Network, address: Address, packets: int, size: int) -> dict[str, Any]:
    """Send UDP packets of `size` bytes of payload, and ask how many came. Raises UnansweredError."""
    endpoint = network.open_udp()
    try:
        return await _Sender(endpoint, address, max(size, HEADER.size)).run(packets)
    finally:
        endpoint.close()


class _Sender:
    """One flow of UDP from one socket."""

    def __init__(self, endpoint: UdpEndpoint, address: Address, size: int) -> None:
        self._endpoint = endpoint
        self._address = address
        self._padding = bytes(size - HEADER.size)
        self._sent = 0
        self._lost = 0
        self._counted = 0

    async def run(self, packets: int) -> dict[str, Any]:
        await self._ask(RESET)
        start = trio.current_time()
        while self._sent < packets:
            room = WINDOW - (self._sent - self._lost - self._counted)
            if room <= 0:
                await self._hear()
                continue
            await self._send(min(room, _BURST, packets - self._sent))
            self._take()
        await self._ask(ASK)
        seconds = trio.current_time() - start
        return {"sent": self._sent, "delivered": self._counted, "seconds": seconds}

    async def _send(self, count: int) -> None:
        """Send some packets: the first lets others have their turn, the rest follow at once."""
        await self._endpoint.send_to(self._packet(), self._address)
        for _ in range(count - 1):
            self._endpoint.socket.send_to(self._packet(), self._address)

    def _packet(self) -> bytes:
        self._sent += 1
        return HEADER.pack(DATA, self._sent) + self._padding

    async def _hear(self) -> None:
        """Wait for a count; where none comes, take what is under way for lost."""
        with trio.move_on_after(_PATIENCE) as patience:
            await self._endpoint.wait_readable()
            self._take()
        if patience.cancelled_caught:
            self._lost = self._sent - self._counted

    def _take(self) -> bool:
        """Take the counts that came; whether one of them answers a question."""
        answered = False
        self._endpoint.socket.errors.clear()  # whoever is not there does not count either
        while (datagram := self._endpoint.socket.receive()) is not None:
            kind, self._counted = HEADER.unpack_from(datagram.payload)
            answered |= kind == ANSWER
        return answered

    async def _ask(self, what: bytes) -> None:
        """Ask until the answer comes."""
        for _ in range(_TRIES):
            await self._endpoint.send_to(HEADER.pack(what, 0), self._address)
            with trio.move_on_after(_PATIENCE):
                while not self._take():
                    await self._endpoint.wait_readable()
                return
        raise UnansweredError(f"{self._address[0]}:{self._address[1]} does not answer over UDP")


async def send_bytes(network: Network, address: Address, count: int) -> dict[str, Any]:
    """Send so many bytes over one TCP connection, and wait until the other side has read them.

    It answers with their number and SHA-256; `intact` is whether that is what was sent.
    """
    chunk = random.Random(count).randbytes(_CHUNK_LENGTH)
    digest = hashlib.sha256()
    start = trio.current_time()
    async with await network.open_tcp_stream(*address) as stream:
        left = count
        while left > 0:
            part = chunk[:left]
            digest.update(part)
            await stream.send_all(part)
            left -= len(part)
        await stream.send_eof()
        answer = b""
        while piece := await stream.receive_some():
            answer += piece
    delivered, _, received = answer.partition(b" ")
    return {
        "sent": count,
        "delivered": int(delivered or b"0"),
        "seconds": trio.current_time() - start,
        "intact": received == digest.hexdigest().encode(),
    }


class _Requests(Struct):
    """What is left to do, and how it went."""

    left: int
    latencies: list[float]


async def send_requests(network: Network, address: Address, count: int, at_once: int) -> dict[str, Any]:
    """Send HTTP requests, each on a connection of its own, `at_once` of them at a time. Latencies are seconds."""
    requests = _Requests(count, [])
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(_work, network, address, requests)
    seconds = trio.current_time() - start
    latencies = sorted(requests.latencies)
    middle = latencies[len(latencies) // 2] if latencies else None
    return {"sent": count, "delivered": len(latencies), "seconds": seconds, "median": middle}


async def _work(network: Network, address: Address, requests: _Requests) -> None:
    while requests.left > 0:
        requests.left -= 1
        start = trio.current_time()
        try:
            answered = await _request(network, address)
        except (OSError, trio.BrokenResourceError):
            continue
        if answered:
            requests.latencies.append(trio.current_time() - start)


async def _request(network: Network, address: Address) -> bool:
    answer = b""
    async with await network.open_tcp_stream(*address) as stream:
        await stream.send_all(_REQUEST)
        while part := await stream.receive_some():
            answer += part
    return answer.startswith(b"HTTP/1.1 200 ")
