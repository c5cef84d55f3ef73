"""The control protocol's client for the command line: blocking, without trio, whose import alone takes 180 ms.

Nothing runs in the background: responses are taken in while somebody waits for one.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from msgspec import UNSET, Struct

from emulator.api import messages
from emulator.api.codec import CodecError, FrameReader, encode_frame
from emulator.api.messages import Cancel, ControlError, ErrorCode, Input, Interrupt, Method, Request, Response

TIMEOUT = 10.0
"""Seconds that a process has to answer a simple request."""

CONNECT_TIMEOUT = 5.0
RECEIVE_SIZE = 262_144

P = TypeVar("P", bound=Struct)
E = TypeVar("E", bound=Struct)
R = TypeVar("R", bound=Struct)


class Exchange(Generic[E, R]):
    """An open request: its events as they come, then its result."""

    def __init__(self, client: Client, identity: int, method: Method[Any, E, R]) -> None:
        self._client = client
        self._identity = identity
        self._method = method
        self._events: list[E] = []
        self._last: Response | None = None

    @property
    def ended(self) -> bool:
        """Whether the result, or the error, has come."""
        return self._last is not None

    @property
    def result(self) -> R:
        """The result. Raises ControlError if the request failed."""
        assert self._last is not None
        if self._last.error is not UNSET:
            raise ControlError(self._last.error.code, self._last.error.message)
        return messages.convert(self._last.result, self._method.result)

    def accept(self, response: Response) -> None:
        """Take a response that is for this exchange."""
        if response.event is UNSET:
            self._last = response
        else:
            self._events.append(messages.convert(response.event, self._method.event))

    def take(self) -> list[E]:
        """Return the events that have come, without waiting."""
        events, self._events = self._events, []
        return events

    def receive(self, timeout: float | None = TIMEOUT) -> list[E]:
        """Return the events that have come; if there are none, wait until something comes, or for `timeout` seconds.

        Raises ControlError (UNAVAILABLE) if nothing comes in time or the connection ends.
        """
        if not self._events and not self.ended:
            self._client.receive(timeout)
        return self.take()

    def events(self, timeout: float | None = None) -> Iterator[E]:
        """Yield the events until the exchange ends; by default there may be any time between two."""
        while self._events or not self.ended:
            yield from self.receive(timeout)

    def wait(self, timeout: float | None = TIMEOUT) -> R:
        """Return the result, passing over events; `timeout` is for the whole. Raises ControlError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.ended:
            self.receive(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return self.result

    def encode_input(self, data: bytes | None) -> bytes:
        """Return the frame that carries standard input, or its end (None)."""
        return encode_frame(messages.plain(Input(id=self._identity, input=data)))

    def encode_interrupt(self) -> bytes:
        """Return the frame that is Ctrl-C for what the exchange runs."""
        return encode_frame(messages.plain(Interrupt(id=self._identity, interrupt=True)))

    def cancel(self) -> None:
        """Ask for the exchange's end; it still ends with a result or an error."""
        self._client.send(encode_frame(messages.plain(Cancel(id=self._identity, cancel=True))))


class Client:
    """A connection to the process `name`. Raises ControlError (UNAVAILABLE) where it cannot be reached."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._identity = 0
        self._exchanges: dict[int, Exchange[Any, Any]] = {}
        self._reader = FrameReader()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(CONNECT_TIMEOUT)
        try:
            self.socket.connect(str(path))
        except OSError as error:
            self.socket.close()
            raise self._unavailable(f"cannot be reached ({(error.strerror or str(error)).lower()})") from None
        self.socket.settimeout(TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and with it what was asked."""
        self.socket.close()

    def call(self, method: Method[P, E, R], params: P, timeout: float | None = TIMEOUT) -> R:
        """Do one request and return its result. Raises ControlError."""
        return self.open(method, params).wait(timeout)

    def open(self, method: Method[P, E, R], params: P) -> Exchange[E, R]:
        """Send a request whose events are wanted. Raises ControlError."""
        self._identity += 1
        request = Request(id=self._identity, method=method.name, params=messages.plain(params))
        try:
            frame = encode_frame(messages.plain(request))
        except CodecError as error:
            raise ControlError(ErrorCode.INVALID, f"{error}: send less at once") from None
        self.send(frame)
        exchange = self._exchanges[self._identity] = Exchange(self, self._identity, method)
        return exchange

    def send(self, frame: bytes) -> None:
        """Send a whole frame. Raises ControlError (UNAVAILABLE)."""
        try:
            self.socket.sendall(frame)
        except OSError:
            raise self._unavailable("ended the connection") from None

    def send_some(self, frame: bytes) -> int:
        """Send as much as goes without waiting; return how many bytes that was. Raises ControlError (UNAVAILABLE)."""
        try:
            return self.socket.send(frame, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            raise self._unavailable("ended the connection") from None

    def receive(self, timeout: float | None) -> None:
        """Read once, as soon as there is something, and hand the responses to their exchanges.

        Raises ControlError (UNAVAILABLE) if nothing comes in time or the connection ends.
        """
        ready, _, _ = select.select([self.socket], [], [], timeout)
        if not ready:
            raise self._unavailable("does not answer")
        try:
            data = self.socket.recv(RECEIVE_SIZE)
        except OSError:
            data = b""
        if not data:
            raise self._unavailable("ended the connection")
        try:
            responses = [messages.convert(value, Response) for value in self._reader.feed(data)]
        except CodecError as error:
            raise self._unavailable(f"sent what cannot be read ({error})") from None
        for response in responses:
            if response.id == 0 and response.error is not UNSET:
                raise ControlError(response.error.code, response.error.message)
            if response.id in self._exchanges:
                self._exchanges[response.id].accept(response)

    def wait_closed(self, timeout: float) -> None:
        """Wait until the other side ends the connection. Raises ControlError (UNAVAILABLE) if it does not in time."""
        while True:
            ready, _, _ = select.select([self.socket], [], [], timeout)
            if not ready:
                raise self._unavailable("does not end")
            try:
                if not self.socket.recv(RECEIVE_SIZE):
                    return
            except ConnectionError:
                return

    def _unavailable(self, why: str) -> ControlError:
        what = f"the {self.name}" if self.name in ("controller", "supervisor") else f"node {self.name}"
        return ControlError(ErrorCode.UNAVAILABLE, f"{what} {why}; see how the cluster is with: emulator status")
