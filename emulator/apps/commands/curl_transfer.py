"""One curl transfer: request, response, redirects, each with its failures and its verbose lines."""

from __future__ import annotations

from collections.abc import Callable

import trio

from emulator.apps.commands.curl_connection import TIMED_OUT, Connector
from emulator.apps.commands.curl_options import CurlOptions
from emulator.apps.commands.curl_output import Report
from emulator.apps.commands.curl_request import Body, body_of, headers_for, target
from emulator.apps.commands.curl_url import UNSUPPORTED_PROTOCOL, CurlError, Url, parse_url, redirected
from emulator.apps.commands.curl_verbose import Verbose
from emulator.apps.environment import Invocation
from emulator.apps.http_client import EmptyReplyError, Head, HttpConnection, MalformedReplyError, ShortReplyError
from emulator.packet.digits import is_natural

PARTIAL_FILE, HTTP_ERROR, BAD_ARGUMENT = 18, 22, 43
TOO_MANY_REDIRECTS, EMPTY_REPLY, RECEIVE_FAILED = 47, 52, 56
MAXIMUM_REDIRECTS = 50
CONTINUE_TIMEOUT = 1.0  # seconds that curl waits for 100 Continue
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PIECE = 65_536  # bytes of an upload sent at once

Write = Callable[[str], None]


