"""wget of BusyBox 1.35, for HTTP: the way most pods have it."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Awaitable, Callable
from urllib.parse import urljoin

import trio
from msgspec import Struct

from emulator.apps.commands.curl_output import Report
from emulator.apps.commands.curl_url import CurlError, Url, parse_url
from emulator.apps.environment import Invocation, ResolveError, TcpStream
from emulator.apps.http_client import EmptyReplyError, HttpConnection, MalformedReplyError, ShortReplyError
from emulator.apps.http_message import Headers
from emulator.apps.inputs import files_of, path_of
from emulator.apps.options import Options, UsageError, number, parse
from emulator.apps.tls import TlsError, client_context, connect

USAGE = """BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.

Usage: wget [-cqS] [--spider] [-O FILE] [-o LOGFILE] [--header STR]
\t[--post-data STR | --post-file FILE] [-Y on/off]
\t[--no-check-certificate] [-P DIR] [-U AGENT] URL...

Retrieve files via HTTP or FTP

\t--spider\tOnly check URL existence: $? is 0 if exists
\t--header STR\tAdd STR (of form 'header: value') to headers
\t--post-data STR\tSend STR using POST method
\t--post-file FILE\tSend FILE using POST method
\t--no-check-certificate\tDon't validate the server's certificate
\t-c\t\tContinue retrieval of aborted transfer
\t-q\t\tQuiet
\t-P DIR\t\tSave to DIR (default .)
\t-S    \t\tShow server response
\t-O FILE\t\tSave to FILE ('-' for stdout)
\t-o LOGFILE\tLog messages to FILE
\t-U STR\t\tUse STR for User-Agent header
\t-Y on/off\tUse proxy
"""
_LONG = (
    "spider",
    "header=",
    "post-data=",
    "no-check-certificate",
    "quiet",
    "timeout=",
    "user-agent=",
    "output-document=",
    "server-response",
)
_ALIASES = {"quiet": "q", "timeout": "T", "user-agent": "U", "output-document": "O", "server-response": "S"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAXIMUM_REDIRECTS = 20
_DEFAULT_TIMEOUT = 900.0


class _WgetError(Exception):
    """What wget says before it gives up."""


class _Settings(Struct, frozen=True):
    quiet: bool
    show_response: bool
    spider: bool
    output: str
    idle: float
    agent: str
    headers: Headers
    body: str | None
    check: bool


async def main(invocation: Invocation) -> int:
    """Run `wget`. Exit status 0, or 1 for any failure."""
    try:
        options = parse(invocation.argv[1:], "cqSO:U:T:Y:", _LONG, aliases=_ALIASES)
        settings = _read(options)
        if not options.operands:
            raise UsageError("")
    except UsageError as error:
        invocation.write_error((f"wget: {error}\n" if str(error) else "") + USAGE)
        return 1
    try:
        for url in options.operands:
            await _fetch(invocation, settings, url)
    except _WgetError as error:
        invocation.write_error(f"wget: {error}\n")
        return 1
    return 0


def _read(options: Options) -> _Settings:
    try:
        idle = number(options.get("T", str(_DEFAULT_TIMEOUT)))
    except ValueError:
        raise UsageError(f"invalid number '{options.get('T')}'") from None
    headers = tuple(tuple(part.strip() for part in line.split(":", 1)) for line in options.all("header") if ":" in line)
    return _Settings(
        quiet="q" in options,
        show_response="S" in options,
        spider="spider" in options,
        output=options.get("O"),
        idle=idle or math.inf,
        agent=options.get("U", "Wget"),
        headers=tuple((pair[0], pair[1]) for pair in headers),
        body=options.get("post-data") if "post-data" in options else None,
        check="no-check-certificate" not in options,
    )


async def _fetch(invocation: Invocation, settings: _Settings, text: str) -> None:
    for _ in range(_MAXIMUM_REDIRECTS):
        location = await _fetch_one(invocation, settings, text)
        if location is None:
            return
        text = urljoin(text, location)
    raise _WgetError("too many redirections")


async def _fetch_one(invocation: Invocation, settings: _Settings, text: str) -> str | None:
    """Fetch a URL; return where it redirects to, or None."""
    try:
        url = parse_url(text, Report(text))
    except CurlError:
        raise _WgetError(f"not an http or ftp url: {text}") from None
    try:
        address = (await invocation.network.resolve(url.host))[0]
    except ResolveError:
        raise _WgetError(f"bad address '{url.host}'") from None
    if not settings.quiet:
        invocation.write_error(f"Connecting to {url.host_header} ({address}:{url.port})\n")
    try:
        with trio.fail_after(settings.idle):
            stream = await invocation.network.open_tcp_stream(address, url.port)
    except trio.TooSlowError:
        raise _WgetError("download timed out") from None
    except OSError as error:
        raise _WgetError(f"can't connect to remote host ({address}): {error.strerror}") from None
    async with stream:
        try:
            with trio.fail_after(settings.idle):
                if url.scheme == "https":
                    stream = await _secure(invocation, settings, stream, url)
                return await _exchange(invocation, settings, HttpConnection(stream), url)
        except trio.TooSlowError:
            raise _WgetError("download timed out") from None
        except trio.BrokenResourceError as error:
            cause = error.__cause__
            reason = f": {cause.strerror}" if isinstance(cause, OSError) and cause.strerror else ""
            raise _WgetError(f"error getting response{reason}") from None
        except (EmptyReplyError, MalformedReplyError, TlsError):
            raise _WgetError("error getting response") from None
        except ShortReplyError:
            raise _WgetError("connection closed prematurely") from None


async def _secure(invocation: Invocation, settings: _Settings, stream: TcpStream, url: Url) -> TcpStream:
    """Begin TLS. BusyBox's own takes any certificate, and says so."""
    if settings.check:
        invocation.write_error("wget: note: TLS certificate validation not implemented\n")
    return await connect(stream, client_context(verify=False), url.host)


