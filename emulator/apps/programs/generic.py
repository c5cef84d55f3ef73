"""What an image without a program of its own runs: a server on each port that is declared, probed, or a Service's.

TCP ports speak HTTP, and HTTPS to whoever begins with TLS; a client that speaks something else gets one line that names
the pod, and so does each datagram.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

import trio

from emulator.apps.environment import Container
from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import serve
from emulator.apps.http_service import Service
from emulator.apps.udp_server import serve_udp

if TYPE_CHECKING:
    import ssl


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve until cancelled. OSError(EADDRINUSE) where a declared or probed port is taken."""
    async with trio.open_nursery() as nursery:
        server = _Server(container, nursery)
        for protocol, port in _ports(container):
            await server.open(protocol, port)
        await server.open_for_services()
        task_status.started()
        while container.service_ports is not None:
            await container.service_ports.changed()
            await server.open_for_services()
        await trio.sleep_forever()


class _Server:
    """The listening sockets of one container."""

    def __init__(self, container: Container, nursery: trio.Nursery) -> None:
        self._container = container
        self._nursery = nursery
        self._opened: set[tuple[str, int]] = set()
        self._service = Service(
            lambda request: describe(container, request),
            container.wall_clock,
            container.log,
            garbage=f"{line(container)}\n".encode(),
            tls_if_asked=cache(lambda: _context(container)),
        )

    async def open(self, protocol: str, port: int) -> None:
        """Listen, on ports of TCP and UDP. OSError(EADDRINUSE)."""
        network = self._container.network
        if (protocol, port) in self._opened:
            return
        if protocol == "TCP":
            self._nursery.start_soon(serve, await network.open_tcp_listener(port), self._service)
        elif protocol == "UDP":
            answer = f"{line(self._container)}\n".encode()
            self._nursery.start_soon(serve_udp, network.open_udp(port), lambda _: answer)
        self._opened.add((protocol, port))

    async def open_for_services(self) -> None:
        """Listen on what Services lead to, but for what others of the pod have taken."""
        ports = self._container.service_ports
        for protocol, port in sorted(ports.now()) if ports is not None else ():
            with suppress(OSError):
                await self.open(protocol, port)


def _ports(container: Container) -> list[tuple[str, int]]:
    """Return protocol and port of all that is declared or probed."""
    declared = [(protocol, port) for _, protocol, port in container.ports]
    return [*declared, *(("TCP", port) for port in container.probed_ports)]


def _context(container: Container) -> ssl.SSLContext:
    from emulator.apps.certificate import server_context

    names = (container.pod_name, container.pod_ip, "localhost")
    return server_context("Podwire", container.pod_name, names, container.wall_clock())


def line(container: Container) -> str:
    """Name the pod in one line."""
    return f"{container.namespace}/{container.pod_name} {container.pod_ip} on {container.node_name} ({container.image})"


def describe(container: Container, request: Request) -> Response:
    """Answer with who answers, and whom."""
    answer = {
        "pod": container.pod_name,
        "namespace": container.namespace,
        "address": container.pod_ip,
        "node": container.node_name,
        "container": container.name,
        "image": container.image,
        "client": f"{request.client[0]}:{request.client[1]}",
        "request": f"{request.method} {request.target}",
    }
    return text("".join(f"{name}: {value}\n" for name, value in answer.items()))
