"""Scripted traffic from a cluster's pods: HTTP and UDP requests at a rate, counted, timed, and told as a report.

The requests leave from sockets in the pods' own namespaces, lent over the nodes' control sockets. Latency counts from
when a request was due, not from when it could be sent: a server that stalls is seen in every request it held up.
"""

from __future__ import annotations

import errno
import itertools
import os
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import trio

from emulator.api.messages import ControlError
from emulator.apps.environment import ResolveError, TcpStream
from emulator.apps.http_client import EmptyReplyError, HttpConnection, MalformedReplyError, ShortReplyError
from emulator.errors import PodwireError
from emulator.runtime.cluster.cluster import Place

MOST_AT_ONCE = 64
"""Requests of one source that may wait for their answers at the same time; what is due beyond is sent later."""

TIMEOUT = 5.0
PROGRESS_INTERVAL = 0.5
_BODY_LIMIT = 1 << 20
_PERCENTILES = (("p50", 0.50), ("p90", 0.90), ("p99", 0.99), ("max", 1.0))

Request = Callable[[], Awaitable[str]]
"""Does one request; returns who answered, empty where that cannot be told. Raises what `error_kind` knows."""

Identify = Callable[[bytes], str]


class FailedError(PodwireError):
    """A request that was answered, but not as it should be; the text is the kind of error that is counted."""


