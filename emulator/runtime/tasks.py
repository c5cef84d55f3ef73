"""A nursery for the inside of a context manager: its tasks end with the block, whose own exception stays as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def tasks() -> AsyncIterator[trio.Nursery]:
    """Give a nursery for the block, and cancel it at the block's end.

    What the block raises is raised outside of the nursery, which would wrap it in a group: whoever is in the block
    need not know that tasks stand behind it.
    """
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
