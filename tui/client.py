"""The control protocol on asyncio streams, as Textual's loop wants it: one request at a time, and reconnection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec import UNSET, Struct

from emulator.api import messages
from emulator.api.codec import FrameReader, encode_frame
from emulator.api.messages import PROTOCOL_VERSION, ControlError, Empty, ErrorCode, Method, Request, Response
from emulator.errors import PodwireError

RECEIVE_SIZE = 262_144
CALL_TIMEOUT = 3.0
FIRST_DELAY = 0.1
LONGEST_DELAY = 2.0
"""Seconds between two attempts to connect: doubled from the first to the longest."""

P = TypeVar("P", bound=Struct)
E = TypeVar("E", bound=Struct)
R = TypeVar("R", bound=Struct)


class Connection:
    """One connection to a control socket. Get one from `connect`; it carries one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader()
        self._received: list[dict[str, Any]] = []
        self._next_id = 1

    async def call(self, method: Method[P, E, R], params: P, seconds: float | None = None) -> R:
        """Do one request and return its result. Raises ControlError, also when no answer comes in time."""
        limit = CALL_TIMEOUT if seconds is None else seconds
        try:
            async with asyncio.timeout(limit):
                identity = await self._send(method.name, params)
                while (response := await self._receive(identity)).event is not UNSET:
                    pass
        except TimeoutError:
            raise ControlError(ErrorCode.UNAVAILABLE, f"no answer within {limit:g} s") from None
        return messages.convert(response.result, method.result)

    async def events(self, method: Method[P, E, R], params: P) -> AsyncIterator[E]:
        """Do one request and yield its events until it ends. Raises ControlError."""
        identity = await self._send(method.name, params)
        while (response := await self._receive(identity)).event is not UNSET:
            yield messages.convert(response.event, method.event)

    async def _send(self, method: str, params: Struct) -> int:
        identity = self._next_id
        self._next_id += 1
        request = Request(id=identity, method=method, params=messages.plain(params))
        self._writer.write(encode_frame(messages.plain(request)))
        await self._writer.drain()
        return identity

    async def _receive(self, identity: int) -> Response:
        """Return the next response to a request, passing over those to others that were given up."""
        while True:
            response = messages.convert(await self._next_frame(), Response)
            if response.error is not UNSET and response.id in (0, identity):
                raise ControlError(response.error.code, response.error.message)
            if response.id == identity:
                return response

    async def _next_frame(self) -> dict[str, Any]:
        while not self._received:
            data = await self._reader.read(RECEIVE_SIZE)
            if not data:
                raise ControlError(ErrorCode.UNAVAILABLE, "the other side ended")
            self._received = self._frames.feed(data)
            self._received.reverse()
        return self._received.pop()


@asynccontextmanager
async def connect(path: Path) -> AsyncIterator[Connection]:
    """Connect as long as the block lasts, to a process of our own version. Raises ControlError or OSError."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        connection = Connection(reader, writer)
        version = await connection.call(messages.VERSION, Empty())
        if version.protocol != PROTOCOL_VERSION:
            message = (
                f"it speaks version {version.protocol} of the control protocol, this program {PROTOCOL_VERSION}: "
                "run both from the same installation"
            )
            raise ControlError(ErrorCode.VERSION_MISMATCH, message)
        yield connection
    finally:
        writer.close()


async def keep_connected(
    path: Path, use: Callable[[Connection], Awaitable[None]], on_lost: Callable[[str], None]
) -> None:
    """Run `use` over a connection for ever: when it is lost, tell why and connect again with back-off.

    The back-off begins anew once `use` has gone on for longer than its longest delay.
    """
    delay = FIRST_DELAY
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        reason = "the other side ended"
        try:
            async with connect(path) as connection:
                await use(connection)
        except (OSError, PodwireError) as error:
            reason = _reason(error)
        on_lost(reason)
        if clock() - began > LONGEST_DELAY:
            delay = FIRST_DELAY
        await asyncio.sleep(delay)
        delay = min(delay * 2, LONGEST_DELAY)


def _reason(error: OSError | PodwireError) -> str:
    if isinstance(error, FileNotFoundError):
        return "its socket is gone"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
