"""The server of the control protocol, over any trio stream: Unix sockets in the product, memory in simulation.

Each request is a task of its connection's nursery: when the client goes, all that ran for it is cancelled.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import resource
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import trio
from msgspec import Struct

from emulator.api import messages
from emulator.api.codec import CodecError, FrameReader, encode_event_frame, encode_frame
from emulator.api.messages import Cancel, ControlError, ErrorCode, Input, Interrupt, Method, Request, Response
from emulator.errors import PodwireError

RECEIVE_SIZE = 65_536
MAX_EXCHANGES = 256
INPUT_CHUNKS = 64
WRITE_QUEUE = 64
WRITE_BATCH = 262_144
UNSENT_ANSWERS = 32
"""Answers that a client has not taken yet, at which it is not heard further."""

RESERVE = 32
"""Descriptors of a process that clients do not get: its own sockets, logs, and the way to the controller."""

ACCEPT_PAUSE = 0.1
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

P = TypeVar("P", bound=Struct)
E = TypeVar("E", bound=Struct)
R = TypeVar("R", bound=Struct)


class Exchange(Generic[E]):
    """One request as its handler sees it: a way to send events, and the input that the client sends.

    `inputs` ends when the client ends it. A client that sends input faster than it is read waits. `on_interrupt` is
    called at the client's Ctrl-C; the handler may set its own.
    """

    def __init__(self, identity: int, connection: Connection) -> None:
        self.identity = identity
        self.connection = connection
        self.cancel_scope = trio.CancelScope()
        self.input_sender: trio.MemorySendChannel[bytes]
        self.inputs: trio.MemoryReceiveChannel[bytes]
        self.input_sender, self.inputs = trio.open_memory_channel(INPUT_CHUNKS)
        self.on_interrupt: Callable[[], None] = self.cancel_scope.cancel

    async def send(self, event: E) -> None:
        """Send an event; waits while the client does not read."""
        await self.connection.send(Response(id=self.identity, event=messages.plain(event)))

    async def send_encoded(self, event: bytes) -> None:
        """Send an event that `codec.encode_value` made bytes of, once for many exchanges."""
        await self.connection.send_frame(encode_event_frame(self.identity, event))


Handler = Callable[[P, Exchange[E]], Awaitable[R]]


class Methods:
    """What a socket offers: a handler for each method. Failures that nobody raised on purpose go to `logger`."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger if logger is not None else logging.getLogger(__name__)
        self._handlers: dict[str, tuple[Method[Any, Any, Any], Handler[Any, Any, Any]]] = {}

    def add(self, method: Method[P, E, R], handler: Handler[P, E, R]) -> None:
        """Offer `method`. The handler's ControlErrors and PodwireErrors go to the client; others are logged."""
        self._handlers[method.name] = (method, handler)

    async def answer(self, request: Request, exchange: Exchange[Any]) -> dict[str, Any]:
        """Return the result of a request. Raises ControlError for one that cannot be answered."""
        if request.method not in self._handlers:
            offered = ", ".join(sorted(self._handlers))
            message = f'unknown method "{request.method}"; this socket offers: {offered}'
            raise ControlError(ErrorCode.UNKNOWN_METHOD, message)
        if request.protocol != messages.PROTOCOL_VERSION and request.method != messages.VERSION.name:
            message = (
                f"the client speaks version {request.protocol} of the control protocol, this process "
                f"{messages.PROTOCOL_VERSION}: run both from the same installation"
            )
            raise ControlError(ErrorCode.VERSION_MISMATCH, message)
        method, handler = self._handlers[request.method]
        result: Struct = await handler(messages.convert(request.params, method.params), exchange)
        return messages.plain(result)


