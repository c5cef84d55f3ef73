"""An HTTP/1.1 server over the TCP of a namespace, plain or TLS: what every web-serving image runs.

A connection's errors end that connection only; its limits keep one client from using the server up. h11 does the
protocol (`http_conversation.py` has one connection).
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable
from contextlib import suppress

import trio

from emulator.apps.environment import Container, TcpListener, TcpStream
from emulator.apps.http_conversation import Conversation
from emulator.apps.http_service import Service
from emulator.apps.replayed_stream import ReplayedStream
from emulator.apps.termination import terminated
from emulator.apps.tls import HANDSHAKE_TIMEOUT, TlsError, accept

CONNECTION_LIMIT = 1_000
_TLS_HANDSHAKE = b"\x16"  # the first record's content type (RFC 8446, section 5.1)


async def serve_port(
    container: Container,
    port: int,
    service: Service,
    *,
    host: str = "",
    tls: ssl.SSLContext | None = None,
    graceful: bool = False,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> int:
    """Listen on a port of a container, at `host` (a name or address) or all addresses, and serve until cancelled.

    `graceful`: when the container is told to end, requests under way are answered, and then it does, with status 0.
    OSError(EADDRINUSE) where the port is taken, OSError(EADDRNOTAVAIL) where the address is not the container's.
    """
    network = container.network
    address = (await network.resolve(host))[0] if host else "0.0.0.0"
    listener = await network.open_tcp_listener(port, address=address)
    task_status.started()
    server = Server(listener, service, tls)
    async with trio.open_nursery() as nursery:
        if graceful:
            nursery.start_soon(_shut_down_when, terminated(container), server)
        await server.run()
        nursery.cancel_scope.cancel()
    return 0


async def _shut_down_when(told: trio.Event, server: Server) -> None:
    await told.wait()
    await server.shut_down(math.inf)


async def serve(listener: TcpListener, service: Service, tls: ssl.SSLContext | None = None) -> None:
    """Serve each connection in a task of its own until cancelled, or until the listener fails (OSError)."""
    await Server(listener, service, tls).run()


class Server:
    """One listening socket and its connections; `run` serves, `shut_down` ends it gracefully."""

    def __init__(self, listener: TcpListener, service: Service, tls: ssl.SSLContext | None = None) -> None:
        self._listener = listener
        self._service = service
        self._tls = tls
        self._free = trio.Semaphore(CONNECTION_LIMIT)
        self._accepting = trio.CancelScope()
        self._conversations: set[Conversation] = set()
        self._left = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        """Serve until cancelled, until `shut_down` is through, or until the listener fails (OSError)."""
        try:
            async with trio.open_nursery() as nursery:
                with self._accepting:
                    while True:
                        await self._free.acquire()
                        nursery.start_soon(self._serve_stream, await self._listener.accept())
        finally:
            await self._close()

    async def shut_down(self, patience: float) -> bool:
        """Stop listening, end idle connections, wait up to `patience` seconds for the rest; whether all ended."""
        self._accepting.cancel()
        await self._close()
        with trio.move_on_after(patience):
            for conversation in list(self._conversations):
                conversation.end()
            while self._conversations:
                await self._left.park()
        return not self._conversations

    async def _close(self) -> None:
        with trio.CancelScope(shield=True):
            await self._listener.aclose()

    async def _serve_stream(self, stream: TcpStream) -> None:
        try:
            async with stream:
                with suppress(trio.BrokenResourceError, trio.TooSlowError):  # the client went away: nobody to tell
                    if self._tls is not None:
                        await self._secure(stream, self._tls)
                    elif self._service.tls_if_asked is not None:
                        await self._as_asked(stream, self._service.tls_if_asked)
                    else:
                        await self._converse(stream)
        finally:
            self._free.release()

    async def _as_asked(self, stream: TcpStream, tls: Callable[[], ssl.SSLContext]) -> None:
        """Speak TLS with a client whose first byte is that of a handshake, else HTTP."""
        with trio.fail_after(self._service.idle_timeout):
            first = await stream.receive_some()
        replayed = ReplayedStream(stream, first)
        if first[:1] == _TLS_HANDSHAKE:
            await self._secure(replayed, tls())
        else:
            await self._converse(replayed)

    async def _secure(self, transport: TcpStream, context: ssl.SSLContext) -> None:
        try:
            with trio.fail_after(HANDSHAKE_TIMEOUT):
                stream = await accept(transport, context)
        except TlsError as error:
            self._service.log(f"TLS handshake error from {transport.remote_address[0]}: {error}")
            if error.reason == "HTTP_REQUEST" and self._service.plain:
                await transport.send_all(self._service.plain)
            return
        async with stream:
            await self._converse(stream)

    async def _converse(self, stream: TcpStream) -> None:
        conversation = Conversation(stream, self._service)
        self._conversations.add(conversation)
        try:
            await conversation.run()
        finally:
            self._conversations.discard(conversation)
            self._left.unpark_all()
