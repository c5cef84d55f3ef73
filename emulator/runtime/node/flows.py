"""What goes through a node, as records: each connection that conntrack knows, each kind of packet that was dropped."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from emulator.api.messages import FlowRecord, FlowsEvent, FlowTuple, FlowVerdict
from emulator.kernel.drop import DropReason
from emulator.kernel.drop_log import DropRecord
from emulator.kernel.netfilter.conntrack.connection import ASSURED, SEEN_REPLY, Connection
from emulator.kernel.netfilter.conntrack.tuple import ICMP, PROTOCOL_NAMES, TCP, Tuple
from emulator.packet.address import format_ipv4
from emulator.runtime.machine import Machine

DROPS_KEPT = 1_024
DROP_MEMORY = 60.0
"""Seconds after its last packet that a drop stays in the list."""

LEAST_INTERVAL = 0.1

PORTION = 2_000
"""Flows in one event: all of a full conntrack table would not go into one message."""

_UNREMARKABLE = frozenset({DropReason.OTHERHOST})
"""Frames that a bridge floods end so at every other port; that is not what anybody asks about."""

_DropKey = tuple[str, DropReason, int, int, int, int]
_Version = tuple[int, int, int, str]


class _Drops:
    """Packets of one kind that were dropped."""

    __slots__ = ("bytes", "first", "last", "packets", "record")

    def __init__(self, record: DropRecord) -> None:
        self.record = record
        self.first = self.last = record.time
        self.packets = self.bytes = 0

    def add(self, record: DropRecord) -> None:
        self.last = record.time
        self.packets += 1
        self.bytes += record.length


class FlowTable:
    """The flows of one machine: those of its conntrack tables, and its drops by reason and tuple."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._drops: OrderedDict[_DropKey, _Drops] = OrderedDict()

    def count(self) -> int:
        """How many connections are tracked."""
        return sum(len(netns.netfilter.conntrack) for netns in self.machine.kernel.namespaces.values())

    def connections(self) -> Iterator[tuple[str, str, Connection]]:
        """Yield (identity, netns, connection) of each that is tracked."""
        for name, netns in self.machine.kernel.namespaces.items():
            if netns.netfilter.conntrack.enabled:
                for connection in netns.netfilter.conntrack:
                    yield f"{name}/{connection.identity}", name, connection

    def drops(self) -> Iterator[tuple[str, _Drops]]:
        """Yield (identity, drops) of what was dropped lately; takes over the machine's drop log."""
        self._drain()
        for key, drops in self._drops.items():
            netns, reason, *numbers = key
            yield f"{netns}/{reason.name}/{'/'.join(map(str, numbers))}", drops

    def _drain(self) -> None:
        log = self.machine.kernel.drop_log
        while log:
            record = log.popleft()
            if record.reason in _UNREMARKABLE or not record.protocol:
                continue
            key = (record.netns, record.reason, record.protocol, record.saddr, record.daddr, record.dport)
            drops = self._drops.get(key)
            if drops is None:
                drops = self._drops[key] = _Drops(record)
                if len(self._drops) > DROPS_KEPT:
                    self._drops.popitem(last=False)
            drops.add(record)
        horizon = self.machine.kernel.now - DROP_MEMORY
        for key in [key for key, drops in self._drops.items() if drops.last < horizon]:
            del self._drops[key]


class FlowWatch:
    """One watcher of a table: `changes` gives what it has not been told yet."""

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        self._told: dict[str, _Version] = {}

    def changes(self) -> Iterator[FlowsEvent]:
        """Yield the flows that are new or changed since the last call, and those that ended: `PORTION` at a time."""
        machine = self._table.machine
        machine.enter()
        told, current = self._told, {}
        changed: list[FlowRecord] = []
        for identity, netns, connection in self._table.connections():
            version = (connection.packets[0], connection.packets[1], connection.status, _state(connection))
            current[identity] = version
            if told.get(identity) != version:
                changed.append(_connection_record(machine, identity, netns, connection))
        for identity, drops in self._table.drops():
            version = (drops.packets, 0, 0, "")
            current[identity] = version
            if told.get(identity) != version:
                changed.append(_drop_record(machine, identity, drops))
        self._told = current
        ended = [*(told.keys() - current.keys())]
        for start in range(0, max(len(changed), len(ended)), PORTION):
            end = start + PORTION
            yield FlowsEvent(changed=tuple(changed[start:end]), ended=tuple(ended[start:end]))


def _connection_record(machine: Machine, identity: str, netns: str, connection: Connection) -> FlowRecord:
    packets, octets = connection.packets, connection.bytes
    return FlowRecord(
        identity=identity,
        node=machine.kernel.name,
        netns=netns,
        protocol=_protocol(connection.protocol),
        original=_tuple(connection.original),
        reply=_tuple(connection.reply),
        verdict=FlowVerdict.FORWARDED,
        state=_state(connection),
        packets=packets[0],
        bytes=octets[0],
        reply_packets=packets[1],
        reply_bytes=octets[1],
        first_seen=machine.wall_offset + connection.start,
        age=machine.kernel.now - connection.start,
    )


def _drop_record(machine: Machine, identity: str, drops: _Drops) -> FlowRecord:
    record = drops.record
    forth = FlowTuple(
        source=format_ipv4(record.saddr),
        destination=format_ipv4(record.daddr),
        source_port=record.sport,
        destination_port=record.dport,
    )
    back = FlowTuple(
        source=forth.destination,
        destination=forth.source,
        source_port=forth.destination_port,
        destination_port=forth.source_port,
    )
    return FlowRecord(
        identity=identity,
        node=machine.kernel.name,
        netns=record.netns,
        protocol=_protocol(record.protocol),
        original=forth,
        reply=back,
        verdict=FlowVerdict.DROPPED,
        drop_reason=record.reason.name,
        packets=drops.packets,
        bytes=drops.bytes,
        first_seen=machine.wall_offset + drops.first,
        age=machine.kernel.now - drops.first,
    )


def _state(connection: Connection) -> str:
    if connection.protocol == TCP and connection.tcp is not None:
        return connection.tcp.state.name
    if not connection.status & SEEN_REPLY:
        return "UNREPLIED"
    return "ASSURED" if connection.status & ASSURED else ""


def _protocol(number: int) -> str:
    return PROTOCOL_NAMES.get(number, str(number))


def _tuple(key: Tuple) -> FlowTuple:
    """Without ports for ICMP, whose tuple has its identifier in their place."""
    ports = (0, 0) if key.protocol == ICMP else (key.sport, key.dport)
    return FlowTuple(
        source=format_ipv4(key.saddr),
        destination=format_ipv4(key.daddr),
        source_port=ports[0],
        destination_port=ports[1],
    )
