"""One curl transfer: name, connection, request, response, redirects, each with its failures and its verbose lines."""

from __future__ import annotations

import errno
from base64 import b64encode
from collections.abc import Callable

import trio

from emulator.apps.commands.curl_options import CurlOptions
from emulator.apps.commands.curl_output import Report
from emulator.apps.commands.curl_url import CurlError, Url, parse_url, redirected
from emulator.apps.environment import Invocation, ResolveError, TcpStream
from emulator.apps.http_client import EmptyReplyError, Head, HttpConnection, MalformedReplyError, ShortReplyError
from emulator.apps.http_message import Headers
from emulator.packet.digits import is_natural

RESOLVE_FAILED, CONNECT_FAILED, PARTIAL_FILE, HTTP_ERROR = 6, 7, 18, 22
TIMED_OUT, TOO_MANY_REDIRECTS, EMPTY_REPLY, SEND_FAILED, RECEIVE_FAILED = 28, 47, 52, 55, 56
UNSUPPORTED_PROTOCOL, BAD_ARGUMENT = 1, 43
MAXIMUM_REDIRECTS = 50
CONNECT_TIMEOUT = 300.0
AGENT = "curl/7.88.1"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Write = Callable[[str], None]


class Transfer:
    """Runs transfers of one command line; a connection that is left intact serves the next of the same host."""

    def __init__(self, invocation: Invocation, options: CurlOptions) -> None:
        self._invocation = invocation
        self._options = options
        self._verbose = "verbose" in options.switches
        self._connection: HttpConnection | None = None
        self._place = ("", 0)
        self._number = -1  # of the connection, as verbose lines have it
        self._began = 0.0
        self._phase = "resolve"
        if self._verbose:
            for (host, port), address in options.resolve.items():
                self._note(f"Added {host}:{port}:{address} to DNS cache")

    async def close(self) -> None:
        """Close the connection that is open, if one is."""
        if self._connection is not None:
            await self._connection.stream.aclose()
            self._connection = None

    async def run(self, url: Url, report: Report, write: Write) -> None:
        """Fetch a URL and what it redirects to. CurlError for every failure."""
        self._began = trio.current_time()
        limit = self._options.number("max-time")
        try:
            with trio.fail_after(limit or float("inf")):
                await self._follow(url, report, write)
        except trio.TooSlowError:
            await self._hang_up(message := self._timeout_text(report))
            raise CurlError(TIMED_OUT, message) from None
        finally:
            report.times["total"] = self._elapsed()

    async def _follow(self, url: Url, report: Report, write: Write) -> None:
        limit = int(self._options.number("max-redirs", MAXIMUM_REDIRECTS))
        method = self._options.method
        while True:
            head = await self._request(url, method, report, write)
            location = head.header("location") if head.status in _REDIRECTS else ""
            if not location:
                return
            if "location" not in self._options.switches:
                report.redirect_url = redirected(url, location)
                return
            if report.redirects >= limit:
                raise CurlError(TOO_MANY_REDIRECTS, f"Maximum ({limit}) redirects followed")
            report.redirects += 1
            url = parse_url(redirected(url, location), report)
            self._note(f"Issue another request to this URL: '{url.text}'")
            if "request" not in self._options.values and method == "POST" and head.status in {301, 302, 303}:
                method = "GET"
            report.times["redirect"] = self._elapsed()

    async def _request(self, url: Url, method: str, report: Report, write: Write) -> Head:
        connection = await self._connect(url, report)
        headers = self._headers(url, method)
        body = (
            (self._options.body or b"") if method not in {"GET", "HEAD"} or "request" in self._options.values else b""
        )
        version = "1.0" if "http1.0" in self._options.switches else "1.1"
        lines = [f"{method} {self._target(url)} HTTP/{version}", *(f"{name}: {value}" for name, value in headers), ""]
        for line in lines if self._verbose else ():
            self._invocation.write_error(f"> {line}\n")
        report.method = method
        report.request_size += sum(len(line) + 2 for line in lines) + len(body)
        report.uploaded += len(body)
        try:
            await connection.send(method, self._target(url), headers, body, version=version)
            report.times["pretransfer"] = self._elapsed()
            return await self._receive(connection, method, report, write)
        except ValueError as error:
            raise CurlError(BAD_ARGUMENT, f"the request cannot be sent: {error}") from None
        except trio.BrokenResourceError as error:
            raise await self._broken(error) from None
        except (EmptyReplyError, ShortReplyError, MalformedReplyError) as error:
            raise await self._bad_reply(error) from None

    async def _receive(self, connection: HttpConnection, method: str, report: Report, write: Write) -> Head:
        switches = self._options.switches
        head = await connection.receive_head()
        report.times["starttransfer"] = self._elapsed()
        report.http_code, report.http_version = head.status, head.version
        report.content_type = head.header("content-type") or None
        report.header_count = len(head.headers)
        report.header_size += sum(len(line) + 2 for line in (*head.lines, ""))
        for line in (*head.lines, "") if self._verbose else ():
            self._invocation.write_error(f"< {line}\n")
        if "include" in switches or "head" in switches:
            write("".join(f"{line}\r\n" for line in (*head.lines, "")))
        length = head.header("content-length")
        report.expected = int(length) if is_natural(length) and method != "HEAD" else None
        if head.status >= 400 and "fail" in switches:
            message = f"The requested URL returned error: {head.status}"
            await self._hang_up(message)
            raise CurlError(HTTP_ERROR, message)
        ignored = "location" in switches and head.status in _REDIRECTS and bool(head.header("location"))
        if ignored and length != "0":
            self._note("Ignoring the response-body")
        await self._read_body(connection, report, _discard if ignored else write)
        if head.status >= 400 and "fail-with-body" in switches:
            raise CurlError(HTTP_ERROR, f"The requested URL returned error: {head.status}")
        return head

    async def _read_body(self, connection: HttpConnection, report: Report, write: Write) -> None:
        report.downloaded = 0
        async for part in connection.body():
            report.downloaded += len(part)
            if self._verbose:
                self._invocation.write_error(f"{{ [{len(part)} bytes data]\n")
            write(part.decode("utf-8", "surrogateescape"))
            await self._invocation.drain()
        if connection.reusable:
            self._note(f"Connection #{self._number} to host {self._place[0]} left intact")
        else:
            await self._hang_up("")

    async def _connect(self, url: Url, report: Report) -> HttpConnection:
        place = (url.host, url.port)
        connection = self._connection
        if connection is not None and connection.reusable and place == self._place:
            self._note("Found bundle for host: 0x55d0c0de0000 [serially]")
            self._note("Can not multiplex, even if we wanted to")
            self._note(f"Re-using existing connection #{self._number} with host {url.host}")
            report.local, report.remote = connection.stream.local_address, connection.stream.remote_address
            return connection
        await self.close()
        self._number += 1
        self._place = place
        addresses = await self._resolve(url)
        report.times["namelookup"] = self._elapsed()
        stream = await self._connect_any(url, addresses)
        self._phase = "transfer"
        report.times["connect"] = self._elapsed()
        report.connects += 1
        report.local, report.remote = stream.local_address, stream.remote_address
        self._note(f"Connected to {url.host} ({stream.remote_address[0]}) port {url.port} (#{self._number})")
        self._connection = HttpConnection(stream)
        return self._connection

    async def _resolve(self, url: Url) -> list[str]:
        self._phase = "resolve"
        known = self._options.resolve.get((url.host.lower(), url.port))
        if known is not None:
            self._note(f"Hostname {url.host} was found in DNS cache")
            return [known]
        if url.host.startswith("["):
            message = f"Failed to connect to {url.host[1:-1]} port {url.port} after 0 ms: Couldn't connect to server"
            await self._hang_up(message)
            raise CurlError(CONNECT_FAILED, message)  # no namespace has IPv6
        try:
            return await self._invocation.network.resolve(url.host)
        except ResolveError:
            message = f"Could not resolve host: {url.host}"
            await self._hang_up(message)
            raise CurlError(RESOLVE_FAILED, message) from None

    async def _connect_any(self, url: Url, addresses: list[str]) -> TcpStream:
        """Try the addresses in turn."""
        self._phase = "connect"
        code, reason = CONNECT_FAILED, "Couldn't connect to server"
        timeout = self._options.number("connect-timeout") or CONNECT_TIMEOUT
        try:
            with trio.fail_after(timeout - self._elapsed()):
                for address in addresses:
                    self._note(f"  Trying {address}:{url.port}...")
                    try:
                        return await self._invocation.network.open_tcp_stream(address, url.port)
                    except OSError as error:
                        code = TIMED_OUT if error.errno == errno.ETIMEDOUT else CONNECT_FAILED
                        self._note_failure(address, url.port, error)
        except trio.TooSlowError:
            code, reason = TIMED_OUT, "Timeout was reached"
        message = f"Failed to connect to {url.host} port {url.port} after {self._milliseconds()} ms: {reason}"
        await self._hang_up(message)
        raise CurlError(code, message)

    def _note_failure(self, address: str, port: int, error: OSError) -> None:
        if error.errno in {errno.ENETUNREACH, errno.EACCES, errno.EINVAL}:  # connect(2) itself said so
            self._note(f"Immediate connect fail for {address}: {error.strerror}")
        else:
            self._note(f"connect to {address} port {port} failed: {error.strerror}")

    def _target(self, url: Url) -> str:
        if "get" in self._options.switches and self._options.data:
            return url.target + ("&" if "?" in url.target else "?") + "&".join(self._options.data)
        return url.target

    def _headers(self, url: Url, method: str) -> Headers:
        """The request's headers in curl's order; `-H` replaces, adds or (with no value) removes."""
        options = self._options
        headers = [("Host", url.host_header)]
        user = options.values.get("user", url.user)
        if user:
            headers.append(("Authorization", f"Basic {b64encode(user.encode()).decode()}"))
        headers.append(("User-Agent", options.values.get("user-agent", AGENT)))
        if not options.json:
            headers.append(("Accept", "*/*"))
        if "referer" in options.values:
            headers.append(("Referer", options.values["referer"]))
        headers, added = _customized(headers, options.headers)
        headers += added
        body = options.body
        given = {name.lower() for name, _ in headers}
        if body is not None and (method not in {"GET", "HEAD"} or "request" in options.values):
            if options.json:
                defaults = [("Content-Type", "application/json"), ("Accept", "application/json")]
                headers += [header for header in defaults if header[0].lower() not in given]
            if "content-length" not in given:
                headers.append(("Content-Length", str(len(body))))
            if not options.json and "content-type" not in given:
                headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        return tuple(headers)

    async def _broken(self, error: trio.BrokenResourceError) -> CurlError:
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else "Connection reset by peer"
        message = f"Recv failure: {reason}"
        await self._hang_up(message)
        return CurlError(RECEIVE_FAILED, message)

    async def _bad_reply(self, error: Exception) -> CurlError:
        if isinstance(error, EmptyReplyError):
            code, message = EMPTY_REPLY, "Empty reply from server"
        elif isinstance(error, ShortReplyError) and error.missing is not None:
            code, message = PARTIAL_FILE, f"transfer closed with {error.missing} bytes remaining to read"
        elif isinstance(error, ShortReplyError):
            code, message = PARTIAL_FILE, "transfer closed with outstanding read data remaining"
        else:
            code, message = UNSUPPORTED_PROTOCOL, "Received HTTP/0.9 when not allowed"
        await self._hang_up(message)
        return CurlError(code, message)

    def _timeout_text(self, report: Report) -> str:
        milliseconds = self._milliseconds()
        if self._phase == "resolve":
            return f"Resolving timed out after {milliseconds} milliseconds"
        if self._phase == "connect":
            return f"Connection timed out after {milliseconds} milliseconds"
        of = f" out of {report.expected}" if report.expected is not None else ""
        return f"Operation timed out after {milliseconds} milliseconds with {report.downloaded}{of} bytes received"

    async def _hang_up(self, reason: str) -> None:
        if reason:
            self._note(reason)
        self._note(f"Closing connection {max(self._number, 0)}")
        with trio.CancelScope(shield=True):
            await self.close()

    def _note(self, line: str) -> None:
        if self._verbose:
            self._invocation.write_error(f"* {line}\n")

    def _elapsed(self) -> float:
        return trio.current_time() - self._began

    def _milliseconds(self) -> int:
        return int(self._elapsed() * 1000)


def _customized(
    headers: list[tuple[str, str]], custom: list[str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Apply `-H`: (the standard headers as they are now, the added ones)."""
    added: list[tuple[str, str]] = []
    for line in custom:
        name, colon, value = line.partition(":")
        if not colon:
            if line.endswith(";"):
                added.append((line[:-1], ""))
            continue
        standard = [known for known, _ in headers if known.lower() == name.lower()]
        value = value.strip()
        if name.lower() == "host" and value:
            headers = [(known, value if known == "Host" else old) for known, old in headers]
            continue
        headers = [header for header in headers if header[0] not in standard]
        if value:
            added.append((name, value))
    return headers, added


def _discard(_text: str) -> None:
    """Take a body that is not wanted."""
