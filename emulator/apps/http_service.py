"""How a program serves HTTP: its handler, and what it answers where no request could be understood."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from msgspec import Struct

from emulator.apps.http_message import Headers, Request, Response, text

BODY_LIMIT = 1 << 20  # bytes of a request's body
IDLE_TIMEOUT = 75.0  # seconds, as nginx's keepalive_timeout

Handler = Callable[[Request], Response | Awaitable[Response]]


class Service(Struct, frozen=True):
    """How a program serves HTTP.

    `headers` come first in every response, Date follows. `error` makes the response to a malformed request of a
    status; `garbage`, if there is one, answers a client that speaks another protocol: it gets these bytes once.
    `plain` is for clients that speak HTTP where TLS is spoken; `tls_if_asked` makes the settings for clients that begin
    with TLS where it need not be spoken. `idle_timeout` is in seconds.
    """

    handler: Handler
    wall_clock: Callable[[], float]
    log: Callable[[str], None]
    headers: Headers = ()
    error: Callable[[int], Response] = lambda status: text(f"{status} {HTTPStatus(status).phrase}", status)
    garbage: bytes | None = None
    plain: bytes = b""
    tls_if_asked: Callable[[], ssl.SSLContext] | None = None
    idle_timeout: float = IDLE_TIMEOUT
    body_limit: int = BODY_LIMIT
