"""traefik/whoami: tells its host, its addresses and the request as it came in."""

from __future__ import annotations

import json
from collections.abc import Callable

import trio

from emulator.apps.environment import Container
from emulator.apps.http_message import Request, Response, text
from emulator.apps.http_server import Service, serve_port
from emulator.apps.options import UsageError, port_number
from emulator.apps.programs.go_flags import parse_flags
from emulator.packet.address import format_ipv4

_VALUED = {"port", "name", "cert", "key", "cacert"}
_FIRST = ("host", "user-agent")


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve on port 80, or `--port`, or $WHOAMI_PORT_NUMBER. Exit status 2 for a flag that there is not."""
    try:
        flags = parse_flags(container.args, _VALUED, {"verbose"})
        port = port_number(flags.get("port", container.env.get("WHOAMI_PORT_NUMBER", "80")))
    except (UsageError, ValueError) as error:
        container.log(str(error))
        return 2
    name = flags.get("name", container.env.get("WHOAMI_NAME", ""))
    container.log(f"Starting up on port {port}")
    service = Service(_handler(container, name), container.wall_clock, container.log)
    return await serve_port(container, port, service, task_status=task_status)


def _handler(container: Container, name: str) -> Callable[[Request], Response]:
    def handle(request: Request) -> Response:
        if request.path == "/bench":
            return text("1")
        if request.path == "/health":
            return text("")
        if request.path == "/api":
            return _as_json(container, name, request)
        return text("".join(_lines(container, name, request)))

    return handle


def addresses(container: Container) -> list[str]:
    """The addresses of the container's links, as net.Interfaces of Go lists them."""
    return [format_ipv4(own.address) for link in container.network.netns.links.values() for own in link.addresses]


def _lines(container: Container, name: str, request: Request) -> list[str]:
    lines = [f"Name: {name}\n"] if name else []
    lines.append(f"Hostname: {container.pod_name}\n")
    lines += [f"IP: {address}\n" for address in addresses(container)]
    lines.append(f"RemoteAddr: {request.client[0]}:{request.client[1]}\n")
    lines.append(f"{request.method} {request.target} HTTP/1.1\r\n")
    lines += [f"{key}: {value}\r\n" for key, value in _canonical(request)]
    lines.append("\r\n")
    lines.append(request.body.decode("utf-8", "replace"))
    return lines


def _canonical(request: Request) -> list[tuple[str, str]]:
    """Headers as Go's Request.Write orders and spells them."""
    first = [(_spell(name), value) for wanted in _FIRST for name, value in request.headers if name.lower() == wanted]
    others = [(_spell(name), value) for name, value in request.headers if name.lower() not in _FIRST]
    return [*first, *sorted(others, key=lambda header: header[0])]


def _spell(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _as_json(container: Container, name: str, request: Request) -> Response:
    headers: dict[str, list[str]] = {}
    for key, value in _canonical(request):
        if key != "Host":
            headers.setdefault(key, []).append(value)
    data: dict[str, object] = {
        "hostname": container.pod_name,
        "ip": addresses(container),
        "headers": headers,
        "url": request.target,
        "host": request.header("host"),
        "method": request.method,
        "remoteAddr": f"{request.client[0]}:{request.client[1]}",
    }
    if name:
        data["name"] = name
    body = json.dumps(data, separators=(",", ":")) + "\n"
    return Response(200, body.encode(), (("Content-Type", "application/json"),))
