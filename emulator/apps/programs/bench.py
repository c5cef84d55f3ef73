"""podwire/bench, an image of the emulator's own: counts what comes in, and makes load where it is told to.

Port 80 speaks HTTP: `/` answers, `/udp`, `/tcp` and `/http` make load and answer with what came of it, as JSON. UDP
7000 counts packets, TCP 7001 counts bytes and sums them up. `emulator bench forward` asks one such pod to load another.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

import trio

from emulator.apps.environment import Address, Container, TcpListener, TcpStream, UdpEndpoint
from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import serve_port
from emulator.apps.http_service import Service
from emulator.apps.options import number, port_number
from emulator.apps.programs import bench_load
from emulator.apps.programs.bench_load import ANSWER, ASK, COUNT_EVERY, DATA, HEADER, RESET, TOLD, UnansweredError
from emulator.kernel.socket.udp import Datagram

HTTP_PORT, UDP_PORT, TCP_PORT = 80, 7000, 7001
MOST = 10_000_000_000
"""Packets, bytes or requests of one load, at most."""


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve until cancelled."""
    network = container.network
    service = Service(Loads(container).handle, container.wall_clock, container.log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_count_packets, network.open_udp(UDP_PORT))
        nursery.start_soon(_count_connections, await network.open_tcp_listener(TCP_PORT))
        await nursery.start(serve_port, container, HTTP_PORT, service)
        task_status.started()
    return 0


class Loads:
    """What the pod does when it is asked over HTTP: `/udp?to=10.96.0.9:7000&count=100000&size=64`, and its like."""

    def __init__(self, container: Container) -> None:
        self._container = container

    async def handle(self, request: Request) -> Response:
        """Answer a request; a load's answer comes when it is through."""
        if request.path == "/":
            return text(self._container.pod_name)
        try:
            to, count = _address(request.parameter("to")), _whole(request.parameter("count"))
            size = _whole(request.parameter("size", "64"))
            at_once = _whole(request.parameter("at_once", "8"))
        except ValueError as error:
            return text(f"{error}\n", 400)
        network = self._container.network
        try:
            match request.path:
                case "/udp":
                    result = await bench_load.send_packets(network, to, count, size)
                case "/tcp":
                    result = await bench_load.send_bytes(network, to, count)
                case "/http":
                    result = await bench_load.send_requests(network, to, count, at_once)
                case _:
                    return text("404 page not found\n", 404)
        except (OSError, UnansweredError, trio.BrokenResourceError) as error:
            return text(f"{error}\n", 502)
        return Response(200, json.dumps(result).encode() + b"\n", (("Content-Type", "application/json"),))


def _address(words: str) -> Address:
    host, colon, port = words.rpartition(":")
    if not colon or not host:
        raise ValueError(f'"{words}" is no ADDRESS:PORT')
    return host, port_number(port)


def _whole(words: str) -> int:
    return int(number(words, lowest=1, highest=MOST))


async def _count_packets(endpoint: UdpEndpoint) -> None:
    """Count the packets of each sender, and tell it its count: when it asks, and every so many packets."""
    counts: dict[Address, int] = {}
    try:
        while True:
            await endpoint.wait_readable()
            endpoint.socket.errors.clear()  # a sender that is gone needs no answer
            answers = []
            while (datagram := endpoint.socket.receive()) is not None:
                kind = _count(counts, datagram)
                if kind:
                    answers.append((HEADER.pack(kind, counts[datagram.source]), datagram.source))
            for answer, source in answers:
                with suppress(OSError):  # no way back to it
                    await endpoint.send_to(answer, source)
    finally:
        endpoint.close()


def _count(counts: dict[Address, int], datagram: Datagram) -> bytes:
    """Count a packet; return what to answer: TOLD, ANSWER or nothing."""
    if len(datagram.payload) < HEADER.size:
        return b""
    kind, _ = HEADER.unpack_from(datagram.payload)
    source = datagram.source
    if kind == DATA:
        counts[source] = count = counts.get(source, 0) + 1
        return b"" if count % COUNT_EVERY else TOLD
    if kind == RESET:
        counts[source] = 0
    return ANSWER if kind in (RESET, ASK) and source in counts else b""


async def _count_connections(listener: TcpListener) -> None:
    try:
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(_count_bytes, await listener.accept())
    finally:
        with trio.CancelScope(shield=True):
            await listener.aclose()


async def _count_bytes(stream: TcpStream) -> None:
    """Read to the end and answer with how much it was, and its SHA-256."""
    count = 0
    digest = hashlib.sha256()
    async with stream:
        with suppress(trio.BrokenResourceError):  # the sender went away: nobody to tell
            while data := await stream.receive_some(1 << 18):
                count += len(data)
                digest.update(data)
            await stream.send_all(f"{count} {digest.hexdigest()}".encode())
