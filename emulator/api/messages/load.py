"""A load that a node makes from its pods: one exchange for all of it, so that no request crosses the control socket."""

from __future__ import annotations

from msgspec import Struct

from emulator.api.messages.envelope import Method

MOST_RATE = 1_000_000.0
"""Requests a second that may be asked for: beyond all that a node can send, and still counted in no time."""

MOST_UNDER_WAY = 10_000
"""Requests of one load that may be unanswered at a time; each is a task of its node."""


class LoadTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked. `url` names it in reports; `protocol` is http, https, tcp, udp, dns or ping.

    `path`: of HTTP, with its query; of DNS the name, with `record` as its type and an empty `host` for the pod's own
    name server. `payload` is what is sent, of tcp over and over until it is `size` bytes (0: once); `expect` must be in
    what comes back.
    """

    url: str
    protocol: str
    host: str = ""
    port: int = 0
    path: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    record: int = 1
    payload: bytes = b""
    size: int = 0
    expect: bytes = b""


class LoadPace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How requests follow each other; times in seconds.

    `duration` ends the sending; what is unanswered then has until `timeout`. `keep` connections for the next request.
    `lookup_each`: names are looked up for each new connection, not once. `pause` follows each answer of a closed loop.
    `in_flight`: requests of one client of an open loop that may be unanswered; what is due beyond waits.
    """

    duration: float
    poisson: bool = False
    timeout: float = 5.0
    pause: float = 0.0
    in_flight: int = 512
    keep: bool = False
    lookup_each: bool = False


class LoadClient(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who asks: a pod, or the node itself where `pod` is empty, and its part of the load.

    `rate` is in requests a second; 0 is a closed loop, with `concurrency` requests under way. `requests`: how many at
    most (0: until the time is up). `seed`: of what is drawn.
    """

    pod: str
    namespace: str = "default"
    rate: float = 0.0
    concurrency: int = 1
    requests: int = 0
    seed: str = ""


class LoadParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A load on one node: each client asks the targets in turn. News come every `interval` seconds."""

    pace: LoadPace
    targets: tuple[LoadTarget, ...]
    clients: tuple[LoadClient, ...]
    interval: float = 0.5


class LoadTally(Struct, frozen=True, kw_only=True):
    """What one client (by its place in `clients`) got of one target (likewise) since the news before.

    `latencies` are buckets of a histogram (`apps/load/histogram.py`) with their counts, `longest` and `total` the
    largest and the sum of them in microseconds. `unsent` requests were due, but too many were unanswered to send them;
    `retried` ones found their kept connection closed, and were sent again on a new one.
    """

    client: int
    target: int
    sent: int = 0
    errors: dict[str, int] = {}
    endpoints: dict[str, int] = {}
    latencies: tuple[tuple[int, int], ...] = ()
    longest: int = 0
    total: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    connections: int = 0
    retried: int = 0
    unsent: int = 0


class LoadNews(Struct, frozen=True, kw_only=True):
    """What happened since the news before; `gone` clients' pods went away, and send no more."""

    tallies: tuple[LoadTally, ...] = ()
    gone: tuple[int, ...] = ()


LOAD_RUN = Method("load.run", LoadParams, LoadNews, LoadNews)
