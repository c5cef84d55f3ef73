"""Kubernetes' test image (registry.k8s.io/e2e-test-images/agnhost): `netexec`, `serve-hostname` and `pause`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import trio

from emulator.apps.environment import Container
from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import Service, serve
from emulator.apps.options import UsageError, port_number
from emulator.apps.programs import generic, idle
from emulator.apps.programs.dial import dial
from emulator.apps.programs.go_flags import parse_flags
from emulator.apps.udp_server import serve_udp
from emulator.kernel.udp import Datagram
from emulator.packet.digits import is_natural

_NETEXEC_FLAGS = {
    "http-port",
    "udp-port",
    "udp-listen-addresses",
    "sctp-port",
    "tls-cert-file",
    "tls-private-key-file",
    "delay-shutdown",
}
_HOSTNAME_FLAGS = {"port"}


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Run the subcommand that the arguments name; none is `pause`. Exit status 1 for a flag that there is not."""
    words = [*container.command[1:], *container.args] if container.command else list(container.args)
    subcommand = words[0] if words else "pause"
    try:
        if subcommand == "netexec":
            return await _netexec(container, words[1:], task_status)
        if subcommand == "serve-hostname":
            return await _serve_hostname(container, words[1:], task_status)
    except (UsageError, ValueError) as error:
        container.log(f"Error: {error}")
        return 1
    if subcommand == "pause":
        return await idle.main(container, task_status=task_status)
    return await generic.main(container, task_status=task_status)


async def _netexec(container: Container, words: Sequence[str], task_status: trio.TaskStatus[None]) -> int:
    flags = parse_flags(words, _NETEXEC_FLAGS, {"http-override"})
    http_port = port_number(flags.get("http-port", "8080"))
    udp_port = int(flags.get("udp-port", "8081"))
    ended = trio.Event()
    netexec = Netexec(container, ended)
    service = Service(netexec.handle, container.wall_clock, container.log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, await container.network.open_tcp_listener(http_port), service)
        container.log(f"Started HTTP server on port {http_port}")
        if udp_port > 0:
            nursery.start_soon(serve_udp, container.network.open_udp(udp_port), netexec.answer)
            container.log(f"Started UDP server on port  {udp_port}")
        task_status.started()
        await ended.wait()
        nursery.cancel_scope.cancel()
    return netexec.status


async def _serve_hostname(container: Container, words: Sequence[str], task_status: trio.TaskStatus[None]) -> int:
    flags = parse_flags(words, _HOSTNAME_FLAGS, {"http", "tcp", "udp", "close"})
    port = port_number(flags.get("port", "9376"))
    name = container.pod_name
    service = Service(lambda _: text(name), container.wall_clock, container.log, garbage=name.encode())
    async with trio.open_nursery() as nursery:
        if flags.get("http", "true") == "true" or flags.get("tcp") == "true":
            nursery.start_soon(serve, await container.network.open_tcp_listener(port), service)
        if flags.get("udp") == "true":
            nursery.start_soon(serve_udp, container.network.open_udp(port), lambda _: name.encode())
        task_status.started()
        await trio.sleep_forever()


class Netexec:
    """What `agnhost netexec` answers. `/exit` sets `ended`, with `status` as the exit status."""

    def __init__(self, container: Container, ended: trio.Event) -> None:
        self.status = 0
        self._container = container
        self._ended = ended

    async def handle(self, request: Request) -> Response:
        """Answer an HTTP request."""
        client = f"{request.client[0]}:{request.client[1]}"
        match request.path:
            case "/":
                now = datetime.fromtimestamp(self._container.wall_clock(), UTC)
                return text(f"NOW: {now.strftime('%Y-%m-%d %H:%M:%S.%f')} +0000 UTC")
            case "/hostname" | "/hostName":
                return text(self._container.pod_name)
            case "/clientip":
                return text(client)
            case "/echo":
                code = request.parameter("code", "200")
                return text(request.parameter("msg"), int(code) if re.fullmatch("[2-5][0-9][0-9]", code) else 200)
            case "/header":
                return text(request.header(request.parameter("key")))
            case "/healthz":
                return text("")
            case "/dial":
                return await dial(self._container.network, request)
            case "/exit":
                return self._exit(request.parameter("code", "0"))
            case _:
                return text("404 page not found\n", 404)

    def answer(self, datagram: Datagram) -> bytes | None:
        """Answer a datagram."""
        said = datagram.payload.decode("utf-8", "replace").strip().lower()
        if said == "hostname":
            return self._container.pod_name.encode()
        if said == "clientip":
            return f"{datagram.source[0]}:{datagram.source[1]}".encode()
        if said.startswith("echo "):
            return said.partition(" ")[2].encode()
        if said:
            self._container.log(f"Unknown UDP command received: {said}")
        return None

    def _exit(self, code: str) -> Response:
        if not is_natural(code) or not 0 <= int(code) <= 127:
            return text(f"argument 'code' must be an integer [0-127] or empty, got {code!r}\n", 400)
        self.status = int(code)
        self._ended.set()
        return text("")
