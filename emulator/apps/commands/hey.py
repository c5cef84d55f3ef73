"""hey 0.1.4 (rakyll/hey), an HTTP load generator: so many workers in a closed loop, or with `-open` a rate that holds.

In a closed loop a worker sends its next request when the one before is answered: a server that stalls is asked less.
`-open` is ours: requests are due at `-q` times `-c` a second whatever becomes of those before, and their times count
from when they were due ("coordinated omission").
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Sequence

import trio
from msgspec import Struct, field

from emulator.apps.commands.curl_output import Report as CurlReport
from emulator.apps.commands.curl_url import CurlError, Url, parse_url
from emulator.apps.commands.hey_report import HeyReport, Timing
from emulator.apps.environment import Invocation, Network, ResolveError, TcpStream
from emulator.apps.go.net import broken_text, error_text, resolve
from emulator.apps.go.text import parse_duration
from emulator.apps.http_client import EmptyReplyError, HttpConnection, MalformedReplyError, ShortReplyError
from emulator.apps.http_message import Headers
from emulator.apps.options import UsageError
from emulator.apps.tls import TlsError, client_context, connect

USAGE = """Usage: hey [options...] <url>

Options:
  -n  Number of requests to run. Default is 200.
  -c  Number of workers to run concurrently. Total number of requests cannot
      be smaller than the concurrency level. Default is 50.
  -q  Rate limit, in queries per second (QPS) per worker. Default is no rate limit.
  -z  Duration of application to send requests. When duration is reached,
      application stops and exits. If duration is specified, n is ignored.
      Examples: -z 10s -z 3m.
  -open  Send at the rate -q * -c whatever becomes of earlier requests, and
      count times from when a request was due (Podwire's own).

  -m  HTTP method, one of GET, POST, PUT, DELETE, HEAD, OPTIONS.
  -H  Custom HTTP header. You can specify as many as needed by repeating the flag.
      For example, -H "Accept: text/html" -H "Content-Type: application/xml" .
  -t  Timeout for each request in seconds. Default is 20, use 0 for infinite.
  -A  HTTP Accept header.
  -d  HTTP request body.
  -T  Content-type, defaults to "text/html".
  -U  User-Agent, defaults to version "hey/0.0.1".
  -host\tHTTP Host header.

  -disable-keepalive    Disable keep-alive, prevents re-use of TCP
                        connections between different HTTP requests.
"""
_VALUED = frozenset({"n", "c", "q", "z", "m", "H", "t", "A", "d", "T", "U", "host", "cpus"})
_SWITCHES = frozenset({"open", "disable-keepalive", "disable-compression", "disable-redirects"})
_AT_ONCE = 5_000  # requests under way in an open loop, at most: what is beyond waits
_STILL = 1e-3  # seconds between requests of a worker whose clock stands still, as simulations' clocks do


class _FailedError(Exception):
    """A request that failed, in Go's words."""


class HeySettings(Struct, frozen=True):
    """What a command line asks for. `rate` is requests a second of each worker, times are seconds."""

    url: Url
    count: int
    workers: int
    rate: float
    duration: float
    open_loop: bool
    method: str
    headers: Headers
    body: bytes
    patience: float
    keep: bool


async def main(invocation: Invocation) -> int:
    """Run `hey`. Exit status 0, or 1 for a command line that is refused."""
    try:
        settings = read(invocation.argv[1:])
    except (UsageError, ValueError) as error:
        invocation.write_error((f"{error}\n\n" if str(error) else "") + USAGE + "\n")
        return 1
    load = _Load(invocation.network, settings)
    invocation.on_interrupt(load.stop)
    report = await load.run()
    invocation.write(report.text())
    return 0


def read(words: Sequence[str]) -> HeySettings:
    """Read a command line. UsageError, ValueError in hey's words."""
    values, headers, operands = _split(words)
    if not operands:
        raise UsageError("")
    count, workers = int(values.get("n", "200")), int(values.get("c", "50"))
    duration = parse_duration(values["z"]) if "z" in values else 0.0
    if workers < 1 or (count < 1 and not duration):
        raise UsageError("-n and -c cannot be smaller than 1.")
    if not duration and count < workers and "open" not in values:
        raise UsageError("-n cannot be less than -c.")
    rate = float(values.get("q", "0"))
    if "open" in values and rate <= 0:
        raise UsageError("-open needs a rate: -q.")
    try:
        url = parse_url(operands[0], CurlReport(operands[0]))
    except CurlError as error:
        raise UsageError(str(error)) from None
    body = values.get("d", "").encode()
    return HeySettings(
        url,
        count,
        workers,
        rate,
        duration,
        "open" in values,
        values.get("m", "GET").upper(),
        _headers(url, values, headers, body),
        body,
        float(values.get("t", "20")) or math.inf,
        "disable-keepalive" not in values,
    )


def _split(words: Sequence[str]) -> tuple[dict[str, str], list[str], list[str]]:
    """Return flags as Go's package flag reads them, the headers, and what follows the flags."""
    values: dict[str, str] = {}
    headers: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        name, equals, value = rest.pop(0).lstrip("-").partition("=")
        if name in _SWITCHES:
            values[name] = value or "true"
            continue
        if name not in _VALUED:
            raise UsageError(f"flag provided but not defined: -{name}")
        if not equals:
            if not rest:
                raise UsageError(f"flag needs an argument: -{name}")
            value = rest.pop(0)
        if name == "H":
            headers.append(value)
        else:
            values[name] = value
    return values, headers, rest


def _headers(url: Url, values: dict[str, str], custom: list[str], body: bytes) -> Headers:
    agent = f"{values['U']} hey/0.0.1" if "U" in values else "hey/0.0.1"
    found = {"Host": values.get("host", url.host_header), "User-Agent": agent}
    if body:
        found["Content-Length"] = str(len(body))
    if "A" in values:
        found["Accept"] = values["A"]
    found["Content-Type"] = values.get("T", "text/html")
    for line in custom:
        name, colon, value = line.partition(":")
        if not colon or not value.strip():
            raise UsageError(f"could not parse the provided input; input = {line}")
        found[name] = value.strip()
    found["Accept-Encoding"] = "gzip"
    return tuple(found.items())


class _Load(Struct):
    network: Network
    settings: HeySettings
    report: HeyReport = field(default_factory=HeyReport)
    _scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    _idle: list[HttpConnection] = field(default_factory=list)
    _context: ssl.SSLContext | None = None

    def stop(self) -> None:
        """End early: requests that are under way are not counted."""
        self._scope.cancel()

    async def run(self) -> HeyReport:
        """Send until all is sent or the time is up."""
        settings = self.settings
        began = trio.current_time()
        if settings.duration:
            self._scope.deadline = began + settings.duration
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    if settings.open_loop:
                        await self._send_open(nursery)
                    else:
                        self._start_workers(nursery)
        finally:
            with trio.CancelScope(shield=True):
                for connection in self._idle:
                    await connection.stream.aclose()
        self.report.total = trio.current_time() - began
        return self.report

    def _start_workers(self, nursery: trio.Nursery) -> None:
        settings = self.settings
        share = math.inf if settings.duration else settings.count // settings.workers
        for _ in range(settings.workers):
            nursery.start_soon(self._work, share)

    async def _work(self, share: float) -> None:
        """One worker: so many requests, one behind the other."""
        began, done = trio.current_time(), 0
        while done < share:
            if self.settings.rate:
                await trio.sleep_until(began + done / self.settings.rate)
            before = trio.current_time()
            await self._do(before)
            done += 1
            if trio.current_time() == before:
                await trio.sleep(_STILL)

    async def _send_open(self, nursery: trio.Nursery) -> None:
        settings = self.settings
        began = trio.current_time()
        places = trio.Semaphore(_AT_ONCE)
        rate, number = settings.rate * settings.workers, 0
        while settings.duration or number < settings.count:
            due = began + number / rate
            await trio.sleep_until(due)
            await places.acquire()
            nursery.start_soon(self._do_in_place, due, places)
            number += 1

    async def _do_in_place(self, due: float, places: trio.Semaphore) -> None:
        try:
            await self._do(due)
        finally:
            places.release()

    async def _do(self, due: float) -> None:
        """Make one request that was due at that time, and count it."""
        get = f'{self.settings.method.capitalize()} "{self.settings.url.text}"'
        try:
            with trio.fail_after(self.settings.patience):
                await self._request(due)
        except trio.TooSlowError:
            self.report.fail(f"{get}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        except _FailedError as error:
            self.report.fail(f"{get}: {error}")

    async def _request(self, due: float) -> None:
        while self._idle:
            connection = self._idle.pop()
            try:
                await self._exchange(connection, due, trio.current_time(), Timing())
                return
            except _FailedError:
                if connection.heard:
                    raise
                # The server had hung up before it saw the request: net/http tries another connection, as here.
        began, timing = trio.current_time(), Timing()
        await self._exchange(await self._open(timing), due, began, timing)

    async def _exchange(self, connection: HttpConnection, due: float, began: float, timing: Timing) -> None:
        """Send a request on a connection and read the answer; `began` is when the connection was asked for."""
        settings = self.settings
        connected = trio.current_time()
        timing.dial = connected - began
        kept = False
        try:
            await connection.send(settings.method, settings.url.target, settings.headers, settings.body)
            written = trio.current_time()
            head = await connection.receive_head()
            heard = trio.current_time()
            size = 0
            async for part in connection.body():
                size += len(part)
            kept = settings.keep and connection.reusable
        except EmptyReplyError:
            raise _FailedError("EOF") from None
        except ShortReplyError:
            raise _FailedError("unexpected EOF") from None
        except (MalformedReplyError, ValueError) as error:
            raise _FailedError(f"net/http: HTTP/1.x transport connection broken: {error}") from None
        except trio.BrokenResourceError as error:
            raise _FailedError(broken_text(connection.stream, error)) from None
        finally:
            if kept:
                self._idle.append(connection)
            else:
                with trio.CancelScope(shield=True):
                    await connection.stream.aclose()
        ended = trio.current_time()
        timing.write, timing.wait, timing.read = written - connected, heard - written, ended - heard
        self.report.add(ended - due, timing, head.status, size)

    async def _open(self, timing: Timing) -> HttpConnection:
        url, began = self.settings.url, trio.current_time()
        try:
            address = await resolve(self.network, url.host, str(url.port), "tcp")
        except ResolveError as error:
            raise _FailedError(f"dial tcp: {error}") from None
        timing.lookup = trio.current_time() - began
        try:
            stream: TcpStream = await self.network.open_tcp_stream(*address)
        except OSError as error:
            raise _FailedError(f"dial tcp {address[0]}:{address[1]}: connect: {error_text(error)}") from None
        if url.scheme == "https":
            self._context = self._context or client_context(verify=False)  # as hey: InsecureSkipVerify
            try:
                stream = await connect(stream, self._context, url.host)
            except TlsError as error:
                await stream.aclose()
                raise _FailedError(f"tls: {error}") from None
            except BaseException:
                with trio.CancelScope(shield=True):
                    await stream.aclose()
                raise
        return HttpConnection(stream)