@dataclass(slots=True)
class Results:
    """What came of the requests of one source. `latencies` are seconds of those that succeeded."""

    name: str
    sent: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    endpoints: Counter[str] = field(default_factory=Counter)
    latencies: array[float] = field(default_factory=lambda: array("d"))

    @property
    def succeeded(self) -> int:
        """Requests that were answered well."""
        return len(self.latencies)

    @property
    def failed(self) -> int:
        """Requests that were not."""
        return sum(self.errors.values())

    def quantiles(self) -> dict[str, float]:
        """Return p50, p90, p99 and max in milliseconds, exact (nearest rank); empty without a success."""
        if not self.latencies:
            return {}
        ordered = sorted(self.latencies)
        count = len(ordered)
        ranks = {name: max(0, -int(-share * count // 1) - 1) for name, share in _PERCENTILES}
        return {name: round(ordered[rank] * 1000, 3) for name, rank in ranks.items()}

    def summary(self) -> dict[str, Any]:
        """Return all of it as JSON types."""
        return {
            "name": self.name,
            "sent": self.sent,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "errors": dict(self.errors.most_common()),
            "latency_ms": self.quantiles(),
            "endpoints": dict(sorted(self.endpoints.items())),
        }

    @classmethod
    def total(cls, name: str, parts: Iterable[Results]) -> Results:
        """Add up results."""
        result = cls(name)
        for part in parts:
            result.sent += part.sent
            result.errors += part.errors
            result.endpoints += part.endpoints
            result.latencies += part.latencies
        return result


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a load; `duration` is in seconds, from the first request to the last answer."""

    duration: float
    results: tuple[Results, ...]

    @property
    def total(self) -> Results:
        """All sources together."""
        return Results.total("total", self.results)

    def summary(self) -> dict[str, Any]:
        """Return the report as JSON types; latencies are in milliseconds."""
        total = self.total.summary()
        rate = total["succeeded"] / self.duration if self.duration else 0.0
        sources = [results.summary() for results in self.results]
        return {"duration_s": round(self.duration, 3), "rate": round(rate, 1), "total": total, "sources": sources}

    def lines(self) -> list[str]:
        """Return the report as text."""
        rows: list[tuple[str, ...]] = [("SOURCE", "SENT", "OK", "FAILED", "P50 MS", "P90 MS", "P99 MS", "MAX MS")]
        rows += [_row(results) for results in (*self.results, self.total)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [_aligned(row, widths) for row in rows]
        total = self.total
        lines += ["", f"{total.sent} requests in {self.duration:.1f} s, {self.summary()['rate']:g} answered a second"]
        lines += _shares("ENDPOINT", total.endpoints) + _shares("ERROR", total.errors)
        return lines


def _row(results: Results) -> tuple[str, ...]:
    latencies = results.quantiles()
    times = [f"{latencies[name]:.1f}" if latencies else "-" for name, _ in _PERCENTILES]
    return (results.name, str(results.sent), str(results.succeeded), str(results.failed), *times)


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    return "   ".join((first.strip().ljust(widths[0]), *rest))


def _shares(title: str, counts: Counter[str]) -> list[str]:
    if not counts:
        return []
    total, width = sum(counts.values()), max(map(len, (title, *counts)))
    shares = [f"{name.ljust(width)}   {count:>6}   {count / total:6.1%}" for name, count in sorted(counts.items())]
    return ["", f"{title.ljust(width)}    COUNT    SHARE", *shares]


@dataclass(frozen=True, slots=True)
class Progress:
    """How a load goes: since its start, and over the last interval."""

    elapsed: float
    duration: float
    sent: int
    failed: int
    rate: float
    latency_ms: float

    def __str__(self) -> str:
        return (
            f"{self.elapsed:4.0f}/{self.duration:.0f} s   {self.rate:6.0f} answered/s   {self.sent} sent   "
            f"{self.failed} failed   {self.latency_ms:.1f} ms mean"
        )


OnProgress = Callable[[Progress], None]

progress_line: ContextVar[OnProgress | None] = ContextVar("progress_line", default=None)
"""Who hears how loads go in this context: a script that makes a `Load` does not know where it is run."""


class Load:
    """Requests from several sources for `duration` seconds. Add sources, then `run`."""

    def __init__(self, duration: float, on_progress: OnProgress | None = None) -> None:
        self.duration = duration
        self._on_progress = on_progress or progress_line.get()
        self._sources: list[tuple[Request, float, Results]] = []

    def add(self, name: str, request: Request, rate: float) -> None:
        """Add a source that makes `rate` requests a second. Raises PodwireError for a rate that is not over 0."""
        if rate <= 0:
            raise PodwireError(f"{name}: a rate must be more than 0 requests a second, not {rate:g}")
        self._sources.append((request, rate, Results(name)))

    async def run(self) -> Report:
        """Send, wait for the last answers, and return what came of it."""
        if not self._sources:
            raise PodwireError("no traffic: the load has no source")
        began = trio.current_time()
        async with trio.open_nursery() as watching:
            watching.start_soon(self._report_progress, began)
            async with trio.open_nursery() as sending:
                for number, (request, rate, results) in enumerate(self._sources):
                    phase = number / len(self._sources)  # so that sources do not send all at the same moment
                    sending.start_soon(self._send, request, rate, results, began, phase)
            watching.cancel_scope.cancel()
        return Report(trio.current_time() - began, tuple(results for _, _, results in self._sources))

    async def _send(self, request: Request, rate: float, results: Results, began: float, phase: float) -> None:
        """Start requests as they are due; wait only while too many are unanswered. `phase` is a part of an interval."""
        places = trio.Semaphore(MOST_AT_ONCE)
        async with trio.open_nursery() as nursery:
            for number in itertools.count():
                due = began + (number + phase) / rate
                if due >= began + self.duration:
                    return
                await trio.sleep_until(due)
                await places.acquire()
                if trio.current_time() >= began + self.duration:
                    return
                results.sent += 1
                nursery.start_soon(_do, request, due, results, places)

    async def _report_progress(self, began: float) -> None:
        last, answered = began, 0
        while self._on_progress is not None:
            await trio.sleep(PROGRESS_INTERVAL)
            now = trio.current_time()
            parts = [results for _, _, results in self._sources]
            succeeded = sum(results.succeeded for results in parts)
            recent = [latency for results in parts for latency in results.latencies[-100:]]
            mean = 1000 * sum(recent) / len(recent) if recent else 0.0
            sent, failed = (sum(counts) for counts in zip(*((r.sent, r.failed) for r in parts), strict=True))
            rate = (succeeded - answered) / (now - last)
            self._on_progress(Progress(now - began, self.duration, sent, failed, rate, mean))
            last, answered = now, succeeded


async def _do(request: Request, due: float, results: Results, places: trio.Semaphore) -> None:
    try:
        with trio.fail_after(TIMEOUT):
            endpoint = await request()
    except EXPECTED as error:
        results.errors[error_kind(error)] += 1
    else:
        results.latencies.append(trio.current_time() - due)
        if endpoint:
            results.endpoints[endpoint] += 1
    finally:
        places.release()


# --- requests --------------------------------------------------------------------------------------------------------

EXPECTED = (
    OSError,
    trio.TooSlowError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    EmptyReplyError,
    ShortReplyError,
    MalformedReplyError,
    PodwireError,
)
"""What a request may meet in a network; anything else is a mistake in the script, and ends the load."""


def error_kind(error: BaseException) -> str:
    """Return the words under which an error is counted, without addresses or names in them."""
    match error:
        case trio.TooSlowError():
            return "timeout"
        case ResolveError():
            return "name not resolved"
        case OSError(errno=errno.EIO) | OSError(errno=None):  # of the node's socket: its text says what
            return error.strerror or str(error)
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
        case trio.BrokenResourceError():
            return error_kind(error.__cause__) if isinstance(error.__cause__, OSError) else "connection broken"
        case trio.ClosedResourceError():
            return "connection closed"
        case EmptyReplyError():
            return "empty reply"
        case ShortReplyError() | MalformedReplyError():
            return "broken reply"
        case ControlError():
            return f"node: {error.code.value}"
    return str(error)


def http_get(place: Place, url: str, identify: Identify | None = None) -> Request:
    """Make a request that gets `url` over a new connection from a pod; an answer of 400 or more is an error.

    `identify` tells from the body who answered, `hostname_of` where it is not given.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise PodwireError(f"{url}: not a URL that can be asked; write http://HOST[:PORT]/PATH")
    host, port = parts.hostname, parts.port or 80
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = (("Host", parts.netloc), ("User-Agent", "podwire"), ("Connection", "close"))

    async def request() -> str:
        async with await place.open_tcp_stream(host, port) as stream:
            # What HTTP needs of a pod's own stream, a lent one has too: to send and to receive.
            connection = HttpConnection(cast("TcpStream", stream))
            await connection.send("GET", target, headers)
            head = await connection.receive_head()
            body = b""
            async for part in connection.body():
                body += part[: max(0, _BODY_LIMIT - len(body))]
        if head.status >= 400:
            raise FailedError(f"HTTP {head.status}")
        return (identify or hostname_of)(body)

    return request


def udp_exchange(place: Place, host: str, port: int, make: Callable[[], bytes], check: Identify) -> Request:
    """Make a request that sends one datagram from a new port of a pod and waits for the answer.

    `check` returns who answered, or raises FailedError for an answer that is wrong.
    """

    async def request() -> str:
        with await place.udp_socket() as socket:
            await socket.send_to(make(), (host, port))
            payload, _ = await socket.receive()
        return check(payload)

    return request


def hostname_of(body: bytes) -> str:
    """Return the name of the pod that answered: of whoami, of netexec's /hostname, or nothing."""
    first = body.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    if first.startswith("Hostname: "):
        return first.removeprefix("Hostname: ")
    return first if first and len(first) <= 63 and first.replace("-", "").replace(".", "").isalnum() else ""
