"""An HTTP/1.1 client on one TCP stream: what curl, wget and programs that ask others run. h11 does the protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator

import h11
import trio
from msgspec import Struct

from emulator.apps.environment import TcpStream
from emulator.apps.http_message import Headers
from emulator.packet.digits import is_natural

HEADER_LIMIT = 100 << 10  # bytes of a response's head, as curl takes them
_READ_SIZE = 65_536


class EmptyReplyError(Exception):
    """The server closed the connection before it said anything."""


class ShortReplyError(Exception):
    """The server closed the connection inside a body; `missing` is how many bytes its Content-Length still promised."""

    def __init__(self, missing: int | None) -> None:
        super().__init__("transfer closed")
        self.missing = missing


class MalformedReplyError(Exception):
    """What came is no HTTP/1 response."""


class Head(Struct, frozen=True):
    """Status line and headers of a response, as they came."""

    status: int
    reason: str
    version: str
    headers: Headers

    def header(self, name: str) -> str:
        """Return a header's value, or "" (names' case does not matter)."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")

    @property
    def lines(self) -> list[str]:
        """Status line and headers as text, without line ends."""
        status = f"HTTP/{self.version} {self.status} {self.reason}"
        return [status, *(f"{name}: {value}" for name, value in self.headers)]


class HttpConnection:
    """Requests and responses in turn on a stream; `send`, `receive_head`, `body`, then again if `reusable`."""

    def __init__(self, stream: TcpStream) -> None:
        self.stream = stream
        self.heard = False  # whether the server has sent anything for this request
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_LIMIT)
        self._expected: int | None = None
        self._received = 0
        self._early: h11.Event | None = None

    @property
    def reusable(self) -> bool:
        """Whether the connection takes another request: both sides are done and neither closes."""
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def send(
        self, method: str, target: str, headers: Headers, body: bytes = b"", *, version: str = "1.1"
    ) -> None:
        """Send a whole request. trio.BrokenResourceError if the connection is gone, ValueError as `send_head`."""
        data = self._begin(method, target, headers, version)
        if body:
            data += self._encode(h11.Data(data=body))
        await self.stream.send_all(data + self._encode(h11.EndOfMessage()))

    async def send_head(self, method: str, target: str, headers: Headers, *, version: str = "1.1") -> None:
        """Send a request's head; `send_part` and `send_end` follow. ValueError for what HTTP cannot express."""
        await self.stream.send_all(self._begin(method, target, headers, version))

    async def send_part(self, part: bytes) -> int:
        """Send some of the body; return how many bytes that took, chunk lengths included."""
        data = self._encode(h11.Data(data=part)) if part else b""
        await self.stream.send_all(data)
        return len(data)

    async def send_end(self) -> int:
        """Say that the body is whole; return how many bytes that took."""
        data = self._encode(h11.EndOfMessage())
        if data:
            await self.stream.send_all(data)
        return len(data)

    async def wait_for_continue(self, patience: float) -> bool | None:
        """Wait for 100 Continue: whether it came; None where the server has answered for good meanwhile."""
        with trio.move_on_after(patience):
            event = await self._next_event()
            if isinstance(event, h11.InformationalResponse):
                return True
            self._early = event
            return None
        return False

    def _begin(self, method: str, target: str, headers: Headers, version: str) -> bytes:
        if self.reusable:
            self._http.start_next_cycle()
        self._expected, self._received, self.heard, self._early = None, 0, False, None
        data = self._encode(h11.Request(method=method, target=target, headers=list(headers)))
        return data.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1) if version == "1.0" else data

    def _encode(self, event: h11.Event) -> bytes:
        try:
            return self._http.send(event) or b""
        except h11.LocalProtocolError as error:
            raise ValueError(str(error)) from None

    async def receive_head(self) -> Head:
        """Wait for status and headers (100 Continue is passed over). EmptyReplyError, MalformedReplyError."""
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                break
            if isinstance(event, h11.ConnectionClosed):
                raise EmptyReplyError
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
        head = Head(event.status_code, event.reason.decode("latin-1"), event.http_version.decode("ascii"), headers)
        length = head.header("content-length")
        self._expected = int(length) if is_natural(length) else None
        return head

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body in parts. ShortReplyError where the connection ends inside it."""
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                self._received += len(event.data)
                yield bytes(event.data)
            else:
                return

    async def _next_event(self) -> h11.Event:
        if self._early is not None:
            event, self._early = self._early, None
            return event
        while True:
            try:
                found = self._http.next_event()
                if not isinstance(found, type):
                    return found
                if found is h11.PAUSED:
                    return h11.ConnectionClosed()
                data = await self.stream.receive_some(_READ_SIZE)
                self.heard = self.heard or bool(data)
                self._http.receive_data(data)
            except h11.RemoteProtocolError as error:
                raise self._failure(error) from None

    def _failure(self, error: h11.RemoteProtocolError) -> Exception:
        if not self.heard:
            return EmptyReplyError()
        if "without sending complete message body" in str(error) or "incomplete chunked" in str(error):
            return ShortReplyError(None if self._expected is None else self._expected - self._received)
        return MalformedReplyError(str(error))