class Connection:
    """One client. Frames to it go through a queue, so that a cancelled request never leaves half a frame."""

    def __init__(self, stream: trio.abc.Stream, methods: Methods) -> None:
        self._stream = stream
        self._methods = methods
        self._logger = methods.logger
        self._exchanges: dict[int, Exchange[Any]] = {}
        self._cancel_scope = trio.CancelScope()
        self._unsent = 0
        self._sent = trio.Event()
        self._outgoing: trio.MemorySendChannel[bytes]
        self._queued: trio.MemoryReceiveChannel[bytes]
        self._outgoing, self._queued = trio.open_memory_channel(WRITE_QUEUE)

    def disconnect(self, reason: str) -> None:
        """End the connection now, also if the client does not read; its requests are cancelled."""
        self._logger.warning("a client was disconnected: %s", reason)
        self._cancel_scope.cancel()

    async def send(self, response: Response) -> None:
        """Queue one frame; waits while the client does not read."""
        await self.send_frame(encode_frame(messages.plain(response)))

    async def send_frame(self, frame: bytes) -> None:
        """Queue one frame; waits while the client does not read."""
        await self._outgoing.send(frame)

    async def run(self) -> None:
        """Serve until the client goes."""
        async with self._stream:
            with self._cancel_scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    failure = await self._read(nursery)
                    nursery.cancel_scope.cancel()
                if failure is not None:
                    await self._write_last(Response(id=0, error=self._error_body(failure)))

    async def _write(self) -> None:
        async for frame in self._queued:
            batch = [frame]
            size = len(frame)
            while size < WRITE_BATCH:
                try:
                    batch.append(self._queued.receive_nowait())
                except trio.WouldBlock:
                    break
                size += len(batch[-1])
            try:
                await self._stream.send_all(b"".join(batch))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._cancel_scope.cancel()

    async def _write_last(self, response: Response) -> None:
        try:
            with trio.move_on_after(1):
                await self._stream.send_all(encode_frame(messages.plain(response)))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._logger.debug("a client left before it could be told of its error")

    async def _read(self, nursery: trio.Nursery) -> PodwireError | None:
        """Start what the client asks for. Returns at the stream's end, or with the error that makes it unusable."""
        reader = FrameReader()
        while True:
            try:
                data = await self._stream.receive_some(RECEIVE_SIZE)
                if not data:
                    return None
                for value in reader.feed(data):
                    await self._accept(value, nursery)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            except (CodecError, ControlError) as error:
                return error

    async def _accept(self, value: dict[str, Any], nursery: trio.Nursery) -> None:
        message = messages.client_message(value)
        exchange = self._exchanges.get(message.id)
        match message:
            case Request():
                if exchange is not None or len(self._exchanges) >= MAX_EXCHANGES:
                    why = "its id is in use" if exchange is not None else f"{MAX_EXCHANGES} others are running"
                    raise ControlError(ErrorCode.INVALID, f"request {message.id} is refused: {why}")
                exchange = self._exchanges[message.id] = Exchange(message.id, self)
                nursery.start_soon(self._run_exchange, message, exchange)
                await self._wait_for_reader()
            case Input() if exchange is not None:
                await self._pass_input(exchange, message.input)
            case Interrupt() if exchange is not None:
                exchange.on_interrupt()
            case Cancel() if exchange is not None:
                exchange.cancel_scope.cancel()

    async def _run_exchange(self, request: Request, exchange: Exchange[Any]) -> None:
        response = Response(id=request.id, error=self._error_body(ControlError(ErrorCode.CANCELLED, "cancelled")))
        try:
            with exchange.cancel_scope, exchange.inputs:
                result = await self._methods.answer(request, exchange)
                response = Response(id=request.id, result=result)
        except Exception as error:
            response = Response(id=request.id, error=self._error_body(error, request.method))
        finally:
            del self._exchanges[request.id]
        self._unsent += 1
        try:
            await self.send(response)
        except CodecError as error:
            too_much = ControlError(ErrorCode.INVALID, f"{error}: ask for less at once; lists take a limit")
            await self.send(Response(id=request.id, error=self._error_body(too_much)))
        finally:
            self._unsent -= 1
            self._sent.set()

    async def _wait_for_reader(self) -> None:
        """Let what was asked run; hear no more of a client that asks and asks, and does not read the answers."""
        await trio.lowlevel.checkpoint()
        while self._unsent >= UNSENT_ANSWERS:
            self._sent = trio.Event()
            await self._sent.wait()

    async def _pass_input(self, exchange: Exchange[Any], data: bytes | None) -> None:
        try:
            if data is None:
                exchange.input_sender.close()
            else:
                await exchange.input_sender.send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._logger.debug("input for request %d came after its end", exchange.identity)

    def _error_body(self, error: BaseException, method: str = "") -> messages.ErrorBody:
        """Return what the client is told; what nobody raised on purpose is logged with its traceback."""
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if isinstance(error, ControlError):
            return messages.ErrorBody(code=error.code, message=error.message)
        if isinstance(error, PodwireError):
            return messages.ErrorBody(code=ErrorCode.INVALID, message=str(error))
        self._logger.error("method %s failed", method, exc_info=error)
        message = f"{method} failed: {type(error).__name__}: {error}; the process's log has the details"
        return messages.ErrorBody(code=ErrorCode.INTERNAL, message=message)


