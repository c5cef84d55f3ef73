"""traefik/whoami: tells its host, its addresses and the request as it came in.

Source: github.com/traefik/whoami, app.go. `/echo`, a WebSocket, is not there.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import trio
from msgspec import Struct

from emulator.apps.environment import Container
from emulator.apps.go import http as go_http
from emulator.apps.go.flags import parse_flags
from emulator.apps.go.http import canonical_headers, reply
from emulator.apps.go.text import logger, parse_duration, to_json
from emulator.apps.http_message import Request, Response, http_date
from emulator.apps.http_server import serve_port
from emulator.apps.options import UsageError, port_number
from emulator.apps.termination import GO_DEFAULT, until_terminated
from emulator.packet.address import format_ipv4

_VALUED = {"port", "name", "cert", "key", "cacert", "allowed-origins"}
_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_ALPHABET = b"-ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # what /data repeats, with a bar at either end
_PIECE = 27 * 1024  # bytes


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve on port 80, or `--port`, or $WHOAMI_PORT_NUMBER. Exit status 2 for a flag that there is not."""
    try:
        flags = parse_flags(container.args, _VALUED, {"verbose"})
        port = port_number(flags.get("port", container.env.get("WHOAMI_PORT_NUMBER", "80")))
    except (UsageError, ValueError) as error:
        container.log(str(error))
        return 2
    tls: ssl.SSLContext | None = None
    if flags.get("cert") and flags.get("key"):
        from emulator.apps.certificate import server_context

        tls = server_context("Podwire", container.pod_name, (container.pod_name, "localhost"), container.wall_clock())
    name = flags.get("name", container.env.get("WHOAMI_NAME", ""))
    origins = flags.get("allowed-origins", container.env.get("WHOAMI_ALLOWED_ORIGINS", "*"))
    log = logger(container.log, container.wall_clock)
    log(f"Starting up {'with TLS ' if tls else ''}on port {port}")
    whoami = Whoami(container, name, origins, verbose=flags.get("verbose") == "true")
    service = go_http.service(container, whoami.handle)
    serve = partial(serve_port, container, port, service, tls=tls, task_status=task_status)
    return await until_terminated(container, GO_DEFAULT, serve)


class Whoami(Struct):
    """What it answers; `health` is the status of /health, which a POST sets."""

    container: Container
    name: str
    origins: str
    verbose: bool
    health: int = 200

    async def handle(self, request: Request) -> Response:
        """Answer a request."""
        response = await self._answer(request)
        if self.verbose:
            now = datetime.fromtimestamp(self.container.wall_clock(), UTC)
            line = f'"{request.method} {request.path} HTTP/{request.version}"'
            client = f"{request.client[0]}:{request.client[1]}"
            log = logger(self.container.log, self.container.wall_clock)
            log(f"{client} - - [{now:%d/%b/%Y:%H:%M:%S} +0000] {line} - -")
        return response

    async def _answer(self, request: Request) -> Response:
        match request.path:
            case "/bench":
                return reply("1", 200, {"Connection": "keep-alive", "Content-Type": "text/plain"})
            case "/health":
                return self._health(request)
            case "/data":
                return _data(request, self.container.wall_clock())
            case "/echo":
                return reply("Bad Request\n", 400, {"Content-Type": go_http.PLAIN, "Sec-Websocket-Version": "13"})
            case "/api":
                headers = {"Access-Control-Allow-Methods": "*", "Access-Control-Allow-Origin": self.origins}
                return reply(self._json(request), 200, {**headers, "Content-Type": "application/json"})
        with suppress(ValueError):  # what is no duration is passed over
            await trio.sleep(max(0.0, parse_duration(request.parameter("wait"))))
        return reply("".join(self._lines(request)))

    def _health(self, request: Request) -> Response:
        if request.method != "POST":
            return reply("", self.health)
        said = request.body.decode("ascii", "replace").strip()
        if not (said.isdigit() and 200 <= int(said) <= 999):
            return go_http.error(f"invalid character {said[:1]!r} looking for beginning of value", 400)
        self.health = int(said)
        self.container.log(f"Update health check status code [{said}]")
        return reply()

    def _lines(self, request: Request) -> list[str]:
        lines = [f"Name: {self.name}\n"] if self.name else []
        lines.append(f"Hostname: {self.container.pod_name}\n")
        lines += [f"IP: {address}\n" for address in addresses(self.container)]
        lines.append(f"RemoteAddr: {request.client[0]}:{request.client[1]}\n")
        lines.append(f"{request.method} {request.target} HTTP/1.1\r\n")
        lines += [f"{key}: {value}\r\n" for key, value in _canonical(request)]
        lines.append("\r\n")
        lines.append(request.body.decode("utf-8", "replace"))
        if request.parameter("env") in _TRUE:
            lines += [f"{key}={value}\n" for key, value in self._environment().items()]
        return lines

    def _json(self, request: Request) -> str:
        data: dict[str, object] = {
            "hostname": self.container.pod_name,
            "ip": addresses(self.container),
            "headers": canonical_headers(request),
            "url": request.target,
            "host": request.header("host"),
            "method": request.method,
            "name": self.name,
            "remoteAddr": f"{request.client[0]}:{request.client[1]}",
            "environ": dict(sorted(self._environment().items())) if request.parameter("env") in _TRUE else {},
        }
        return to_json({key: value for key, value in data.items() if value}) + "\n"

    def _environment(self) -> dict[str, str]:
        return {"HOSTNAME": self.container.pod_name, **self.container.env}


