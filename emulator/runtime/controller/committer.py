"""Between store and world: what was written in one turn of the loop is committed at once, and only then made known.

So nobody ever saw, or was told of, what a crash could lose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from emulator.api.store.history import StoreEvent
from emulator.api.store.store import Store
from emulator.runtime.controller.database import Database


class Committer:
    """Collects the store's events, and commits and publishes them together."""

    def __init__(self, store: Store, database: Database, publish: Callable[[Sequence[StoreEvent]], None]) -> None:
        self._database = database
        self._publish = publish
        self._pending: list[StoreEvent] = []
        self._written = trio.Event()
        self._committed = trio.Event()
        store.subscribe(self._note)

    def _note(self, events: Sequence[StoreEvent]) -> None:
        self._pending += events
        self._written.set()

    async def run(self) -> None:
        """Commit until cancelled, and once more then. Raises DatabaseError, after which nothing is acknowledged."""
        try:
            while True:
                await self._written.wait()  # returns in the next turn, when all of this turn's writes are there
                self._commit()
        finally:
            if self._pending:
                self._commit()

    def _commit(self) -> None:
        events, self._pending = self._pending, []
        committed, self._committed = self._committed, trio.Event()
        self._written = trio.Event()
        self._database.write(events)
        committed.set()
        self._publish(events)

    async def flush(self) -> None:
        """Wait until all that the store has is committed."""
        if self._pending:
            await self._committed.wait()
        else:
            await trio.lowlevel.checkpoint()
