"""HTTP requests of a load, each over a connection of its own or over kept ones; over TLS too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import trio

from emulator.api.messages.load import LoadTarget
from emulator.apps.environment import TcpStream
from emulator.apps.http_client import EmptyReplyError, HttpConnection
from emulator.apps.load.client import TCP, Client, CountedStream, Lookup
from emulator.apps.load.failure import FailedError
from emulator.apps.load.tally import Tally

if TYPE_CHECKING:
    import ssl

BODY_LIMIT = 1 << 20
"""Bytes of a body in which `expect` is looked for."""


class HttpRequests:
    """Requests to one URL. An answer of 400 or more is an error, redirections are not followed."""

    def __init__(self, client: Client, target: LoadTarget) -> None:
        self._client = client
        self._target = target
        self._lookup = Lookup(client, target.host)
        self._idle: list[tuple[HttpConnection, str]] = []
        default_port = {"http": 80, "https": 443}[target.protocol]
        given = {name.lower() for name, _ in target.headers}
        host = target.host if target.port == default_port else f"{target.host}:{target.port}"
        defaults = [("Host", host), ("User-Agent", "podwire"), ("Accept", "*/*")]
        if not client.keep:
            defaults.append(("Connection", "close"))
        if target.payload:
            defaults.append(("Content-Length", str(len(target.payload))))
        self._headers = (*(pair for pair in defaults if pair[0].lower() not in given), *target.headers)
        self._tls = _tls_context() if target.protocol == "https" else None

    async def __call__(self, tally: Tally) -> str:
        """Make one request; return the endpoint that its connection goes to.

        One that finds a kept connection closed is sent again on a new one, as Go's transport and curl do.
        """
        while self._idle:
            connection, endpoint = self._idle.pop()
            cast("CountedStream", connection.stream).tally = tally
            try:
                await self._ask(connection, endpoint)
            except (trio.BrokenResourceError, EmptyReplyError):
                if connection.heard:
                    raise
                tally.retried += 1
            else:
                return endpoint
        connection, endpoint = await self._connect(tally)
        await self._ask(connection, endpoint)
        return endpoint

    async def aclose(self) -> None:
        """Close kept connections."""
        with trio.CancelScope() as scope:
            scope.cancel()  # the kernel says goodbye by itself
            while self._idle:
                await self._idle.pop()[0].stream.aclose()

    async def _connect(self, tally: Tally) -> tuple[HttpConnection, str]:
        target = self._target
        stream = await self._client.network.open_tcp_stream(await self._lookup.address(), target.port)
        tally.connections += 1
        endpoint = self._client.find_endpoint(TCP, stream.local_address, stream.remote_address)
        if self._tls is not None:
            stream = await _over_tls(stream, self._tls, target.host)
        return HttpConnection(CountedStream(stream, tally)), endpoint

    async def _ask(self, connection: HttpConnection, endpoint: str) -> None:
        target = self._target
        kept = False
        try:
            await connection.send(target.method, target.path, self._headers, target.payload)
            head = await connection.receive_head()
            body = b""
            async for part in connection.body():
                if target.expect:
                    body += part[: max(0, BODY_LIMIT - len(body))]
            kept = self._client.keep and connection.reusable
        finally:
            if kept:
                self._idle.append((connection, endpoint))
            else:
                await connection.stream.aclose()
        if head.status >= 400:
            raise FailedError(f"HTTP {head.status}")
        if target.expect not in body:
            raise FailedError("Unexpected reply")


def _tls_context() -> ssl.SSLContext:
    """Return a context that believes any server, as `curl -k`: a load measures the network, not certificates."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _over_tls(stream: TcpStream, context: ssl.SSLContext, host: str) -> TcpStream:
    secure = trio.SSLStream(cast("Any", stream), context, server_hostname=host, https_compatible=True)
    try:
        await secure.do_handshake()
    except BaseException:
        await stream.aclose()
        raise
    return cast("TcpStream", secure)
