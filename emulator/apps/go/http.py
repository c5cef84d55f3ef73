"""Answers as Go's net/http makes them: which headers, in which order, and when a body goes out in chunks."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from posixpath import dirname, normpath
from urllib.parse import parse_qs, urlsplit

from msgspec.structs import replace

from emulator.apps.environment import Container
from emulator.apps.go.text import logger
from emulator.apps.http_message import Headers, Request, Response
from emulator.apps.http_service import Handler, Service

PLAIN = "text/plain; charset=utf-8"
PLAIN_HTTP = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
"""What a client that speaks HTTP to an HTTPS port gets."""

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})  # net/http's htmlReplacer
_BUFFERED = 2048  # bytes up to which net/http knows the length of what a handler writes (bufferBeforeChunkingSize)


def service(container: Container, handler: Handler, *, garbage: bytes | None = None) -> Service:
    """Serve as http.Server{} does: without a time limit for silent clients, and with Go's words for bad requests."""
    return Service(
        handler,
        container.wall_clock,
        logger(container.log, container.wall_clock),
        error=bad_request,
        garbage=garbage,
        plain=PLAIN_HTTP,
        idle_timeout=math.inf,
    )


def reply(body: str | bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer as a handler that sets these headers and writes this body.

    A handler's own headers come sorted and in front of Date; Content-Length, and a type that net/http finds by itself,
    behind it. Over 2 KiB net/http does not know the length when it must begin, and sends chunks.
    """
    data = body.encode() if isinstance(body, str) else body
    own = tuple(sorted((headers or {}).items()))
    given = {name.lower() for name, _ in own}
    behind: Headers = ()
    parts: AsyncGenerator[bytes, None] | None = None
    if len(data) > _BUFFERED and "content-length" not in given:
        parts = _pieces(data)
    elif "content-length" not in given:
        behind += (("Content-Length", str(len(data))),)
    if data and "content-type" not in given:
        behind += (("Content-Type", PLAIN),)
    return Response(status, data, behind, own, parts)


async def _pieces(data: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), 32_768):
        yield data[start : start + 32_768]


def error(message: str, status: int) -> Response:
    """Answer as http.Error."""
    headers = {"Content-Type": PLAIN, "X-Content-Type-Options": "nosniff"}
    return reply(f"{message}\n", status, headers)


def not_found() -> Response:
    """Answer as http.NotFound."""
    return error("404 page not found", 404)


def bad_request(status: int) -> Response:
    """Answer what is no proper request, and hang up, as net/http does."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Bad Request"
    body = f"{status} {phrase}".encode()
    return Response(status, body, (("Content-Type", PLAIN), ("Connection", "close")))


def redirect(request: Request, location: str, status: int) -> Response:
    """Answer as http.Redirect: a path without a slash in front is beside the request's own."""
    if not urlsplit(location).scheme and not location.startswith("/"):
        location = f"{dirname(request.path).rstrip('/')}/{location}"
    if location.startswith("/") and not location.startswith("//"):
        path, mark, query = location.partition("?")
        slash = "/" if path.endswith("/") and path != "/" else ""
        location = normpath(path) + slash + mark + query
    headers = {"Location": location}
    body = ""
    if request.method in {"GET", "HEAD"} and not request.header("content-type"):
        headers["Content-Type"] = "text/html; charset=utf-8"
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
        body = f'<a href="{location.translate(_HTML)}">{phrase}</a>.\n\n' if request.method == "GET" else ""
    return reply(body, status, headers)


def form_value(request: Request, name: str) -> str:
    """Return a value as Request.FormValue does: of the form in the body, else of the query, else ""."""
    if request.body and request.header("content-type").startswith("application/x-www-form-urlencoded"):
        values = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True).get(name)
        if values:
            return values[0]
    return request.parameter(name)


def canonical_headers(request: Request) -> dict[str, list[str]]:
    """Return the headers as http.Header has them: names spelled alike, without Host."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name.lower() != "host":
            found.setdefault(spell(name), []).append(value)
    return dict(sorted(found.items()))


def spell(name: str) -> str:
    """Write a header's name in Go's canonical form: "User-Agent"."""
    return "-".join(part.capitalize() for part in name.split("-"))


def override(request: Request, target: str) -> Request:
    """Return the request that a handler makes of itself: a GET of `target`, from nowhere."""
    return replace(request, method="GET", target=target, headers=(), body=b"", client=("", 0))
