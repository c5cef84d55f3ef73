"""URLs as curl takes them: a scheme that may be missing, a host, a port, a path; and where a redirect leads."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from msgspec import Struct

from emulator.apps.commands.curl_output import Report

UNSUPPORTED_PROTOCOL = 1
MALFORMED = 3
_GLOB = re.compile(r"(\[[0-9]+-[0-9]+(?::[0-9]+)?\]|\{[^{}]*\})")
_RANGE = re.compile(r"\[([0-9]+)-([0-9]+)(?::([0-9]+))?\]")
_MOST = 10_000  # URLs of one range
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*)://)?(?:([^/?#@]*)@)?(\[[0-9A-Fa-f:.]+\]|[^/?#:\[\]\s]+)(?::([0-9]*))?([/?][^#\s]*)?(?:#.*)?"
)


class CurlError(Exception):
    """A failure with curl's number and words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Url(Struct, frozen=True):
    """A URL in parts; `user` is "name:password" or empty, `target` begins with a slash."""

    text: str
    scheme: str
    host: str
    port: int
    target: str
    user: str

    @property
    def host_header(self) -> str:
        """What the Host header says: the port only if it is not the scheme's own."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


def parse_url(text: str, report: Report) -> Url:
    """Read a URL, and note its form in the report. CurlError for what curl refuses."""
    match = _URL.fullmatch(text)
    if match is None:
        raise CurlError(MALFORMED, "URL using bad/illegal format or missing URL")
    scheme, user, host, port, target = match.groups()
    protocol = (scheme or "http").lower()
    if protocol not in _PORTS:
        raise CurlError(UNSUPPORTED_PROTOCOL, f'Protocol "{scheme}" not supported or disabled in libcurl')
    number = int(port) if port else _PORTS[protocol]
    if number > 0xFFFF:
        raise CurlError(MALFORMED, "URL using bad/illegal format or missing URL")
    target = target or "/"
    if target.startswith("?"):
        target = f"/{target}"
    report.scheme, report.host = protocol.upper(), host
    place = f"{host}:{port}" if port else host
    report.url = f"{protocol}://{f'{user}@' if user else ''}{place}{target}"
    return Url(report.url, protocol, host, number, target, user or "")


def expand(pattern: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the URLs of a pattern with the parts that vary: "[1-3]" counts, "{a,b}" lists, as curl's globbing."""
    found: list[tuple[str, tuple[str, ...]]] = [("", ())]
    for piece in _GLOB.split(pattern):
        choices = _choices(piece)
        if choices is None:
            found = [(url + piece, parts) for url, parts in found]
        else:
            found = [(url + choice, (*parts, choice)) for url, parts in found for choice in choices]
    return found


def _choices(piece: str) -> list[str] | None:
    count = _RANGE.fullmatch(piece)
    if count is not None:
        first, last, step = int(count[1]), int(count[2]), int(count[3] or "1")
        return [f"{number:0{len(count[1])}d}" for number in range(first, last + 1, max(1, step))][:_MOST]
    if piece.startswith("{") and piece.endswith("}"):
        return piece[1:-1].split(",")
    return None


def redirected(url: Url, location: str) -> str:
    """Return the URL that a Location header leads to."""
    return urljoin(url.text, location)
