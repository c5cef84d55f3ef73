"""What an image without a program of its own runs: a server on each declared port that says which pod answers.

TCP ports speak HTTP, and HTTPS where the port is 443 or called "https"; a client that speaks something else gets one
line that names the pod, and so does each datagram.
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
        for name, protocol, port in dict.fromkeys(container.ports):
            if protocol == "TCP":
                tls = _context(container) if speaks_tls(name, port) else None
                nursery.start_soon(serve, await network.open_tcp_listener(port), service, tls)
            elif protocol == "UDP":
                nursery.start_soon(serve_udp, network.open_udp(port), lambda _: f"{line(container)}\n".encode())
        task_status.started()
        await trio.sleep_forever()


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
