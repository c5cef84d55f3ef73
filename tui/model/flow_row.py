"""One flow as a row: the records of one connection, put in the order of the packet's way, with names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from emulator.api.messages import FlowRecord, FlowTuple, FlowVerdict
from tui.model.names import Names, Place
from tui.model.text import number

RecordKey = tuple[str, str]  # node, identity
TupleKey = tuple[str, str, int, str, int]  # protocol, source, port, destination, port


INTERVAL = 0.5
"""Seconds between two looks of a node at its flows: what it does not tell of then has not changed."""


class Entry:
    """A node's record with its tuples: as the packet came, and as it leaves (its answers' tuple, turned round).

    `rate` and `octet_rate` are packets and bytes a second, both ways, of the interval that ended at `told`.
    """

    __slots__ = ("octet_rate", "original", "rate", "record", "told", "translated")

    def __init__(self, record: FlowRecord, now: float) -> None:
        self.told = now
        is_new = record.age < 2 * INTERVAL  # of an older one nobody knows what it does now
        seconds = max(record.age, INTERVAL)
        self.rate = _packets(record) / seconds if is_new else 0.0
        self.octet_rate = _octets(record) / seconds if is_new else 0.0
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

    def update(self, record: FlowRecord, now: float) -> None:
        """Take over later counters of the same flow; rates go by the node's own clock."""
        before, self.record, self.told = self.record, record, now
        seconds = record.age - before.age
        if not INTERVAL / 2 < seconds < INTERVAL * 2:  # it was silent meanwhile
            seconds = INTERVAL
        self.rate = max(0, _packets(record) - _packets(before)) / seconds
        self.octet_rate = max(0, _octets(record) - _octets(before)) / seconds

    @property
    def is_translated(self) -> bool:
        """Whether NAT changed the packet on this node."""
        return self.original != self.translated

    @property
    def ties(self) -> tuple[TupleKey, ...]:
        """What ties records together: a packet's tuple before and after this node."""
        return (self.original, self.translated) if self.is_translated else (self.original,)


def _packets(record: FlowRecord) -> int:
    return record.packets + record.reply_packets


def _octets(record: FlowRecord) -> int:
    return record.bytes + record.reply_bytes


class FlowRow(Struct):
    """One flow. `before` and `after` are its tuple as sent and as it arrives; `reason` says why it is not FORWARDED.

    `endpoint` and `nat` are empty without NAT. `stale`: no node that saw it answers now. `is_far`: without NAT, and
    not told by the node that its source is on, which may have NAT to tell of.

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
    before: TupleKey
    after: TupleKey
    pods: tuple[str, ...]
    services: tuple[str, ...]
    text: str
    first_seen: float
    state: str = ""
    packets: int = 0
    bytes: int = 0
    is_answered: bool = False
    told: float = 0.0
    last_rate: float = 0.0
    last_octet_rate: float = 0.0

    def age(self, now: float) -> float:
        """Seconds of wall-clock time since it began."""
        return max(0.0, now - self.first_seen)

    def rate(self, now: float) -> float:
        """Packets a second, both ways."""
        return self.last_rate if abs(now - self.told) < 2 * INTERVAL else 0.0

    def octet_rate(self, now: float) -> float:
        """Bytes a second, both ways."""
        return self.last_octet_rate if abs(now - self.told) < 2 * INTERVAL else 0.0

    def is_awaited(self, now: float, seconds: float) -> bool:
        """Whether the near node's half of a flow so young may still come. A clock that is wrong holds nothing back."""
        return self.is_far and abs(now - self.first_seen) < seconds

    def count(self, head: Entry, entries: Iterable[Entry]) -> None:
        """Take counters and state from the node that saw the flow first; other nodes count the same packets."""
        near = [entry for entry in entries if entry.record.node == head.record.node and entry.original == head.original]
        self.state = head.record.state
        self.packets = sum(_packets(entry.record) for entry in near)
        self.bytes = sum(_octets(entry.record) for entry in near)
        self.is_answered = any(entry.record.reply_packets for entry in near)
        self.told = max(entry.told for entry in near)
        self.last_rate = sum(entry.rate for entry in near)
        self.last_octet_rate = sum(entry.octet_rate for entry in near)


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
        before=original,
        after=last,
        pods=_names_of("pod", places),
        services=_names_of("service", places),
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


def nat_of(record: FlowRecord) -> str:
    """Return what NAT of one node does to a flow, as `nat_text` writes it; empty if it does nothing."""
    entry = Entry(record, 0.0)
    return nat_text(entry.original, entry.translated) if entry.is_translated else ""


def flow_line(row: FlowRow) -> str:
    """Return a flow in one line, as `hubble observe` has it, with its addresses and NAT."""
    nat = f" [{row.nat}]" if row.nat else f" [{nat_text(row.before, row.after).partition(' ⇒ ')[0]}]"
    after = f" => {row.endpoint}" if row.endpoint else ""
    verdict = f"{row.verdict} {row.reason}".rstrip()
    state = f" ({row.state})" if row.state else ""
    counters = f"{row.packets} packets {row.bytes} bytes on {','.join(row.nodes)}"
    return f"{row.protocol} {row.source} -> {row.destination}{after}{nat} {verdict}{state} {counters}"


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
