"""What an image without a program of its own runs: a server on each port that is declared, probed, or a Service's.

TCP ports speak HTTP, and HTTPS to whoever begins with TLS; ports whose name or number says which speak that alone, if
their probes do not disagree. A client that speaks something else gets one line that names the pod, and so does each
datagram.
"""

from __future__ import annotations

from collections.abc import Callable
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

HTTP_PORT, HTTPS_PORT = 80, 443


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
        self._context = cache(lambda: _context(container))
        self._plain = self._serving(None)
        self._either = self._serving(self._context)

    def _serving(self, tls_if_asked: Callable[[], ssl.SSLContext] | None) -> Service:
        container = self._container
        return Service(
            lambda request: describe(container, request),
            container.wall_clock,
            container.log,
            garbage=f"{line(container)}\n".encode(),
            tls_if_asked=tls_if_asked,
        )

    async def open(self, protocol: str, port: int) -> None:
        """Listen, on ports of TCP and UDP. OSError(EADDRINUSE)."""
        network = self._container.network
        if (protocol, port) in self._opened:
            return
        if protocol == "TCP":
            spoken = _spoken(self._container, port)
            tls = self._context() if spoken is True else None
            service = self._either if spoken is None else self._plain
            self._nursery.start_soon(serve, await network.open_tcp_listener(port), service, tls)
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
    return [*declared, *(("TCP", port) for port, _ in container.probed_ports)]


def _spoken(container: Container, port: int) -> bool | None:
    """Whether a TCP port speaks TLS; None if it speaks what its client does."""
    name = next((name for name, protocol, number in container.ports if (protocol, number) == ("TCP", port)), "")
    word = name.partition("-")[0]
    if port == HTTPS_PORT or word == "https":
        secure = True
    elif port == HTTP_PORT or word == "http":
        secure = False
    else:
        return None
    probed = {over_tls for number, over_tls in container.probed_ports if number == port}
    return secure if probed <= {secure} else None


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