def addresses(container: Container) -> list[str]:
    """The addresses of the container's links, as net.Interfaces of Go lists them."""
    return [format_ipv4(own.address) for link in container.network.netns.links.values() for own in link.addresses]


def _canonical(request: Request) -> list[tuple[str, str]]:
    """Headers as Go's Request.Write orders and spells them: Host and User-Agent first."""
    headers = canonical_headers(request)
    first = [("Host", request.header("host"))]
    first += [("User-Agent", value) for value in headers.pop("User-Agent", [])[:1]]
    return first + [(name, value) for name, values in headers.items() for value in values]


def _data(request: Request, now: float) -> Response:
    """Answer /data: as many bytes as asked for, in chunks, or as a file to save."""
    said = request.parameter("size")
    size = int(said) if said.lstrip("-").isascii() and said.lstrip("-").isdigit() else 1
    size = max(0, size) * _UNITS.get(request.parameter("unit").lower(), 1)
    size = size if size > 1 else 0  # the original's reader finds itself at the end of a single byte
    if request.parameter("attachment") in _TRUE:
        size = max(0, size - 1)  # as the original's Seek tells it
        own = (
            ("Accept-Ranges", "bytes"),
            ("Content-Disposition", "Attachment"),
            ("Content-Length", str(size)),
            ("Content-Type", go_http.PLAIN),
            ("Last-Modified", http_date(now)),
        )
        return Response(200, b"", (), own, _content(size))
    if size <= 2048:
        return reply(_slice(0, size, size))
    return Response(200, b"", (("Content-Type", go_http.PLAIN),), (), _content(size))


async def _content(size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, size, _PIECE):
        yield _slice(start, min(size, start + _PIECE), size)


def _slice(start: int, end: int, size: int) -> bytes:
    """Return bytes `start` to `end` of a content of `size` bytes: the alphabet over and over, a bar at either end."""
    shift = start % len(_ALPHABET)
    count = end - start
    piece = bytearray((_ALPHABET[shift:] + _ALPHABET * (count // len(_ALPHABET) + 1))[:count])
    if count and start == 0:
        piece[0] = ord("|")
    if count and end == size:
        piece[-1] = ord("|")
    return bytes(piece)
