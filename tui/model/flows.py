"""The flows of all nodes: the records of one connection, seen on several nodes and through NAT, make one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from emulator.api.messages import FlowRecord, FlowsEvent
from tui.model.flow_row import Entry, FlowRow, RecordKey, TupleKey, make_row, order_of
from tui.model.names import Names

MAX_RECORDS = 20_000
"""Records that are kept: some 10,000 flows that cross two nodes."""


class FlowModel:
    """What the nodes told of their flows. Rows do not depend on the order in which nodes told it."""

    def __init__(self, names: Names, limit: int = MAX_RECORDS) -> None:
        self._names = names
        self._limit = limit
        self._entries: dict[RecordKey, Entry] = {}
        self._by_tuple: dict[TupleKey, set[RecordKey]] = {}
        self._by_node: dict[str, set[RecordKey]] = {}
        self._left_out: dict[str, set[str]] = {}
        self._away: set[str] = set()
        self._rows: dict[RecordKey, FlowRow] = {}
        self._members: dict[RecordKey, tuple[RecordKey, ...]] = {}
        self._row_of: dict[RecordKey, RecordKey] = {}
        self._dirty: set[RecordKey] = set()  # records whose row is to be made again
        self._counted: set[RecordKey] = set()  # records of which only counters and state changed
        self._names_version = names.version

    @property
    def left_out(self) -> int:
        """How many records were told but not kept, because of the limit."""
        return sum(map(len, self._left_out.values()))

    def begin(self, node: str) -> None:
        """Forget a node's flows: it is about to tell all that there are."""
        for key in list(self._by_node.get(node, ())):
            self._remove(key)
        self._left_out.pop(node, None)
        self.set_away(node, away=False)

    def set_away(self, node: str, *, away: bool) -> None:
        """Note whether a node answers; the flows of one that does not stay, as last seen."""
        if away == (node in self._away):
            return
        (self._away.add if away else self._away.discard)(node)
        self._dirty |= self._by_node.get(node, set())

    def apply(self, node: str, event: FlowsEvent, now: float = 0.0) -> None:
        """Take over what a node told; `now` is what rates count from."""
        left_out = self._left_out.setdefault(node, set())
        for identity in event.ended:
            left_out.discard(identity)
            if (node, identity) in self._entries:
                self._remove((node, identity))
        for record in event.changed:
            key = (node, record.identity)
            if key not in self._entries and len(self._entries) >= self._limit:
                left_out.add(record.identity)
            else:
                left_out.discard(record.identity)
                self._put(key, record, now)

    @property
    def pending(self) -> bool:
        """Whether `rows` has more to bring up to date than it was allowed to."""
        return bool(self._dirty)

    def rows(self, most: int | None = None) -> Sequence[FlowRow]:
        """Return all rows; only those that something changed in are touched, `most` of them at once."""
        if self._names_version != self._names.version:
            self._names_version = self._names.version
            self._dirty |= self._entries.keys()
        dirty = self._dirty if most is None else set(islice(self._dirty, most))
        self._dirty = self._dirty - dirty
        pending = dirty | {member for key in dirty for member in self._siblings(key)}
        for key in pending:
            self._forget_row(key)
        done: set[RecordKey] = set()
        for key in pending:
            if key in self._entries and key not in done:
                done |= self._make_row(key)
        self._count(self._counted - done)
        self._counted = set()
        return list(self._rows.values())

    def row(self, key: RecordKey) -> FlowRow | None:
        """Return the row that a record belongs to, as of the last `rows`."""
        row_key = self._row_of.get(key)
        return None if row_key is None else self._rows[row_key]

    def records(self, key: RecordKey) -> list[FlowRecord]:
        """Return what the nodes told of a row, in the order of the packet's way."""
        return [self._entries[member].record for member in self._siblings(key) if member in self._entries]

    # --- records ---

    def _put(self, key: RecordKey, record: FlowRecord, now: float) -> None:
        before = self._entries.get(key)
        if before is not None:
            told = before.record
            if _shape(told) == _shape(record):
                before.update(record, now)
                self._counted.add(key)
                return
            self._remove(key)
        entry = self._entries[key] = Entry(record, now)
        self._dirty.add(key)
        self._by_node.setdefault(key[0], set()).add(key)
        for tie in entry.ties:
            self._by_tuple.setdefault(tie, set()).add(key)

    def _remove(self, key: RecordKey) -> None:
        entry = self._entries.pop(key)
        self._by_node[key[0]].discard(key)
        for tie in entry.ties:
            holders = self._by_tuple[tie]
            holders.discard(key)
            if not holders:
                del self._by_tuple[tie]
        self._dirty.add(key)

    # --- rows ---

    def _siblings(self, key: RecordKey) -> Iterable[RecordKey]:
        return self._members.get(self._row_of.get(key, key), ())

    def _forget_row(self, key: RecordKey) -> None:
        row_key = self._row_of.get(key)
        if row_key is not None:
            self._rows.pop(row_key, None)
            for member in self._members.pop(row_key, ()):
                self._row_of.pop(member, None)

    def _make_row(self, key: RecordKey) -> set[RecordKey]:
        """Make the row that a record belongs to now; return all records of that row."""
        component = self._component(key)
        for member in component:
            self._forget_row(member)
        entries = {member: self._entries[member] for member in component}
        order = order_of(entries, self._names)
        stale = bool(self._away) and all(node in self._away for node, _ in component)
        self._rows[order[0]] = make_row(order, entries, self._names, stale=stale)
        self._members[order[0]] = order
        for member in component:
            self._row_of[member] = order[0]
        return component

    def _component(self, key: RecordKey) -> set[RecordKey]:
        """Return all records that tuples tie to this one, directly or through others."""
        found, pending = {key}, [key]
        while pending:
            for tie in self._entries[pending.pop()].ties:
                new = self._by_tuple[tie] - found
                found |= new
                pending += new
        return found

    def _count(self, keys: Iterable[RecordKey]) -> None:
        for row_key in {self._row_of[key] for key in keys if key in self._row_of}:
            entries = [self._entries[key] for key in self._members[row_key] if key in self._entries]
            if row_key in self._entries:  # else it is about to be made again
                self._rows[row_key].count(self._entries[row_key], entries)


def _shape(record: FlowRecord) -> tuple[object, ...]:
    """Return what a row is made of, its counters and state aside."""
    return record.original, record.reply, record.verdict, record.reason, bool(record.dropped)
