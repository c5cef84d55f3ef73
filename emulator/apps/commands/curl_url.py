"""URLs as curl takes them: a scheme that may be missing, a host, a port, a path; and where a redirect leads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin

from emulator.apps.commands.curl_output import Report

UNSUPPORTED_PROTOCOL = 1
MALFORMED = 3
_URL = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*)://)?(?:([^/?#@]*)@)?(\[[0-9A-Fa-f:.]+\]|[^/?#:\[\]\s]+)(?::([0-9]*))?([/?][^#\s]*)?(?:#.*)?"
)


class CurlError(Exception):
    """A failure with curl's number and words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in parts; `user` is "name:password" or empty, `target` begins with a slash."""

    text: str
    host: str
    port: int
    target: str
    user: str

    @property
    def host_header(self) -> str:
        """What the Host header says: the port only if it is not HTTP's own."""
        return self.host if self.port == 80 else f"{self.host}:{self.port}"


def parse_url(text: str, report: Report) -> Url:
    """Read a URL, and note its form in the report. CurlError for what curl refuses."""
    match = _URL.fullmatch(text)
    if match is None:
        raise CurlError(MALFORMED, "URL using bad/illegal format or missing URL")
    scheme, user, host, port, target = match.groups()
    if (scheme or "http").lower() != "http":
        raise CurlError(UNSUPPORTED_PROTOCOL, f'Protocol "{scheme}" not supported or disabled in libcurl')
    number = int(port) if port else 80
    if number > 0xFFFF:
        raise CurlError(MALFORMED, "URL using bad/illegal format or missing URL")
    target = target or "/"
    if target.startswith("?"):
        target = f"/{target}"
    report.scheme = "HTTP"
    place = f"{host}:{port}" if port else host
    report.url = f"http://{f'{user}@' if user else ''}{place}{target}"
    return Url(report.url, host, number, target, user or "")


def redirected(url: Url, location: str) -> str:
    """Return the URL that a Location header leads to."""
    return urljoin(url.text, location)
