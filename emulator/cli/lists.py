"""Lists of any length, had from the controller in pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from emulator.api.messages import LIST, ControlError, ErrorCode, ListParams, ListResult, Object
from emulator.cli.client import TIMEOUT, Client

CHUNK = 500
"""Objects of a page, as many as kubectl asks for."""

ATTEMPTS = 3
"""Times that a list is begun anew when the controller has forgotten how the objects were at its first page."""


class Listed(NamedTuple):
    """All objects as they were at one revision: watch from there."""

    items: list[Object]
    revision: str


def list_all(client: Client, params: ListParams, chunk: int = CHUNK, timeout: float = TIMEOUT) -> Listed:
    """Return the objects, asked for `chunk` at a time (0: all at once). `timeout` is for each page.

    Raises ControlError.
    """
    for attempt in range(1, ATTEMPTS + 1):
        items: list[Object] = []
        try:
            for page in _pages(client, params, chunk, timeout):
                items += page.items
        except ControlError as error:
            if error.code is not ErrorCode.EXPIRED or attempt == ATTEMPTS:
                raise
        else:
            return Listed(items, page.revision)
    raise AssertionError("unreachable")


def _pages(client: Client, params: ListParams, chunk: int, timeout: float) -> Iterator[ListResult]:
    token = ""
    while True:
        page = client.call(LIST, msgspec.structs.replace(params, limit=chunk, continue_=token), timeout)
        yield page
        token = page.continue_
        if not token:
            return
