"""An HTTP/1.1 server over the TCP of a namespace: what every web-serving image runs. h11 does the protocol.

A connection's errors end that connection only; its limits keep one client from using the server up.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import h11
import trio

from emulator.apps.environment import Container, TcpListener, TcpStream
from emulator.apps.http_message import Headers, Request, Response, http_date, text

BODY_LIMIT = 1 << 20  # bytes of a request's body
HEADER_LIMIT = 16 << 10  # bytes of a request's head
IDLE_TIMEOUT = 75.0  # seconds, as nginx's keepalive_timeout
CONNECTION_LIMIT = 1_000
LINGER_TIMEOUT = 5.0  # seconds, as nginx's lingering_timeout
LINGER_LIMIT = 8 << 20  # bytes
_READ_SIZE = 65_536
_REQUEST_LINE = re.compile(
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+( [\x21-\xff]*( (H(T(T(P(/([0-9](\.([0-9])?)?)?)?)?)?)?)?)?)?\r?"
)

Handler = Callable[[Request], Response | Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Service:
    """How a program serves HTTP.

    `headers` come first in every response, Date follows. `error` makes the response to a malformed request of a
    status; `garbage`, if there is one, answers a client that speaks another protocol: it gets these bytes once.
    """

    handler: Handler
    wall_clock: Callable[[], float]
    log: Callable[[str], None]
    headers: Headers = ()
    error: Callable[[int], Response] = lambda status: text(f"{status} {HTTPStatus(status).phrase}", status)
    garbage: bytes | None = None


async def serve_port(
    container: Container,
    port: int,
    service: Service,
    *,
    host: str = "",
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> int:
    """Listen on a port of a container, at `host` (a name or address) or all addresses, and serve until cancelled.

    OSError(EADDRINUSE) where the port is taken, OSError(EADDRNOTAVAIL) where the address is not the container's.
    """
    network = container.network
    address = (await network.resolve(host))[0] if host else "0.0.0.0"
    listener = await network.open_tcp_listener(port, address=address)
    task_status.started()
    await serve(listener, service)
    return 0


async def serve(listener: TcpListener, service: Service) -> None:
    """Serve each connection in a task of its own until cancelled, or until the listener fails (OSError)."""
    free = trio.Semaphore(CONNECTION_LIMIT)
    try:
        async with trio.open_nursery() as nursery:
            while True:
                await free.acquire()
                stream = await listener.accept()
                nursery.start_soon(_serve_stream, stream, service, free)
    finally:
        with trio.CancelScope(shield=True):
            await listener.aclose()


async def _serve_stream(stream: TcpStream, service: Service, free: trio.Semaphore) -> None:
    try:
        async with stream:
            with suppress(trio.BrokenResourceError, trio.TooSlowError):  # the client went away: nobody to tell
                await _Conversation(stream, service).run()
    finally:
        free.release()


class _Conversation:
    """One connection: requests and responses in turn."""

    def __init__(self, stream: TcpStream, service: Service) -> None:
        self._stream = stream
        self._service = service
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_LIMIT)
        self._first = b""
        self._is_http = service.garbage is None  # whether it is sure by now, or does not matter

    async def run(self) -> None:
        """Answer until the client or an error ends it."""
        while True:
            try:
                with trio.fail_after(IDLE_TIMEOUT):
                    request = await self._receive_request()
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint)
                return
            if request is None:
                return
            await self._respond(request.method, await self._handle(request))
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _handle(self, request: Request) -> Response:
        try:
            response = self._service.handler(request)
            return response if isinstance(response, Response) else await response
        except Exception as error:
            self._service.log(f"{request.method} {request.target}: {type(error).__name__}: {error}")
            return text("500 Internal Server Error", 500)

    async def _receive_request(self) -> Request | None:
        """Return the next request with its body; None when the client has no more, or speaks no HTTP."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if not await self._receive():
                    return None
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_LIMIT:
                    raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return self._request(head, bytes(body))
            else:  # closed, or h11 waits for another protocol
                return None

    async def _receive(self) -> bool:
        """Take some bytes in. False if they are no HTTP and were answered as such."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
        data = await self._stream.receive_some(_READ_SIZE)
        if self._is_garbage(data):
            await self._send_all(self._service.garbage or b"")
            return False
        self._http.receive_data(data)
        return True

    def _is_garbage(self, data: bytes) -> bool:
        """Whether what came so far can be no request line; asked for only until one is whole."""
        if self._is_http:
            return False
        self._first += data
        line, newline, _ = self._first.partition(b"\n")
        if newline:
            self._is_http = b" HTTP/" in line and _REQUEST_LINE.fullmatch(line) is not None
            return not self._is_http
        return bool(line) and (len(line) > HEADER_LIMIT or _REQUEST_LINE.fullmatch(line) is None)

    def _request(self, head: h11.Request, body: bytes) -> Request:
        return Request(
            head.method.decode("latin-1"),
            head.target.decode("latin-1"),
            tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()),
            body,
            head.http_version.decode("ascii"),
            self._stream.remote_address,
            self._stream.local_address,
        )

    async def _respond(self, method: str, response: Response) -> None:
        headers = [*self._service.headers, ("Date", http_date(self._service.wall_clock())), *response.headers]
        if not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(response.body))))
        await self._send(h11.Response(status_code=response.status, reason=response.reason, headers=headers))
        if method != "HEAD" and response.body:
            await self._send(h11.Data(data=response.body))
        await self._send(h11.EndOfMessage())

    async def _refuse(self, status: int) -> None:
        """Answer what is no proper request, and hang up."""
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        error = self._service.error(status)
        kept = tuple(header for header in error.headers if header[0] != "Connection")
        await self._respond("GET", Response(error.status, error.body, (*kept, ("Connection", "close"))))
        await self._linger()

    async def _linger(self) -> None:
        """Read on for a while: closing with data unread would reset the connection under our answer (RFC 9112, 9.6)."""
        await self._stream.send_eof()
        left = LINGER_LIMIT
        with trio.move_on_after(LINGER_TIMEOUT):
            while left > 0 and (data := await self._stream.receive_some(_READ_SIZE)):
                left -= len(data)

    async def _send(self, event: h11.Event) -> None:
        await self._send_all(self._http.send(event) or b"")

    async def _send_all(self, data: bytes) -> None:
        with trio.fail_after(IDLE_TIMEOUT):
            await self._stream.send_all(data)
