"""hashicorp/http-echo: one text for every request, `-text` on `-listen`."""

from __future__ import annotations

import json

import trio

from emulator.apps.environment import Container
from emulator.apps.http_message import Request, Response
from emulator.apps.http_server import Service, serve_port
from emulator.apps.options import UsageError, port_number
from emulator.apps.programs.go_flags import parse_flags

DEFAULT_LISTEN = ":5678"
_HEADERS = (("X-App-Name", "http-echo"), ("X-App-Version", "1.0.0"))


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve until cancelled. Exit status 127 without a text, 2 for a flag that there is not."""
    try:
        flags = parse_flags(container.args, {"text", "listen", "status-code"}, {"version"})
        listen = flags.get("listen", DEFAULT_LISTEN)
        host, _, port = listen.rpartition(":")
        number = port_number(port)
        status = int(flags.get("status-code", "200"))
    except (UsageError, ValueError) as error:
        container.log(str(error))
        return 2
    text = flags.get("text", container.env.get("ECHO_TEXT", ""))
    if not text:
        container.log("Missing -text option!")
        return 127

    def handle(request: Request) -> Response:
        if request.path == "/health":
            body = json.dumps({"status": "ok"}, separators=(",", ":")) + "\n"
            return Response(200, body.encode(), (("Content-Type", "application/json"),))
        return Response(status, f"{text}\n".encode(), (*_HEADERS, ("Content-Type", "text/plain; charset=utf-8")))

    container.log(f"[INFO] server is listening on {listen}")
    service = Service(handle, container.wall_clock, container.log)
    return await serve_port(container, number, service, host=host, task_status=task_status)
