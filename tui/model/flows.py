"""The flows of all nodes: the records of one connection, seen on several nodes and through NAT, make one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from emulator.api.messages import FlowRecord, FlowsEvent, FlowTuple, FlowVerdict
from tui.model.names import Names
from tui.model.text import number

MAX_RECORDS = 20_000
"""Records that are kept: some 10,000 flows that cross two nodes."""

REJECTED = "NETFILTER_REJECT"

RecordKey = tuple[str, str]  # node, identity
TupleKey = tuple[str, str, int, str, int]  # protocol, source, port, destination, port


@dataclass(frozen=True, slots=True)
class FlowRow:
    """One flow. `endpoint` and `nat` are empty without NAT; `stale`: no node that saw it answers now."""

    key: RecordKey
    protocol: str
    verdict: str
    reason: str
    source: str
    destination: str
    endpoint: str
    nat: str
    state: str
    packets: int
    bytes: int
    first_seen: float
    nodes: tuple[str, ...]
    stale: bool
    pods: tuple[str, ...]
    services: tuple[str, ...]
    ports: frozenset[int]
    text: str = ""

    def age(self, now: float) -> float:
        """Seconds of wall-clock time since it began."""
        return max(0.0, now - self.first_seen)


class FlowModel:
    """What the nodes told of their flows. Rows do not depend on the order in which nodes told it."""

    def __init__(self, names: Names, limit: int = MAX_RECORDS) -> None:
        self._names = names
        self._limit = limit
        self._records: dict[RecordKey, FlowRecord] = {}
        self._by_tuple: dict[TupleKey, set[RecordKey]] = {}
        self._by_node: dict[str, set[RecordKey]] = {}
        self._left_out: dict[str, set[str]] = {}
        self._away: set[str] = set()
        self._rows: dict[RecordKey, FlowRow] = {}
        self._members: dict[RecordKey, tuple[RecordKey, ...]] = {}
        self._row_of: dict[RecordKey, RecordKey] = {}
        self._dirty: set[RecordKey] = set()
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
        self.set_away(node, False)

    def set_away(self, node: str, away: bool) -> None:
        """Note whether a node answers; the flows of one that does not stay, as last seen."""
        if away == (node in self._away):
            return
        (self._away.add if away else self._away.discard)(node)
        self._dirty |= self._by_node.get(node, set())

    def apply(self, node: str, event: FlowsEvent) -> None:
        """Take over what a node told."""
        left_out = self._left_out.setdefault(node, set())
        for identity in event.ended:
            left_out.discard(identity)
            if (node, identity) in self._records:
                self._remove((node, identity))
        for record in event.changed:
            key = (node, record.identity)
            if key not in self._records and len(self._records) >= self._limit:
                left_out.add(record.identity)
                continue
            left_out.discard(record.identity)
            self._put(key, record)

    def rows(self) -> Sequence[FlowRow]:
        """Return all rows; only those that something changed in are made again."""
        if self._names_version != self._names.version:
            self._names_version = self._names.version
            self._dirty |= self._records.keys()
        pending = self._dirty | {member for key in self._dirty for member in self._siblings(key)}
        self._dirty = set()
        done: set[RecordKey] = set()
        for key in pending:
            self._forget_row(key)
        for key in pending:
            if key in self._records and key not in done:
                done |= self._make_row(key)
        return list(self._rows.values())

    def row(self, key: RecordKey) -> FlowRow | None:
        """Return the row that a record belongs to now."""
        self.rows()
        row_key = self._row_of.get(key)
        return None if row_key is None else self._rows[row_key]

    def records(self, key: RecordKey) -> list[FlowRecord]:
        """Return what the nodes told of a row, in the order of the packet's way."""
        return [self._records[member] for member in self._members.get(self._row_of.get(key, key), ())]

    # --- records ---

    def _put(self, key: RecordKey, record: FlowRecord) -> None:
        before = self._records.get(key)
        if before is not None and (before.original != record.original or before.reply != record.reply):
            self._remove(key)
            before = None
        self._records[key] = record
        self._dirty.add(key)
        if before is None:
            self._by_node.setdefault(key[0], set()).add(key)
            for tuple_key in _tuple_keys(record):
                self._by_tuple.setdefault(tuple_key, set()).add(key)

    def _remove(self, key: RecordKey) -> None:
        record = self._records.pop(key)
        self._by_node[key[0]].discard(key)
        for tuple_key in _tuple_keys(record):
            holders = self._by_tuple.get(tuple_key)
            if holders is not None:
                holders.discard(key)
                if not holders:
                    del self._by_tuple[tuple_key]
        self._dirty.add(key)

    # --- rows ---

    def _siblings(self, key: RecordKey) -> Iterable[RecordKey]:
        return self._members.get(self._row_of.get(key, key), ())

    def _forget_row(self, key: RecordKey) -> None:
        row_key = self._row_of.get(key)
        if row_key is None:
            return
        self._rows.pop(row_key, None)
        for member in self._members.pop(row_key, ()):
            self._row_of.pop(member, None)

    def _make_row(self, key: RecordKey) -> set[RecordKey]:
        """Make the row that a record belongs to now; return all records of that row."""
        component = self._component(key)
        for member in component:
            self._forget_row(member)
        chain = Chain({member: self._records[member] for member in component}, self._names)
        row_key = chain.order[0]
        self._rows[row_key] = chain.row(all(node in self._away for node, _ in component))
        self._members[row_key] = chain.order
        for member in component:
            self._row_of[member] = row_key
        return component

    def _component(self, key: RecordKey) -> set[RecordKey]:
        found, pending = {key}, [key]
        while pending:
            for tuple_key in _tuple_keys(self._records[pending.pop()]):
                new = self._by_tuple[tuple_key] - found
                found |= new
                pending += new
        return found


