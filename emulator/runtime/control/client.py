"""The client of the control protocol under trio: what nodes and the Python API ask controller, nodes and supervisor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import trio
from msgspec import UNSET, Struct

from emulator.api import messages
from emulator.api.codec import CodecError, FrameReader, encode_frame
from emulator.api.messages import Cancel, ControlError, Empty, ErrorCode, Input, Interrupt, Method, Request, Response
from emulator.runtime.tasks import tasks

RECEIVE_SIZE = 65_536
EVENT_QUEUE = 256
WRITE_QUEUE = 64

P = TypeVar("P", bound=Struct)
E = TypeVar("E", bound=Struct)
R = TypeVar("R", bound=Struct)


class ConnectionLostError(ControlError):
    """The other side went away, or sent what it must not."""

    def __init__(self, reason: str) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, f"the connection was lost: {reason}")


class ClientExchange(Generic[E, R]):
    """An open request: iterate over its events, send it input, take its result.

    Events that nobody takes hold up the whole connection once some hundred wait: give a busy stream its own.
    """

    def __init__(self, identity: int, client: ControlClient, event: type[E], result: type[R]) -> None:
        self.identity = identity
        self.ended = False
        self._client = client
        self._event_type = event
        self._result_type = result
        self._responses: trio.MemoryReceiveChannel[Response]
        self.responses_in: trio.MemorySendChannel[Response]
        self.responses_in, self._responses = trio.open_memory_channel(EVENT_QUEUE)
        self._last: Response | None = None

    def __aiter__(self) -> AsyncIterator[E]:
        return self._events()

    async def _events(self) -> AsyncIterator[E]:
        while (event := await self.next_event()) is not None:
            yield event

    async def next_event(self) -> E | None:
        """Return the next event, or None at the exchange's end. Raises ControlError if it ended with an error."""
        if self._last is None:
            try:
                response = await self._responses.receive()
            except trio.EndOfChannel:
                self.ended = True
                raise ConnectionLostError(self._client.lost or "it was closed") from None
            if response.event is not UNSET:
                return messages.convert(response.event, self._event_type)
            self.ended = True
            self._last = response
        if self._last.error is not UNSET:
            raise ControlError(self._last.error.code, self._last.error.message)
        return None

    async def result(self) -> R:
        """Wait for the end, passing over further events. Raises ControlError if the request failed."""
        while await self.next_event() is not None:
            pass
        assert self._last is not None
        return messages.convert(self._last.result, self._result_type)

    async def send_input(self, data: bytes) -> None:
        """Send bytes of standard input."""
        await self._client.send(Input(id=self.identity, input=data))

    async def end_input(self) -> None:
        """End standard input."""
        await self._client.send(Input(id=self.identity, input=None))

    async def interrupt(self) -> None:
        """Press Ctrl-C: whoever works on it may have last words."""
        await self._client.send(Interrupt(id=self.identity, interrupt=True))

    def close(self) -> None:
        """Take no more responses."""
        self._responses.close()


class ControlClient:
    """One connection; any number of tasks may use it at once. Get one from `open_client`."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.lost = ""
        self._stream = stream
        self._next_id = 1
        self._exchanges: dict[int, ClientExchange[Any, Any]] = {}
        self._outgoing: trio.MemorySendChannel[bytes]
        self._queued: trio.MemoryReceiveChannel[bytes]
        self._outgoing, self._queued = trio.open_memory_channel(WRITE_QUEUE)
        self._late: list[bytes] = []  # cancellations that found the queue full

    async def call(self, method: Method[P, E, R], params: P) -> R:
        """Do one request and return its result. Raises ControlError."""
        async with self.stream(method, params) as exchange:
            return await exchange.result()

    @asynccontextmanager
    async def stream(self, method: Method[P, E, R], params: P) -> AsyncIterator[ClientExchange[E, R]]:
        """Do a request with events or input; it is cancelled when the block is left before its end."""
        exchange = await self.begin(method, params)
        try:
            yield exchange
        finally:
            self._exchanges.pop(exchange.identity, None)
            exchange.close()
            if not exchange.ended and not self.lost:
                self._cancel(exchange.identity)

    async def begin(self, method: Method[P, E, R], params: P) -> ClientExchange[E, R]:
        """Do a request that nobody ends before the connection does."""
        if self.lost:
            raise ConnectionLostError(self.lost)
        identity = self._next_id
        self._next_id += 1
        exchange = self._exchanges[identity] = ClientExchange(identity, self, method.event, method.result)
        try:
            await self.send(Request(id=identity, method=method.name, params=messages.plain(params)))
        except BaseException:
            del self._exchanges[identity]
            raise
        return exchange

    async def send(self, message: messages.ClientMessage) -> None:
        """Queue one frame; waits while the server does not read. Raises CodecError if it is too large."""
        if self.lost:
            raise ConnectionLostError(self.lost)
        try:
            await self._outgoing.send(encode_frame(messages.plain(message)))
        except trio.BrokenResourceError:
            raise ConnectionLostError(self.lost) from None

    def _cancel(self, identity: int) -> None:
        frame = encode_frame(messages.plain(Cancel(id=identity, cancel=True)))
        try:
            self._outgoing.send_nowait(frame)
        except trio.WouldBlock:
            self._late.append(frame)

    async def run(self) -> None:
        """Carry frames both ways until the connection ends; part of `open_client`."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                await self._read()
                nursery.cancel_scope.cancel()
        finally:
            self.lost = self.lost or "it was closed"
            self._queued.close()
            for exchange in [*self._exchanges.values()]:
                exchange.responses_in.close()

    async def _write(self) -> None:
        try:
            async for frame in self._queued:
                late, self._late = b"".join(self._late), []
                await self._stream.send_all(frame + late)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the reader meets the same end, and tells everyone

    async def _read(self) -> None:
        reader = FrameReader()
        while True:
            try:
                data = await self._stream.receive_some(RECEIVE_SIZE)
                if not data:
                    self.lost = "the other side closed it"
                    return
                for value in reader.feed(data):
                    await self._dispatch(messages.convert(value, Response))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.lost = "the other side ended"
                return
            except (CodecError, ControlError) as error:
                self.lost = str(error)
                return

    async def _dispatch(self, response: Response) -> None:
        if response.id == 0 and response.error is not UNSET:
            raise ControlError(response.error.code, response.error.message)
        exchange = self._exchanges.get(response.id)
        if exchange is None:
            return  # it was cancelled meanwhile
        try:
            await exchange.responses_in.send(response)
        except trio.BrokenResourceError:
            return  # likewise


@asynccontextmanager
async def open_client(stream: trio.abc.Stream) -> AsyncIterator[ControlClient]:
    """Speak the control protocol on `stream` as long as the block lasts; closes the stream."""
    client = ControlClient(stream)
    async with stream, tasks() as nursery:
        nursery.start_soon(client.run)
        yield client


async def check_version(client: ControlClient) -> messages.VersionResult:
    """Return who answers. Raises ControlError (VERSION_MISMATCH) that names both versions if they differ."""
    version = await client.call(messages.VERSION, Empty())
    if version.protocol != messages.PROTOCOL_VERSION:
        message = (
            f"{version.role} {version.name} speaks version {version.protocol} of the control protocol, this process "
            f"{messages.PROTOCOL_VERSION}: run both from the same installation"
        )
        raise ControlError(ErrorCode.VERSION_MISMATCH, message)
    return version