async def serve_connection(stream: trio.abc.Stream, methods: Methods) -> None:
    """Serve one client until it goes; closes the stream."""
    await Connection(stream, methods).run()


# --- Unix sockets ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def control_socket(path: Path) -> AsyncIterator[trio.SocketListener]:
    """Listen on a Unix socket that only this user may open (0600); it is removed at the end.

    What a killed process left at `path` is replaced. Raises OSError.
    """
    listener, made = _listen(path)
    try:
        yield listener
    finally:
        listener.socket.close()
        _remove(path, made)


def _listen(path: Path) -> tuple[trio.SocketListener, os.stat_result]:
    """Bind in one synchronous go: the umask is the whole process's. Return also what was made at `path`."""
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o177)
    try:
        sock.bind(str(path))
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(previous)
    sock.setblocking(False)
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock)), path.lstat()


def _remove(path: Path, made: os.stat_result) -> None:
    """Remove our socket; the cluster's next supervisor may have put its own there already."""
    with suppress(FileNotFoundError):
        if os.path.samestat(path.lstat(), made):
            path.unlink()


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(f"{path} is in the way: it is no socket; remove it")
    path.unlink()


def is_allowed(stream: trio.abc.Stream) -> bool:
    """Whether the client may come in: the other end of a Unix socket must run as this user (SO_PEERCRED, unix(7))."""
    if not isinstance(stream, trio.SocketStream) or stream.socket.family != socket.AF_UNIX:
        return True
    credentials = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return bool(user == os.getuid())


async def serve(listener: trio.abc.Listener[Any], methods: Methods) -> None:
    """Accept clients and serve them, until cancelled. Failures of one client do not reach the others.

    `RESERVE` descriptors are left for what the process itself needs: clients that would take them wait.
    """
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = trio.CapacityLimiter(math.inf if descriptors == resource.RLIM_INFINITY else max(1, descriptors - RESERVE))

    async def serve_one(stream: trio.abc.Stream, place: object) -> None:
        try:
            if is_allowed(stream):
                await serve_connection(stream, methods)
            else:
                methods.logger.warning("a process of another user was refused")
                await stream.aclose()
        finally:
            limit.release_on_behalf_of(place)

    async with trio.open_nursery() as nursery, listener:
        while True:
            place = object()
            await limit.acquire_on_behalf_of(place)
            nursery.start_soon(serve_one, await _accept(listener, methods.logger), place)


async def _accept(listener: trio.abc.Listener[Any], logger: logging.Logger) -> trio.abc.Stream:
    """Wait for a client; while the system has no room for one (EMFILE and its like) say so once, and wait."""
    told = False
    while True:
        try:
            return cast("trio.abc.Stream", await listener.accept())
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            if not told:
                logger.error("no client can be accepted: %s", error.strerror)
                told = True
            await trio.sleep(ACCEPT_PAUSE)
