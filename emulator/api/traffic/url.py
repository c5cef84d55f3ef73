"""What traffic goes to, as users write it: `http://web/`, `tcp://db:5432`, `udp://echo:81`, `dns:web?type=A`, `ping://db`.

DNS names follow RFC 4501 (`dns:NAME?type=T`, `dns://SERVER/NAME?type=T`); a name without a dot at its end goes through
the client's search list, as in a program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address
from types import MappingProxyType
from urllib.parse import SplitResult, parse_qs, urlsplit

from emulator.api.messages.load import LoadTarget
from emulator.api.problem import printable
from emulator.errors import PodwireError
from emulator.packet.dns_record import OPT, TYPE_NAMES

SCHEMES = ("http", "https", "tcp", "udp", "dns", "ping")
_DEFAULT_PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443, "dns": 53})
RECORD_TYPES: Mapping[str, int] = MappingProxyType(
    {name: number for number, name in TYPE_NAMES.items() if number != OPT}
)
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")


class UrlError(PodwireError):
    """A target that cannot be asked; the text says why."""


def parse_target_url(url: str) -> LoadTarget:
    """Parse a target. Raises UrlError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlError(f"{printable(url)}: {error}") from None
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}:" if scheme == "dns" else f"{scheme}://" for scheme in SCHEMES)
        raise UrlError(f"{printable(url)}: must begin with one of {known}")
    if parts.username is not None or parts.fragment:
        raise UrlError(f"{printable(url)}: a user or a fragment (#) cannot be in it")
    if parts.scheme == "dns":
        return _dns(url, parts, port)
    host = _host(url, parts)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not parts.scheme.startswith("http"):
        if path != "/":
            raise UrlError(f"{printable(url)}: {parts.scheme} has no path")
        path = ""
    port = port or _DEFAULT_PORTS.get(parts.scheme, 0)
    if parts.scheme in ("tcp", "udp") and not port:
        raise UrlError(f"{printable(url)}: a port is missing: {parts.scheme}://{host}:PORT")
    if parts.scheme == "ping" and port:
        raise UrlError(f"{printable(url)}: ping has no port")
    return LoadTarget(url=url, protocol=parts.scheme, host=host, port=port, path=path)


def _host(url: str, parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not host:
        raise UrlError(f"{printable(url)}: a host is missing: {parts.scheme}://HOST")
    if host.replace(".", "").isdigit():
        try:
            IPv4Address(host)
        except AddressValueError:
            raise UrlError(f"{printable(url)}: {host} is no IPv4 address") from None
    elif _HOST.fullmatch(host) is None:
        raise UrlError(f"{printable(url)}: {printable(host)} is no host name")
    return host


def _dns(url: str, parts: SplitResult, port: int | None) -> LoadTarget:
    name = parts.path.removeprefix("/") if parts.netloc else parts.path
    if _NAME.fullmatch(name) is None:
        raise UrlError(f"{printable(url)}: must be dns:NAME?type=A, or dns://SERVER/NAME?type=A")
    query = parse_qs(parts.query, keep_blank_values=True)
    if query.keys() - {"type"} or len(query.get("type", ())) > 1:
        raise UrlError(f"{printable(url)}: behind the question mark only type=A or its like can be")
    record = query.get("type", ["A"])[0].upper()
    if record not in RECORD_TYPES:
        raise UrlError(f"{printable(url)}: unknown type {printable(record)}; known are {', '.join(RECORD_TYPES)}")
    host = _host(url, parts) if parts.netloc else ""
    return LoadTarget(url=url, protocol="dns", host=host, port=port or 53, path=name, record=RECORD_TYPES[record])
