"""HTTP requests and responses as the programs of pods see them, between h11 and what a program does."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

from msgspec import Struct, field

from emulator.apps.environment import Address

Headers = tuple[tuple[str, str], ...]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Request(Struct, frozen=True):
    """A request as it came in, its body whole. `target` is as the client wrote it."""

    method: str
    target: str
    headers: Headers
    body: bytes
    version: str
    client: Address
    server: Address

    @property
    def path(self) -> str:
        """The path without the query, decoded."""
        return unquote(self.target.partition("?")[0]) or "/"

    @property
    def query(self) -> Mapping[str, list[str]]:
        """The values of the query by name."""
        return parse_qs(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name: str) -> str:
        """Return a header's value, or "" (names' case does not matter)."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")

    def parameter(self, name: str, default: str = "") -> str:
        """Return the first value of a name in the query."""
        return self.query.get(name, [default])[0]


class Response(Struct, frozen=True):
    """What a program answers. The server adds Date, and Content-Length where the headers have none.

    `first` are headers in front of Date, `headers` those behind it. `parts` is a body that comes bit by bit, in place
    of `body`: without a Content-Length it is sent in chunks.
    """

    status: int = 200
    body: bytes = b""
    headers: Headers = field(default=())
    first: Headers = field(default=())
    parts: AsyncGenerator[bytes, None] | None = None

    @property
    def reason(self) -> str:
        """The words behind the status."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return ""

    @property
    def bodiless(self) -> bool:
        """Whether a response of this status never has a body (RFC 9110, section 6.4.1)."""
        return self.status in {204, 304}


def text(body: str, status: int = 200) -> Response:
    """Make a plain-text response, as Go's net/http labels it."""
    return Response(status, body.encode(), (("Content-Type", "text/plain; charset=utf-8"),))


def http_date(seconds: float) -> str:
    """Write a time (seconds since the epoch) as the Date header has it (RFC 9110 section 5.6.7)."""
    moment = datetime.fromtimestamp(seconds, UTC)  # by hand: the name of a day must not depend on the locale
    return f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment:%Y %H:%M:%S} GMT"
