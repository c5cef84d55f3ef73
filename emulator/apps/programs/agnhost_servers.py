"""agnhost's small servers: serve-hostname, porter, test-webserver; and logs-generator.

Source: Kubernetes, test/images/agnhost/{serve-hostname,porter,test-webserver,logs-generator}.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from zlib import crc32

import trio

from emulator.apps.environment import Container, TcpListener
from emulator.apps.go import http as go_http
from emulator.apps.go.flags import parse_flags
from emulator.apps.go.http import reply
from emulator.apps.go.text import logger, parse_duration, to_json
from emulator.apps.http_message import Request, Response
from emulator.apps.http_server import serve
from emulator.apps.http_service import Handler
from emulator.apps.options import UsageError, port_number
from emulator.apps.programs.netexec import LOCALHOST
from emulator.apps.udp_server import Answer, serve_udp
from emulator.kernel.socket.udp import Datagram


async def serve_hostname(container: Container, words: Sequence[str], task_status: trio.TaskStatus[None]) -> int:
    """Serve the pod's name over HTTP, or over plain TCP and UDP."""
    flags = parse_flags(words[1:], {"port"}, {"http", "tcp", "udp", "close"})
    port = port_number(flags.get("port", "9376"))
    http, tcp, udp = (flags.get(name, default) == "true" for name, default in _HOSTNAME_DEFAULTS)
    log = logger(container.log, container.wall_clock)
    if http and (tcp or udp):
        raise UsageError("Can't server TCP/UDP mode and HTTP mode at the same time")
    closing = {"Connection": "close"} if flags.get("close") == "true" else {}

    def handle(request: Request) -> Response:
        log(f"HTTP request from {request.client[0]}:{request.client[1]}")
        return reply(container.pod_name, 200, closing)

    def answer(datagram: Datagram) -> bytes:
        log(f"UDP request from {datagram.source[0]}:{datagram.source[1]}")
        return container.pod_name.encode()

    async with trio.open_nursery() as nursery:
        if http:
            service = go_http.service(container, handle)
            nursery.start_soon(serve, await container.network.open_tcp_listener(port), service)
        if tcp:
            nursery.start_soon(_say_name, container, await container.network.open_tcp_listener(port))
        if udp:
            nursery.start_soon(serve_udp, container.network.open_udp(port), answer)
        log(f"Serving on port {port}.")
        task_status.started()
        await trio.sleep_forever()


_HOSTNAME_DEFAULTS = (("http", "true"), ("tcp", "false"), ("udp", "false"))


async def _say_name(container: Container, listener: TcpListener) -> None:
    log = logger(container.log, container.wall_clock)
    try:
        while True:
            async with await listener.accept() as stream:
                log(f"TCP request from {stream.remote_address[0]}:{stream.remote_address[1]}")
                with suppress(trio.BrokenResourceError):  # it went away meanwhile
                    await stream.send_all(container.pod_name.encode())
    finally:
        with trio.CancelScope(shield=True):
            await listener.aclose()


async def porter(container: Container, words: Sequence[str], task_status: trio.TaskStatus[None]) -> int:
    """Serve on each port that a variable SERVE_[TCP_|UDP_|SCTP_|TLS_]PORT_N names, its value being the answer."""
    flags = parse_flags(words[1:], set(), {"json-response"})
    network = container.network
    async with trio.open_nursery() as nursery:
        for name, value in container.env.items():
            kind, port = _porter_port(name)
            if kind == "udp":
                nursery.start_soon(serve_udp, network.open_udp(port), _constant(value))
                logger(container.log, container.wall_clock)(f"Started UDP server on port {port}")
            elif kind == "sctp":
                from emulator.apps.programs.sctp_server import greet_sctp

                nursery.start_soon(greet_sctp, network.open_sctp_listener(port), value.encode())
            elif kind:
                context = _localhost_context(container) if kind == "tls" else None
                service = go_http.service(container, _porter_handler(value, "json-response" in flags))
                nursery.start_soon(serve, await network.open_tcp_listener(port), service, context)
        task_status.started()
        await trio.sleep_forever()


def _porter_port(name: str) -> tuple[str, int]:
    """Return the kind ("tcp", "udp", "sctp", "tls") and port that a variable asks for; ("", 0) for any other one."""
    for prefix, kind in _PORTER_PREFIXES:
        port = name.removeprefix(prefix)
        if port != name and port.isascii() and port.isdigit():
            return kind, port_number(port)
    return "", 0


_PORTER_PREFIXES = (
    ("SERVE_PORT_", "tcp"),
    ("SERVE_TCP_PORT_", "tcp"),
    ("SERVE_UDP_PORT_", "udp"),
    ("SERVE_SCTP_PORT_", "sctp"),
    ("SERVE_TLS_PORT_", "tls"),
)


def _porter_handler(value: str, as_json: bool) -> Handler:
    def handle(request: Request) -> Response:
        if as_json:
            return reply(to_json({"Method": request.method, "Body": value}), 200, {"Content-Type": "application/json"})
        return reply(value)

    return handle


def _constant(value: str) -> Answer:
    return lambda _: value.encode()


def _localhost_context(container: Container) -> ssl.SSLContext:
    from emulator.apps.certificate import server_context

    return server_context("Acme Co", "", LOCALHOST, container.wall_clock())


async def test_webserver(container: Container, words: Sequence[str], task_status: trio.TaskStatus[None]) -> int:
    """Serve files from /; there are none in a pod here, so that all but the directory itself is not found."""
    flags = parse_flags(words[1:], {"port"}, set())
    port = port_number(flags.get("port", "80"))

    def handle(request: Request) -> Response:
        if request.path != "/":
            return go_http.not_found()
        listing = '<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n</pre>\n'
        return reply(listing, 200, {"Content-Type": "text/html; charset=utf-8"})

    listener = await container.network.open_tcp_listener(port)
    task_status.started()
    await serve(listener, go_http.service(container, handle))
    return 0


async def logs_generator(container: Container, words: Sequence[str], task_status: trio.TaskStatus[None]) -> int:
    """Write lines like an API server's, evenly over a time."""
    flags = parse_flags(words[1:], {"log-lines-total", "run-duration", "t", "d"}, set())
    task_status.started()
    total = int(flags.get("log-lines-total", flags.get("t", "0")))
    duration = parse_duration(flags.get("run-duration", flags.get("d", "0")))
    if total <= 0:
        container.log(f"Invalid total number of lines: {total}")
        return 255
    if duration <= 0:
        container.log("Invalid duration: 0s")
        return 255
    for number in range(total):
        now = datetime.fromtimestamp(container.wall_clock(), UTC)
        head = f"I{now:%m%d %H:%M:%S}.{now.microsecond:06d}       1 logs_generator.go:76]"
        container.log(f"{head} {_log_line(container.pod_name, number)}")
        await trio.sleep(duration / total)
    return 0


def _log_line(pod: str, number: int) -> str:
    """Make the line of a number: drawn from the pod's name, so that a simulation repeats it."""
    draw = crc32(f"{pod}/{number}".encode())
    method = ("GET", "POST", "PUT")[draw % 3]
    namespace = ("kube-system", "default", "ns")[draw // 3 % 3]
    letters = "bcdfghjklmnpqrstvwxz2456789"
    name = "".join(letters[draw // divisor % len(letters)] for divisor in (9, 251, 6761, 182_547)[: 3 + draw % 2])
    return f"{number} {method} /api/v1/namespaces/{namespace}/pods/{name} {200 + draw // 9 % 400}"
