"""A UDP server over a namespace's sockets: one answer, or none, to each datagram."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from emulator.apps.environment import UdpEndpoint
from emulator.kernel.socket.udp import Datagram

Answer = Callable[[Datagram], bytes | None]


async def serve_udp(endpoint: UdpEndpoint, answer: Answer) -> None:
    """Answer until cancelled. A client that cannot be reached is passed over, as servers do."""
    try:
        while True:
            datagram = await endpoint.receive()
            payload = answer(datagram)
            if payload is not None:
                with suppress(OSError):  # a rule or a route forbids this one answer; the next client is another matter
                    await endpoint.send_to(payload, datagram.source, trace=datagram.trace)
    finally:
        endpoint.close()
