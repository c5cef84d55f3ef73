"""One flow as a row: the records of one connection, put in the order of the packet's way, with names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from emulator.api.messages import FlowRecord, FlowTuple, FlowVerdict
from tui.model.names import Names, Place
from tui.model.text import number

RecordKey = tuple[str, str]  # node, identity
TupleKey = tuple[str, str, int, str, int]  # protocol, source, port, destination, port


class Entry:
    """A node's record with its tuples: as the packet came, and as it leaves (its answers' tuple, turned round)."""

    __slots__ = ("original", "record", "translated")

    def __init__(self, record: FlowRecord) -> None:
        came, answers = record.original, record.reply
        protocol = record.protocol
        self.record = record
        self.original: TupleKey = (
            protocol,
            came.source,
            came.source_port,
            came.destination,
            came.destination_port,
        )
        self.translated: TupleKey = (
            protocol,
            answers.destination,
            answers.destination_port,
            answers.source,
            answers.source_port,
        )

    @property
    def is_translated(self) -> bool:
        """Whether NAT changed the packet on this node."""
        return self.original != self.translated

    @property
    def ties(self) -> tuple[TupleKey, ...]:
        """What ties records together: a packet's tuple before and after this node."""
        return (self.original, self.translated) if self.is_translated else (self.original,)


class FlowRow(Struct):
    """One flow. `endpoint` and `nat` are empty without NAT; `stale`: no node that saw it answers now.

    `is_far`: without NAT, and not told by the node that its source is on, which may have NAT to tell of.

    Counters and state are updated in place by the model; all else is fixed for as long as the row lives.
    """

    key: RecordKey
    protocol: str
    verdict: str
    reason: str
    source: str
    destination: str
    endpoint: str
    nat: str
    nodes: tuple[str, ...]
    stale: bool
    is_far: bool
    pods: tuple[str, ...]
    services: tuple[str, ...]
    ports: tuple[int, ...]
    text: str
    first_seen: float
    state: str = ""
    packets: int = 0
    bytes: int = 0

    def age(self, now: float) -> float:
        """Seconds of wall-clock time since it began."""
        return max(0.0, now - self.first_seen)

    def is_awaited(self, now: float, seconds: float) -> bool:
        """Whether the near node's half of a flow so young may still come. A clock that is wrong holds nothing back."""
        return self.is_far and abs(now - self.first_seen) < seconds

    def count(self, head: Entry, entries: Iterable[Entry]) -> None:
        """Take counters and state from the node that saw the flow first; other nodes count the same packets."""
        records = [e.record for e in entries if e.record.node == head.record.node and e.original == head.original]
        self.state = head.record.state
        self.packets = sum(record.packets + record.reply_packets for record in records)
        self.bytes = sum(record.bytes + record.reply_bytes for record in records)


def order_of(entries: Mapping[RecordKey, Entry], names: Names) -> tuple[RecordKey, ...]:
    """Sort the records of one connection by the packet's way: NAT of one leads to the original of the next."""
    if len(entries) == 1:
        return tuple(entries)
    later = {entry.translated for entry in entries.values() if entry.is_translated}
    heads = [key for key, entry in entries.items() if entry.original not in later] or list(entries)
    source = names.of(entries[min(heads)].original[1]).node

    def position(key: RecordKey) -> tuple[bool, bool, bool, RecordKey]:
        entry = entries[key]
        return (entry.original in later, not entry.is_translated, key[0] != source, key)

    return tuple(sorted(entries, key=position))


def make_row(order: tuple[RecordKey, ...], entries: Mapping[RecordKey, Entry], names: Names, *, stale: bool) -> FlowRow:
    """Return a flow as its first record has it, with the last translation and all nodes."""
    head = entries[order[0]]
    original, last = head.original, _last_translation(order, entries)
    places = [names.of(address) for address in (original[1], original[3], last[1], last[3])]
    source, destination = f"{places[0].name}{number(original[2])}", f"{places[1].name}{number(original[4])}"
    endpoint = nat = ""
    if last != original:
        endpoint, nat = f"{places[3].name}{number(last[4])}", nat_text(original, last)
    nodes = tuple(dict.fromkeys(node for node, _ in order))
    verdict, reason = outcome(entries[key].record for key in order)
    addresses = f"{original[1]}{number(original[2])} {original[3]}{number(original[4])}"
    words = (original[0], verdict, reason, source, destination, endpoint, nat, addresses, *nodes)
    row = FlowRow(
        key=order[0],
        protocol=original[0],
        verdict=verdict,
        reason=reason,
        source=source,
        destination=destination,
        endpoint=endpoint,
        nat=nat,
        nodes=nodes,
        stale=stale,
        is_far=last == original and places[0].node not in ("", *nodes),
        pods=_names_of("pod", places),
        services=_names_of("service", places),
        ports=(original[2], original[4], last[2], last[4]),
        text=" ".join(words).lower(),
        first_seen=min(entry.record.first_seen for entry in entries.values()),
    )
    row.count(head, entries.values())
    return row


def _last_translation(order: tuple[RecordKey, ...], entries: Mapping[RecordKey, Entry]) -> TupleKey:
    current = entries[order[0]].translated
    if len(order) == 1:
        return current
    steps = {entries[key].original: entries[key].translated for key in reversed(order) if entries[key].is_translated}
    seen = {entries[order[0]].original}
    while current in steps and current not in seen:
        seen.add(current)
        current = steps[current]
    return current


def outcome(records: Iterable[FlowRecord]) -> tuple[str, str]:
    """Return verdict and reason of a flow whose records come in the order of its way.

    The last node that dropped packets knows best, then the last one that saw an answer which refuses the flow.
    """
    bad = [record for record in records if record.verdict is not FlowVerdict.FORWARDED]
    if not bad:
        return FlowVerdict.FORWARDED.name, ""
    record = ([record for record in bad if record.dropped] or bad)[-1]
    return record.verdict.name, record.reason


def nat_text(before: TupleKey, after: TupleKey) -> str:
    """Return both tuples: `10.244.1.2:43122 → 10.96.0.10:80 ⇒ 10.244.2.3:8080`; the source again only if it changed."""
    old_source, new_source = f"{before[1]}{number(before[2])}", f"{after[1]}{number(after[2])}"
    again = f"{new_source} → " if new_source != old_source else ""
    return f"{old_source} → {before[3]}{number(before[4])} ⇒ {again}{after[3]}{number(after[4])}"


def conntrack_line(record: FlowRecord) -> str:
    """Return a record in the form of `conntrack -L`, without what it does not have (time left, mark)."""
    protocol = {"icmp": "1", "tcp": "6", "udp": "17"}.get(record.protocol, "")
    words = [f"{record.protocol:8s} {protocol}".rstrip()]
    if record.protocol == "tcp" and record.state:
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


def _names_of(kind: str, places: Iterable[Place]) -> tuple[str, ...]:
    """Return `namespace/name` of each, as filters write it."""
    return tuple(place.name.lower().replace("/svc/", "/") for place in places if place.kind == kind)
