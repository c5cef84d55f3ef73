"""`agnhost liveness`: a server that is well for ten seconds, then sick, and has answers that come late or never.

Source: Kubernetes, test/images/agnhost/liveness/server.go.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from urllib.parse import unquote_plus

import trio
from msgspec import Struct

from emulator.apps.environment import Container
from emulator.apps.go import http as go_http
from emulator.apps.go.flags import parse_flags
from emulator.apps.go.http import reply
from emulator.apps.go.text import format_duration
from emulator.apps.http_conversation import NoAnswerError
from emulator.apps.http_message import Request, Response
from emulator.apps.http_server import serve

PORT = 8080
WELL = 10.0  # seconds
_LONGEST_BODY = 1 << 20  # KiB


async def main(container: Container, words: Sequence[str], task_status: trio.TaskStatus[None]) -> int:
    """Serve on port 8080 until cancelled."""
    parse_flags(words[1:], set(), set())
    liveness = Liveness(trio.current_time())
    listener = await container.network.open_tcp_listener(PORT)
    task_status.started()
    await serve(listener, go_http.service(container, liveness.handle))
    return 0


class _Parameters(Struct, frozen=True):
    status: int
    seconds: int
    size: int  # KiB of body
    interval: int  # seconds between them

    async def body(self, interval: int) -> AsyncGenerator[bytes, None]:
        """Yield the body, KiB by KiB."""
        for number in range(self.size):
            if interval > 0:
                await trio.sleep(interval)
            yield b"".join(
                f"{(number << 6 | line) * 0x9E3779B97F4A7C15 & (1 << 64) - 1:16x}".encode() for line in range(64)
            )


class Liveness:
    """What it answers; `began` is when it was started, in seconds."""

    def __init__(self, began: float) -> None:
        self._began = began

    async def handle(self, request: Request) -> Response:
        """Answer a request."""
        age = trio.current_time() - self._began
        match request.path:
            case "/started":
                return reply(format_duration(age))
            case "/healthz":
                return reply("ok") if age <= WELL else reply(f"error: {age}", 500)
            case "/redirect":
                return go_http.redirect(request, unquote_plus(request.parameter("loc")), 302)
            case "/disconnect-headers":
                raise NoAnswerError
            case "/sleep-headers" | "/sleep-body" | "/disconnect-body" | "/slow-response":
                return await self._slow(request)
            case _:
                return go_http.not_found()

    async def _slow(self, request: Request) -> Response:
        try:
            parameters = _read(request)
        except ValueError as error:
            return go_http.error(str(error), 400)
        if request.path == "/sleep-headers":
            await trio.sleep(parameters.seconds)
        headers = (("Content-Type", go_http.PLAIN),)
        return Response(parameters.status, b"", headers, parts=self._parts(request.path, parameters))

    @staticmethod
    async def _parts(path: str, parameters: _Parameters) -> AsyncGenerator[bytes, None]:
        slept = f"Slept for {parameters.seconds} secs\n".encode()
        if path == "/sleep-headers":
            yield slept
        async for part in parameters.body(0 if path in {"/sleep-headers", "/disconnect-body"} else parameters.interval):
            yield part
        if path == "/sleep-body":
            yield f"Sleeping for {parameters.seconds} secs\n".encode()
            await trio.sleep(parameters.seconds)
            yield slept
        elif path == "/disconnect-body":
            yield b"Disconnecting\n"
            raise NoAnswerError


def _read(request: Request) -> _Parameters:
    values = []
    for name, default in (("code", 500), ("time", 0), ("size", 0), ("interval", 0)):
        said = request.parameter(name)
        try:
            values.append(int(said) if said else default)
        except ValueError:
            words = f'strconv.Atoi: parsing "{said}": invalid syntax'
            raise ValueError(f"parameter '{name}' is invalid: {words}") from None
    status, seconds, size, interval = values
    if not 200 <= status <= 999:
        raise ValueError(f"invalid WriteHeader code {status}")
    return _Parameters(status, max(0, seconds), min(size, _LONGEST_BODY), interval)
