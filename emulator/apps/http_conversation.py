"""The server's side of one HTTP/1.1 connection, between h11 and a program's handler: requests and answers in turn."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING

import h11
import trio

from emulator.apps.environment import TcpStream
from emulator.apps.http_message import Request, Response, http_date, text

if TYPE_CHECKING:
    from emulator.apps.http_service import Service

HEADER_LIMIT = 16 << 10  # bytes of a request's head
LINGER_TIMEOUT = 5.0  # seconds, as nginx's lingering_timeout
LINGER_LIMIT = 8 << 20  # bytes
SEND_TIMEOUT = 75.0  # seconds without progress in which a client takes nothing, as nginx's send_timeout and some
_READ_SIZE = 65_536
_REQUEST_LINE = re.compile(
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+( [\x21-\xff]*( (H(T(T(P(/([0-9](\.([0-9])?)?)?)?)?)?)?)?)?)?\r?"
)


class NoAnswerError(Exception):
    """Raised by a handler that gives none: the connection is closed, as by a program that ends in the middle."""


class Conversation:
    """One connection: requests and responses in turn."""

    def __init__(self, stream: TcpStream, service: Service) -> None:
        self._stream = stream
        self._service = service
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_LIMIT)
        self._first = b""
        self._is_http = False  # whether it is sure by now
        self._ending = False
        self._waiting = trio.CancelScope()  # for the first bytes of a request

    def end(self) -> None:
        """Take no more requests: close now if none is under way, else behind its response."""
        self._ending = True
        self._waiting.cancel()

    async def run(self) -> None:
        """Answer until the client or an error ends it."""
        while not self._ending:
            try:
                with trio.fail_after(self._service.idle_timeout):
                    request = await self._receive_request()
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint)
                return
            if request is None:
                return
            if not await self._answer(request):
                return
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _answer(self, request: Request) -> bool:
        """Answer a request; whether that came to its end."""
        try:
            await self._respond(request.method, await self._handle(request))
        except NoAnswerError:
            return False
        except (trio.BrokenResourceError, trio.TooSlowError):
            raise
        except Exception as error:  # of a body that came bit by bit, or was not as long as its header said
            self._log(request, error)
            return False
        return True

    async def _handle(self, request: Request) -> Response:
        try:
            response = self._service.handler(request)
            return response if isinstance(response, Response) else await response
        except NoAnswerError:
            raise
        except Exception as error:
            self._log(request, error)
            return text("500 Internal Server Error", 500)

    def _log(self, request: Request, error: Exception) -> None:
        self._service.log(f"{request.method} {request.target}: {type(error).__name__}: {error}")

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
                if len(body) > self._service.body_limit:
                    raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return self._request(head, bytes(body))
            else:  # closed, or h11 waits for another protocol
                return None

    async def _receive(self) -> bool:
        """Take some bytes in. False if they are no HTTP and were answered as such, or if no more is wanted."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
        if self._http.their_state is h11.IDLE and not self._http.trailing_data[0]:
            data = b""
            with trio.CancelScope() as self._waiting:
                if not self._ending:
                    data = await self._stream.receive_some(_READ_SIZE)
            if self._waiting.cancelled_caught:
                return False
        else:
            data = await self._stream.receive_some(_READ_SIZE)
        if self._is_garbage(data):
            await self._send_all(self._service.garbage or b"")
            return False
        self._http.receive_data(data)
        return True

    def _is_garbage(self, data: bytes) -> bool:
        """Whether what came so far can be no request line; asked for only until one is whole.

        A service that answers nothing to garbage refuses a line that is none at once, as servers do that read by lines.
        """
        if self._is_http:
            return False
        self._first += data
        line, newline, _ = self._first.partition(b"\n")
        if self._service.garbage is None:
            self._is_http = bool(newline) or len(line) > HEADER_LIMIT
            if newline and line.strip() and b" " not in line:
                raise h11.RemoteProtocolError("a malformed request line", error_status_hint=400)
            return False
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
        date = ("Date", http_date(self._service.wall_clock()))
        headers = [*self._service.headers, *response.first, date, *response.headers]
        names = {name.lower() for name, _ in headers}
        if response.parts is None and not response.bodiless and "content-length" not in names:
            headers.append(("Content-Length", str(len(response.body))))
        if self._ending and "connection" not in names:
            headers.append(("Connection", "close"))
        head = h11.Response(status_code=response.status, reason=response.reason, headers=headers)
        data = self._http.send(head) or b""
        if method == "HEAD" or response.bodiless:
            pass
        elif response.parts is not None:
            data = await self._send_parts(data, response)
        elif response.body:
            data += self._http.send(h11.Data(data=response.body)) or b""
        await self._send_all(data + (self._http.send(h11.EndOfMessage()) or b""))

    async def _send_parts(self, head: bytes, response: Response) -> bytes:
        """Send a body as it comes, its head with its first part; return what is left to send."""
        if response.parts is None:
            return head
        async with aclosing(response.parts) as parts:
            async for part in parts:
                if part:
                    await self._send_all(head + (self._http.send(h11.Data(data=part)) or b""))
                    head = b""
        return head

    async def _refuse(self, status: int) -> None:
        """Answer what is no proper request, and hang up."""
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        error = self._service.error(status)
        kept = tuple(header for header in error.headers if header[0] != "Connection")
        await self._respond("GET", Response(error.status, error.body, (*kept, ("Connection", "close")), error.first))
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
        with trio.fail_after(SEND_TIMEOUT):
            await self._stream.send_all(data)
