"""What an image without a program of its own runs: a server on each port, declared or probed, that names its pod.

TCP ports speak HTTP, and HTTPS where the port is 443, called "https" or so probed; a client that speaks something else
gets one line that names the pod, and so does each datagram.
"""

from __future__ import annotations

import ssl

import trio

from emulator.apps.environment import Container
from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import Service, serve
from emulator.apps.udp_server import serve_udp

HTTPS_PORT = 443


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve until cancelled. OSError(EADDRINUSE) where a port is taken."""
    service = Service(
        lambda request: describe(container, request),
        container.wall_clock,
        container.log,
        garbage=f"{line(container)}\n".encode(),
    )
    network = container.network
    async with trio.open_nursery() as nursery:
        for protocol, port, secure in _ports(container):
            if protocol == "TCP":
                tls = _context(container) if secure else None
                nursery.start_soon(serve, await network.open_tcp_listener(port), service, tls)
            elif protocol == "UDP":
                nursery.start_soon(serve_udp, network.open_udp(port), lambda _: f"{line(container)}\n".encode())
        task_status.started()
        await trio.sleep_forever()


def _ports(container: Container) -> list[tuple[str, int, bool]]:
    """Return protocol and port of all that is served, and whether it is TLS."""
    ports = {(protocol, port): speaks_tls(name, port) for name, protocol, port in container.ports}
    for port, secure in container.probed_ports:
        ports["TCP", port] = ports.get(("TCP", port), False) or secure
    return [(protocol, port, secure) for (protocol, port), secure in ports.items()]


def speaks_tls(name: str, port: int) -> bool:
    """Whether a port is for HTTPS: by its name ("https", "https-admin") or its number."""
    return port == HTTPS_PORT or name.partition("-")[0] == "https"


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