class Transfer:
    """Runs transfers of one command line, on one connection where that serves."""

    def __init__(self, invocation: Invocation, options: CurlOptions) -> None:
        self._invocation = invocation
        self._options = options
        self._verbose = Verbose(invocation.write_error, "verbose" in options.switches)
        self._connector = Connector(invocation, options, self._verbose)

    async def close(self) -> None:
        """Close the connection that is open, if one is."""
        await self._connector.close()

    async def run(self, url: Url, report: Report, write: Write, standard_input: bytes = b"") -> None:
        """Fetch a URL and what it redirects to. CurlError for every failure."""
        self._connector.began = trio.current_time()
        limit = self._options.number("max-time")
        try:
            with trio.fail_after(limit or float("inf")):
                await self._follow(url, report, write, standard_input)
        except trio.TooSlowError:
            await self._connector.hang_up(message := self._timeout_text(report))
            raise CurlError(TIMED_OUT, message) from None
        finally:
            report.times["total"] = self._connector.elapsed

    async def _follow(self, url: Url, report: Report, write: Write, standard_input: bytes) -> None:
        limit = int(self._options.number("max-redirs", MAXIMUM_REDIRECTS))
        method = self._options.method
        boundary = f"------------------------{report.number:016x}"
        body = body_of(self._options, standard_input, boundary)
        while True:
            head = await self._request(url, method, body, report, write)
            location = head.header("location") if head.status in _REDIRECTS else ""
            if not location:
                return
            if "location" not in self._options.switches:
                report.redirect_url = redirected(url, location)
                return
            if limit >= 0 and report.redirects >= limit:
                raise CurlError(TOO_MANY_REDIRECTS, f"Maximum ({limit}) redirects followed")
            report.redirects += 1
            url = parse_url(redirected(url, location), report)
            self._verbose.note(f"Issue another request to this URL: '{url.text}'")
            if "request" not in self._options.values and method == "POST" and head.status in {301, 302, 303}:
                method, body = "GET", None
            report.times["redirect"] = self._connector.elapsed

    async def _request(self, url: Url, method: str, body: Body | None, report: Report, write: Write) -> Head:
        connection = await self._connector.connect(url, report)
        headers = headers_for(self._options, url, body)
        version = "1.0" if "http1.0" in self._options.switches else "1.1"
        place = target(self._options, url)
        lines = [f"{method} {place} HTTP/{version}", *(f"{name}: {value}" for name, value in headers), ""]
        report.method = method
        report.request_size += sum(len(line) + 2 for line in lines)
        try:
            if body is None or not (body.data or body.chunked):
                await connection.send(method, place, headers, version=version)
            else:
                await connection.send_head(method, place, headers, version=version)
            for line in lines:
                self._verbose.sent(line)
            report.times["pretransfer"] = self._connector.elapsed
            if body is not None and (body.data or body.chunked):
                await self._send_body(connection, body, expects=("Expect", "100-continue") in headers, report=report)
            return await self._receive(connection, method, report, write)
        except ValueError as error:
            raise CurlError(BAD_ARGUMENT, f"the request cannot be sent: {error}") from None
        except trio.BrokenResourceError as error:
            raise await self._broken(error) from None
        except (EmptyReplyError, ShortReplyError, MalformedReplyError) as error:
            raise await self._bad_reply(error) from None

    async def _send_body(self, connection: HttpConnection, body: Body, *, expects: bool, report: Report) -> None:
        if expects:
            allowed = await connection.wait_for_continue(CONTINUE_TIMEOUT)
            if allowed is None:  # it has an answer already, and wants no body
                return
            if allowed:
                self._verbose.received("HTTP/1.1 100 Continue")
            else:
                self._verbose.note("Done waiting for 100-continue")
        for start in range(0, len(body.data), _PIECE):
            part = body.data[start : start + _PIECE]
            sent = await connection.send_part(part)
            report.uploaded += len(part)
            report.request_size += 0 if expects else sent
            self._verbose.data("}", sent)
        if body.upload and body.chunked:
            self._verbose.note("Signaling end of chunked upload via terminating chunk.")
        ended = await connection.send_end()
        if ended:
            self._verbose.data("}", ended)
        if not body.chunked and (expects or body.form):
            self._verbose.note("We are completely uploaded and fine")

    async def _receive(self, connection: HttpConnection, method: str, report: Report, write: Write) -> Head:
        switches = self._options.switches
        head = await connection.receive_head()
        report.times["starttransfer"] = self._connector.elapsed
        report.note_head(head)
        self._show_head(head, write)
        length = head.header("content-length")
        report.expected = int(length) if is_natural(length) and method != "HEAD" else None
        if head.status >= 400 and "fail" in switches:
            message = f"The requested URL returned error: {head.status}"
            await self._connector.hang_up(message)
            raise CurlError(HTTP_ERROR, message)
        ignored = "location" in switches and head.status in _REDIRECTS and bool(head.header("location"))
        if ignored and length != "0":
            self._verbose.note("Ignoring the response-body")
        await self._read_body(connection, report, _discard if ignored else write)
        if head.status >= 400 and "fail-with-body" in switches:
            raise CurlError(HTTP_ERROR, f"The requested URL returned error: {head.status}")
        return head

    def _show_head(self, head: Head, write: Write) -> None:
        lines = (*head.lines, "")
        for line in lines:
            self._verbose.received(line)
        text = "".join(f"{line}\r\n" for line in lines)
        if {"include", "head"} & self._options.switches:
            write(text)
        dump = self._options.values.get("dump-header", "")
        if dump in {"-", "/dev/stdout"}:
            self._invocation.write(text)
        elif dump == "/dev/stderr":
            self._invocation.write_error(text)

    async def _read_body(self, connection: HttpConnection, report: Report, write: Write) -> None:
        report.downloaded = 0
        async for part in connection.body():
            report.downloaded += len(part)
            self._verbose.data("{", len(part))
            write(part.decode("utf-8", "surrogateescape"))
            await self._invocation.drain()
        if connection.reusable:
            place = report.host
            self._verbose.note(f"Connection #{self._connector.number} to host {place} left intact")
        else:
            await self._connector.hang_up("")

    async def _broken(self, error: trio.BrokenResourceError) -> CurlError:
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else "Connection reset by peer"
        message = f"Recv failure: {reason}"
        await self._connector.hang_up(message)
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
        await self._connector.hang_up(message)
        return CurlError(code, message)

    def _timeout_text(self, report: Report) -> str:
        milliseconds = self._connector.milliseconds
        if self._connector.phase == "resolve":
            return f"Resolving timed out after {milliseconds} milliseconds"
        if self._connector.phase == "connect":
            return f"Connection timed out after {milliseconds} milliseconds"
        of = f" out of {report.expected}" if report.expected is not None else ""
        return f"Operation timed out after {milliseconds} milliseconds with {report.downloaded}{of} bytes received"


def _discard(_text: str) -> None:
    """Take a body that is not wanted."""
