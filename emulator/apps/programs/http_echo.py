"""hashicorp/http-echo: one text for every request, `-text` on `-listen`."""

from __future__ import annotations

from functools import partial

import trio

from emulator.apps.environment import Container
from emulator.apps.go import http as go_http
from emulator.apps.go.flags import parse_flags
from emulator.apps.go.http import reply
from emulator.apps.http_message import Request, Response
from emulator.apps.http_server import serve_port
from emulator.apps.options import UsageError, port_number
from emulator.apps.termination import GO_DEFAULT, until_terminated

DEFAULT_LISTEN = ":5678"
_HEADERS = {"X-App-Name": "http-echo", "X-App-Version": "1.0.0"}


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
            return reply('{"status":"ok"}\n', 200, _HEADERS)
        return reply(f"{text}\n", status, _HEADERS)

    container.log(f"[INFO] server is listening on {listen}")
    service = go_http.service(container, handle)
    serve = partial(serve_port, container, number, service, host=host, task_status=task_status)
    return await until_terminated(container, GO_DEFAULT, serve)
