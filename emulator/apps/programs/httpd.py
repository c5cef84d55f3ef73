"""Apache httpd with its default site: "It works!" on port 80.

The stop signal of its image is SIGWINCH: it takes no more connections and ends when all requests are answered.
"""

from __future__ import annotations

import trio

from emulator.apps.environment import Container
from emulator.apps.http_message import Request, Response, http_date
from emulator.apps.http_server import serve_port
from emulator.apps.http_service import Service

SERVER = "Apache/2.4.62 (Unix)"
INDEX = b"<html><body><h1>It works!</h1></body></html>\n"
_MODIFIED = 1181587994  # Mon, 11 Jun 2007 18:53:14 GMT
_TITLES = {400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 413: "Request Entity Too Large"}
_TEXTS = {
    400: "Your browser sent a request that this server could not understand.<br />\n",
    404: "The requested URL was not found on this server.",
    405: "The requested method is not allowed for this URL.",
    413: "The requested resource does not allow request data with such requests, or the amount of data is too large.",
}


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve on port 80."""
    service = Service(_handle, container.wall_clock, container.log, error=error_page)
    return await serve_port(container, 80, service, graceful=True, task_status=task_status)


def _handle(request: Request) -> Response:
    if request.path not in {"/", "/index.html"}:
        return error_page(404)
    if request.method not in {"GET", "HEAD", "POST"}:
        return error_page(405)
    headers = (
        ("Server", SERVER),
        ("Last-Modified", http_date(_MODIFIED)),
        ("ETag", f'"{len(INDEX):x}-432a5e4a73a80"'),
        ("Accept-Ranges", "bytes"),
        ("Content-Length", str(len(INDEX))),
        ("Content-Type", "text/html"),
    )
    return Response(200, INDEX, headers)


def error_page(status: int) -> Response:
    """Make Apache's page of an error."""
    title = _TITLES.get(status, "Bad Request")
    body = (
        '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n'
        f"<html><head>\n<title>{status} {title}</title>\n</head><body>\n"
        f"<h1>{title}</h1>\n<p>{_TEXTS.get(status, _TEXTS[400])}</p>\n</body></html>\n"
    ).encode()
    headers = (
        ("Server", SERVER),
        ("Content-Length", str(len(body))),
        ("Content-Type", "text/html; charset=iso-8859-1"),
    )
    return Response(status, body, headers)
