"""The kubelet's HTTP client: one GET to a pod, as probes and hooks send it, from the node's own namespace.

Failures are told in the words of Go's net/http, since users know the kubelet's events by them. Source: pkg/probe/http
(http.go, request.go).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import urljoin, urlsplit

import trio

from emulator.api.objects.container import HttpGetAction
from emulator.apps.environment import ResolveError, TcpStream
from emulator.errors import PodwireError

if TYPE_CHECKING:
    from emulator.apps.http_client import Head, HttpConnection
    from emulator.runtime.sockets.network import NetnsNetwork

MOST_BODY = 10_240  # bytes of a body that are read
_MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class FetchError(PodwireError):
    """No answer could be had; the message is what Go's client says after `Get "URL": `."""


class Fetched(NamedTuple):
    """What came back, after the redirects that were followed."""

    status: int
    body: str


def url_of(action: HttpGetAction, address: str, port: int) -> str:
    """Return the URL that an action asks for; `address` is the pod's."""
    path = action.path if action.path.startswith(("/", "?")) or not action.path else f"/{action.path}"
    return f"{action.scheme.lower()}://{action.host or address}:{port}{path}"


async def fetch(network: NetnsNetwork, url: str, action: HttpGetAction, agent: str, patience: float) -> Fetched:
    """GET a URL within `patience` s, following redirects on the same host. FetchError tells why there was no answer."""
    headers = _headers(action, agent)
    host = urlsplit(url).hostname
    stage = _Stage()
    with trio.move_on_after(patience):
        for _ in range(_MOST_REDIRECTS):
            fetched, location = await _get(network, url, headers, stage)
            target = _redirected(url, location)
            if not target or urlsplit(target).hostname != host or urlsplit(target).scheme not in {"http", "https"}:
                return fetched
            url = target
        raise FetchError(f"stopped after {_MOST_REDIRECTS} redirects")
    raise FetchError(f"{stage.waiting_for} (Client.Timeout exceeded while awaiting headers)")


def _redirected(url: str, location: str) -> str:
    """Where an answer sends to, or "". FetchError for what is no URL: what a pod answers is its own to make up."""
    try:
        target = urljoin(url, location) if location else ""
        _ = urlsplit(target).port
    except ValueError as error:
        raise FetchError(f'failed to parse Location header "{location}": {error}') from None
    return target


class _Stage:
    """What is waited for, as it reads when time runs out."""

    def __init__(self) -> None:
        self.waiting_for = "context deadline exceeded"


def _headers(action: HttpGetAction, agent: str) -> list[tuple[str, str]]:
    """The headers but Host: an agent and what is accepted, unless the action says otherwise, also by an empty value."""
    given = [(header.name, header.value) for header in action.http_headers]
    names = {name.lower() for name, _ in given}
    first = [("User-Agent", agent)] if "user-agent" not in names else []
    accept = [("Accept", "*/*")] if "accept" not in names else []
    kept = [(name, value) for name, value in given if value or name.lower() not in {"user-agent", "accept"}]
    return [*first, *accept, *kept, ("Connection", "close")]


async def _get(network: NetnsNetwork, url: str, headers: list[tuple[str, str]], stage: _Stage) -> tuple[Fetched, str]:
    """Send one request; return the answer and where it redirects to, or ""."""
    from emulator.apps.http_client import HttpConnection

    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    stage.waiting_for = f"dial tcp {host}:{port}: i/o timeout"
    stream: TcpStream = await dial(network, host, port)
    async with stream:
        stage.waiting_for = "context deadline exceeded"
        if parts.scheme == "https":
            stream = await _secure(stream, host)
        connection = HttpConnection(stream)
        named = [value for name, value in headers if name.lower() == "host"]
        rest = [(name, value) for name, value in headers if name.lower() != "host"]
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        try:
            await connection.send("GET", target, (("Host", named[-1] if named else parts.netloc), *rest))
            head = await connection.receive_head()
            fetched = Fetched(head.status, await _body(connection))
        except ValueError as error:
            raise FetchError(f"net/http: {error}") from None
        except trio.BrokenResourceError as error:
            raise FetchError(_broken(stream, error)) from None
        except Exception as error:
            raise FetchError(_said(error)) from None
        return fetched, _location(head)


async def dial(network: NetnsNetwork, host: str, port: int) -> TcpStream:
    """Connect. FetchError in the words of Go's net package."""
    try:
        return await network.open_tcp_stream(host, port)
    except ResolveError:
        raise FetchError(f"dial tcp: lookup {host}: no such host") from None
    except OSError as error:
        raise FetchError(f"dial tcp {host}:{port}: connect: {_words(error)}") from None


async def _secure(stream: TcpStream, host: str) -> TcpStream:
    """Speak TLS on a stream, whatever certificate comes."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    carrier = cast("trio.abc.Stream", stream)
    secured = trio.SSLStream(carrier, context, server_hostname=host, https_compatible=True)
    try:
        await secured.do_handshake()
    except trio.BrokenResourceError as error:
        reason = getattr(error.__cause__, "reason", None) or ""
        if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
            raise FetchError("http: server gave HTTP response to HTTPS client") from None
        raise FetchError(f"tls: {reason.lower().replace('_', ' ')}" if reason else _broken(stream, error)) from None
    return cast("TcpStream", secured)


async def _body(connection: HttpConnection) -> str:
    body = bytearray()
    async for part in connection.body():
        body += part
        if len(body) >= MOST_BODY:
            break
    return bytes(body[:MOST_BODY]).decode("utf-8", "replace")


def _location(head: Head) -> str:
    return head.header("location") if head.status in _REDIRECTS else ""


def _said(error: Exception) -> str:
    """What Go's client says of an answer that is none."""
    from emulator.apps.http_client import EmptyReplyError, ShortReplyError

    if isinstance(error, EmptyReplyError):
        return "EOF"
    if isinstance(error, ShortReplyError):
        return "unexpected EOF"
    return f"net/http: HTTP/1.x transport connection broken: {error}"


def _broken(stream: TcpStream, error: BaseException) -> str:
    """What Go says of a connection that failed under it."""
    cause = error.__cause__
    words = _words(cause) if isinstance(cause, OSError) else "connection reset by peer"
    try:
        (own, own_port), (peer, peer_port) = stream.local_address, stream.remote_address
    except AttributeError:
        return f"read: {words}"
    return f"read tcp {own}:{own_port}->{peer}:{peer_port}: read: {words}"


def _words(error: OSError) -> str:
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]
