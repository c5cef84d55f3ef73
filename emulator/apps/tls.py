"""TLS over a TCP connection of a namespace, both sides: trio's SSLStream with the two addresses of what is beneath."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, cast

import trio

from emulator.apps.layered_stream import LayeredStream

if TYPE_CHECKING:
    from emulator.apps.environment import TcpStream

HANDSHAKE_TIMEOUT = 10.0  # seconds that a server waits for a client's handshake


class TlsError(Exception):
    """A handshake that failed. `reason` is OpenSSL's name of it ("HTTP_REQUEST"), "" where the connection broke.

    `verify_message` says what is wrong with the other side's certificate, if that is it.
    """

    def __init__(self, message: str, reason: str = "", verify_message: str = "", library_code: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.verify_message = verify_message
        self.library_code = library_code


class TlsStream(LayeredStream):
    """A TLS connection, as `apps.environment.TcpStream` has it. TLS has no word for `send_eof`, TCP has."""

    def __init__(self, transport: TcpStream, context: ssl.SSLContext, server_name: str | None, server: bool) -> None:
        super().__init__(transport)
        # HTTP knows by itself where a body ends, so that clients and servers may hang up without a close_notify.
        self._tls = trio.SSLStream(
            cast("trio.abc.Stream", transport),
            context,
            server_hostname=server_name,
            server_side=server,
            https_compatible=True,
        )

    @property
    def version(self) -> str:
        """The protocol spoken: "TLSv1.3"."""
        return cast("str | None", self._tls.version()) or ""

    @property
    def cipher(self) -> str:
        """The cipher suite's name as OpenSSL has it."""
        found = cast("tuple[str, str, int] | None", self._tls.cipher())
        return found[0] if found else ""

    @property
    def protocol(self) -> str:
        """What ALPN agreed on, or ""."""
        return cast("str | None", self._tls.selected_alpn_protocol()) or ""

    @property
    def peer_certificate(self) -> bytes:
        """The other side's certificate in DER, or b""."""
        return cast("bytes | None", self._tls.getpeercert(binary_form=True)) or b""

    async def handshake(self) -> None:
        """Agree on keys. TlsError where that fails."""
        try:
            await self._tls.do_handshake()
        except trio.BrokenResourceError as error:
            raise _explain(error) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`. trio.BrokenResourceError where the connection failed."""
        await self._tls.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for some bytes; b"" at the end. trio.BrokenResourceError."""
        return bytes(await self._tls.receive_some(max_bytes))

    async def aclose(self) -> None:
        """Say goodbye and close the connection."""
        await self._tls.aclose()


async def accept(transport: TcpStream, context: ssl.SSLContext) -> TlsStream:
    """Be the server of a TLS connection. TlsError; the transport is left open then."""
    stream = TlsStream(transport, context, None, server=True)
    await stream.handshake()
    return stream


async def connect(transport: TcpStream, context: ssl.SSLContext, server_name: str) -> TlsStream:
    """Be the client of a TLS connection to a server of that name or address. TlsError."""
    stream = TlsStream(transport, context, server_name, server=False)
    await stream.handshake()
    return stream


def client_context(*, verify: bool, cafile: str | None = None) -> ssl.SSLContext:
    """Make a client's settings. Without `verify` any certificate will do; else the machine's authorities vouch."""
    if verify:
        context = ssl.create_default_context(cafile=cafile)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _explain(error: trio.BrokenResourceError) -> TlsError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):  # SSLError is one
        cause = cause.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return TlsError(str(cause), cause.reason or "", cause.verify_message)
    if isinstance(cause, ssl.SSLEOFError):
        return TlsError("EOF")
    if isinstance(cause, ssl.SSLError):
        return TlsError(cause.strerror or str(cause), cause.reason or "")
    return TlsError((cause.strerror if cause is not None else "") or "EOF")