class Chain:
    """The records of one connection, in the order of the packet's way: NAT of one leads to the original of the next."""

    def __init__(self, records: dict[RecordKey, FlowRecord], names: Names) -> None:
        self._records = records
        self._names = names
        later = {_translated(record) for record in records.values() if _is_translated(record)}
        heads = [key for key, record in records.items() if _original(record) not in later] or list(records)
        source = names.of(records[min(heads)].original.source).node

        def position(key: RecordKey) -> tuple[bool, bool, bool, RecordKey]:
            record = records[key]
            return (_original(record) in later, not _is_translated(record), key[0] != source, key)

        self.order = tuple(sorted(records, key=position))

    def row(self, stale: bool) -> FlowRow:
        """Return the flow as its first record has it, with the last translation and all nodes."""
        head = self._records[self.order[0]]
        original, last = _original(head), self._last_translation(head)
        same = [
            record for record in self._records.values() if record.node == head.node and _original(record) == original
        ]
        places = [self._names.of(address) for address in (original[1], original[3], last[1], last[3])]
        nodes = tuple(dict.fromkeys(node for node, _ in self.order))
        row = FlowRow(
            key=self.order[0],
            protocol=head.protocol,
            verdict=verdict(head),
            reason=head.drop_reason,
            source=f"{places[0].name}{number(original[2])}",
            destination=f"{places[1].name}{number(original[4])}",
            endpoint="" if last == original else f"{places[3].name}{number(last[4])}",
            nat="" if last == original else nat_text(head.original, last),
            state=head.state,
            packets=sum(record.packets + record.reply_packets for record in same),
            bytes=sum(record.bytes + record.reply_bytes for record in same),
            first_seen=min(record.first_seen for record in self._records.values()),
            nodes=nodes,
            stale=stale,
            pods=_names_of("pod", places),
            services=_names_of("service", places),
            ports=frozenset((original[2], original[4], last[2], last[4])) - {0},
        )
        return replace(row, text=_searched(row, original))

    def _last_translation(self, head: FlowRecord) -> TupleKey:
        ordered = (self._records[key] for key in reversed(self.order))
        steps = {_original(record): _translated(record) for record in ordered if _is_translated(record)}
        current = _translated(head)
        seen = {_original(head)}
        while current in steps and current not in seen:
            seen.add(current)
            current = steps[current]
        return current


def _searched(row: FlowRow, original: TupleKey) -> str:
    """What the words of a filter are looked for in."""
    addresses = (f"{original[1]}{number(original[2])}", f"{original[3]}{number(original[4])}")
    words = (row.protocol, row.verdict, row.reason, row.source, row.destination, row.endpoint, row.nat, row.state)
    return " ".join((*words, *addresses, *row.nodes)).lower()


def verdict(record: FlowRecord) -> str:
    """Return FORWARDED, DROPPED or REJECTED."""
    return "REJECTED" if record.drop_reason == REJECTED else record.verdict.name


def nat_text(before: FlowTuple, after: TupleKey) -> str:
    """Return both tuples: `10.244.1.2:43122 → 10.96.0.10:80 ⇒ 10.244.2.3:8080`; the source again only if it changed."""
    old_source = f"{before.source}{number(before.source_port)}"
    new_source = f"{after[1]}{number(after[2])}"
    sources = f"{new_source} → " if new_source != old_source else ""
    destination = f"{before.destination}{number(before.destination_port)}"
    return f"{old_source} → {destination} ⇒ {sources}{after[3]}{number(after[4])}"


def conntrack_line(record: FlowRecord) -> str:
    """Return a record in the form of `conntrack -L`, without what it does not have (time left, mark)."""
    numbers = {"icmp": 1, "tcp": 6, "udp": 17}
    words = [f"{record.protocol:8s} {numbers.get(record.protocol, '')}".rstrip()]
    tcp = record.protocol == "tcp"
    if tcp and record.state:
        words.append(record.state)
    words += [_tuple_text(record.original), f"packets={record.packets} bytes={record.bytes}"]
    if not record.reply_packets:
        words.append("[UNREPLIED]")
    words += [_tuple_text(record.reply), f"packets={record.reply_packets} bytes={record.reply_bytes}"]
    if record.state == "ASSURED":
        words.append("[ASSURED]")
    return " ".join(words)


def _tuple_text(part: FlowTuple) -> str:
    ports = f" sport={part.source_port} dport={part.destination_port}" if part.destination_port else ""
    return f"src={part.source} dst={part.destination}{ports}"


def _names_of(kind: str, places: Iterable[tuple[str, str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(place[1].lower().replace("/svc/", "/") for place in places if place[0] == kind))


def _original(record: FlowRecord) -> TupleKey:
    part = record.original
    return (record.protocol, part.source, part.source_port, part.destination, part.destination_port)


def _translated(record: FlowRecord) -> TupleKey:
    """The packet as it leaves: the tuple of its answers, turned round."""
    part = record.reply
    return (record.protocol, part.destination, part.destination_port, part.source, part.source_port)


def _is_translated(record: FlowRecord) -> bool:
    return _original(record) != _translated(record)


def _tuple_keys(record: FlowRecord) -> tuple[TupleKey, ...]:
    """What ties records together. Drops stand for themselves: they are kinds of packets, not connections."""
    if record.verdict is FlowVerdict.DROPPED:
        return ()
    original, translated = _original(record), _translated(record)
    return (original,) if original == translated else (original, translated)
