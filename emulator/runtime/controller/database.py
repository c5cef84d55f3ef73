"""The controller's store on disk (SQLite): what was committed survives the process, however it ends.

In WAL mode with synchronous=NORMAL a commit is in the kernel's hands, so that a SIGKILL loses nothing of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from emulator.api.messages import EventType, Object
from emulator.api.store.history import StoreEvent
from emulator.errors import PodwireError

FORMAT = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, object BLOB NOT NULL,
    PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID;
"""


class DatabaseError(PodwireError):
    """The store on disk cannot be used."""


class Snapshot(Struct, frozen=True):
    """What was committed last; `epoch` counts the starts of the controller, this one included."""

    objects: list[Object]
    revision: int
    epoch: int


class Database:
    """One file, used by one process. Without a path it is kept in memory, for simulated clusters."""

    def __init__(self, path: Path | None) -> None:
        self._place = str(path) if path is not None else ":memory:"
        try:
            self._connection = sqlite3.connect(self._place, isolation_level=None)
            self._prepare()
        except sqlite3.Error as error:
            raise self._failure("opened", error) from None

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def begin_epoch(self) -> Snapshot:
        """Read everything and count a new start. Raises DatabaseError."""
        try:
            with self._connection as transaction:
                transaction.execute("BEGIN IMMEDIATE")
                epoch = self._read("epoch") + 1
                self._write("epoch", epoch)
                rows = transaction.execute("SELECT object FROM objects").fetchall()
                objects: list[Object] = [msgspec.json.decode(row[0]) for row in rows]
                return Snapshot(objects, self._read("revision"), epoch)
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise self._failure("read", error) from None

    def write(self, events: Sequence[StoreEvent]) -> None:
        """Commit events in one transaction: all of them survive, or none. Raises DatabaseError."""
        last = {event.reference: event for event in events}
        changed = [
            (*reference, msgspec.json.encode(event.object))
            for reference, event in last.items()
            if event.type is not EventType.DELETED
        ]
        deleted = [tuple(reference) for reference, event in last.items() if event.type is EventType.DELETED]
        try:
            with self._connection as transaction:
                transaction.execute("BEGIN IMMEDIATE")
                transaction.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", changed)
                transaction.executemany("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?", deleted)
                self._write("revision", events[-1].revision)
        except sqlite3.Error as error:
            raise self._failure("written", error) from None

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)
        found = self._read("format")
        if found == 0:
            self._write("format", FORMAT)
        elif found != FORMAT:
            raise DatabaseError(
                f"{self._place}: the store has format {found}, this version reads {FORMAT}; "
                "start with an empty state directory"
            )

    def _read(self, key: str) -> int:
        row: Any = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return 0 if row is None else int(row[0])

    def _write(self, key: str, value: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _failure(self, verb: str, error: Exception) -> DatabaseError:
        code = getattr(error, "sqlite_errorcode", 0)
        hint = "; stop the cluster and start it anew" if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else ""
        return DatabaseError(f"{self._place}: the store cannot be {verb}: {error}{hint}")
