"""nginx with its default site: the welcome page on port 80, its own error pages, its access log.

The stop signal of its image is SIGQUIT: it takes no more connections and ends when all requests are answered.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import trio

from emulator.apps.environment import Container
from emulator.apps.http_message import Request, Response, http_date
from emulator.apps.http_server import serve_port
from emulator.apps.http_service import Service

VERSION = "1.27.4"
_BUILT = 1738756846  # when the image's index.html was made: Wed, 05 Feb 2025 12:00:46 GMT
INDEX = b"""<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p>For online documentation and support please refer to
<a href="http://nginx.org/">nginx.org</a>.<br/>
Commercial support is available at
<a href="http://nginx.com/">nginx.com</a>.</p>

<p><em>Thank you for using nginx.</em></p>
</body>
</html>
"""
_TITLES = {
    400: "400 Bad Request",
    404: "404 Not Found",
    405: "405 Not Allowed",
    413: "413 Request Entity Too Large",
    431: "400 Request Header Or Cookie Too Large",
}


async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
    """Serve on port 80."""
    return await serve_nginx(container, 80, task_status)


async def serve_nginx(container: Container, port: int, task_status: trio.TaskStatus[None]) -> int:
    """Serve on a port."""
    service = Service(
        _handler(container),
        container.wall_clock,
        container.log,
        headers=(("Server", f"nginx/{VERSION}"),),
        error=error_page,
    )
    return await serve_port(container, port, service, graceful=True, task_status=task_status)


def error_page(status: int) -> Response:
    """Make nginx's page of an error."""
    title = _TITLES.get(status, f"{status} Bad Request")
    line = f"<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    body = f"<html>\r\n{line}<hr><center>nginx/{VERSION}</center>\r\n</body>\r\n</html>\r\n".encode()
    headers = (("Content-Type", "text/html"), ("Content-Length", str(len(body))), ("Connection", "keep-alive"))
    return Response(status, body, headers)


def _handler(container: Container) -> Callable[[Request], Response]:
    etag = f'"{_BUILT:x}-{len(INDEX):x}"'
    page = Response(
        200,
        INDEX,
        (
            ("Content-Type", "text/html"),
            ("Content-Length", str(len(INDEX))),
            ("Last-Modified", http_date(_BUILT)),
            ("Connection", "keep-alive"),
            ("ETag", etag),
            ("Accept-Ranges", "bytes"),
        ),
    )

    def handle(request: Request) -> Response:
        found = request.path in {"/", "/index.html"}
        if request.method in {"GET", "HEAD"}:
            response = page if found else error_page(404)
        else:
            response = error_page(405 if found else 404)
        container.log(access_line(request, response, container.wall_clock()))
        return response

    return handle


def access_line(request: Request, response: Response, now: float) -> str:
    """Write a request as the "combined" log format does."""
    time = datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    line = f"{request.method} {request.target} HTTP/{request.version}"
    size = 0 if request.method == "HEAD" else len(response.body)
    referer, agent = request.header("referer") or "-", request.header("user-agent") or "-"
    return f'{request.client[0]} - - [{time}] "{line}" {response.status} {size} "{referer}" "{agent}" "-"'
