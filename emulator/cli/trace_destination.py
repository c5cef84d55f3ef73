"""The second word of `emulator trace` as people paste it: a name or an address, with a port, or a URL."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

import click

_SCHEMES = {"http": 80, "https": 443}


class Destination(NamedTuple):
    """What a packet goes to: `word` names it; `port` is 0 where the word has none."""

    word: str
    port: int = 0


def read_destination(text: str) -> Destination:
    """Read `web`, `web:8080`, `pod/web-0:80` or `http://web.default/path`. Raises UsageError."""
    if "://" in text:
        return _of_url(text)
    word, colon, port = text.rpartition(":")
    if not colon:
        return Destination(text)
    if not word or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise click.UsageError(f'"{text}": behind the colon must be a port, 1 to 65535')
    return Destination(word, int(port))


def _of_url(text: str) -> Destination:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise click.UsageError(f'"{text}" is no URL: {error}') from None
    default = _SCHEMES.get(parts.scheme.lower())
    if default is None or not host or port == 0:
        raise click.UsageError(f'"{text}": a URL to trace is http://HOST[:PORT]/ or https://HOST[:PORT]/')
    return Destination(host, port or default)