async def _exchange(invocation: Invocation, settings: _Settings, connection: HttpConnection, url: Url) -> str | None:
    method = "GET" if settings.body is None else "POST"
    headers: list[tuple[str, str]] = [
        ("Host", url.host_header),
        ("User-Agent", settings.agent),
        ("Connection", "close"),
    ]
    headers += settings.headers
    body = (settings.body or "").encode()
    if settings.body is not None:
        headers += [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", str(len(body)))]
    try:
        await connection.send(method, url.target, tuple(headers), body)
    except ValueError as error:
        raise _WgetError(f"the request cannot be sent: {error}") from None
    head = await connection.receive_head()
    if settings.show_response:
        invocation.write_error("".join(f"  {line}\n" for line in (*head.lines, "")))
    if head.status in _REDIRECTS and head.header("location"):
        return head.header("location")
    if head.status >= 300:
        raise _WgetError(f"server returned error: {head.lines[0]}")
    await _save(invocation, settings, connection, url)
    return None


async def _save(invocation: Invocation, settings: _Settings, connection: HttpConnection, url: Url) -> None:
    if settings.spider:
        if not settings.quiet:
            invocation.write_error("remote file exists\n")
        return
    output = settings.output or url.target.partition("?")[0].rpartition("/")[2] or "index.html"
    write = await _writer(invocation, output, new="" if settings.output else output)
    if not settings.quiet:
        invocation.write_error("writing to stdout\n" if output == "-" else f"saving to '{output}'\n")
    size = 0
    async for part in connection.body():
        size += len(part)
        await write(part)
    if not settings.quiet:
        name = output.rpartition("/")[2]
        stars = "*" * 32
        invocation.write_error(f"{name:<20s} 100% |{stars}| {size:5d}  0:00:00 ETA\n")
        invocation.write_error("written to stdout\n" if output == "-" else f"'{output}' saved\n")


async def _writer(invocation: Invocation, output: str, *, new: str) -> Callable[[bytes], Awaitable[None]]:
    """Open what a page is saved to; a file that is not named is a `new` one."""
    if output in {"-", "/dev/stdout"}:
        return invocation.copy
    path = path_of(invocation, output)
    try:
        if new and await files_of(invocation).status(path) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        file = await files_of(invocation).open(path)
    except OSError as error:
        raise _WgetError(f"can't open '{output}': {error.strerror}") from None

    async def write(data: bytes) -> None:
        if file is not None:
            file.write(data)
        await trio.lowlevel.checkpoint()

    return write
