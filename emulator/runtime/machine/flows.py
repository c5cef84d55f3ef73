"""What goes through a node, as records for who watches: all flows of its table, then what changed."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.api.messages import FlowRecord, FlowsEvent, FlowTuple, FlowVerdict
from emulator.kernel.netfilter.conntrack.connection import ASSURED, CONFIRMED, SEEN_REPLY, Connection
from emulator.kernel.netfilter.conntrack.tuple import ICMP, PROTOCOL_NAMES, TCP, Tuple
from emulator.packet.address import format_ipv4
from emulator.runtime.machine.flow_table import Flow, FlowTable, explain
from emulator.runtime.machine.machine import Machine

LEAST_INTERVAL = 0.1

PORTION = 2_000
"""Flows in one event: all of a full conntrack table would not go into one message."""

_Version = tuple[int, int, int, str, str, int]


class FlowWatch:
    """One watcher of a table: `changes` gives what it has not been told yet."""

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        self._told: dict[str, _Version] = {}
        self._is_first = True

    def changes(self) -> Iterator[FlowsEvent]:
        """Yield the flows that are new or changed since the last call, and those that ended: `PORTION` at a time.

        The first call yields an event even where there are no flows, so that the watcher knows that it has all.
        """
        machine = self._table.machine
        machine.enter()
        told, current = self._told, {}
        changed: list[FlowRecord] = []
        for flow in self._table.flows():
            current[flow.identity] = version = _version(flow)
            if told.get(flow.identity) != version:
                changed.append(_record(machine, flow))
        self._told = current
        ended = [*(told.keys() - current.keys())]
        starts = range(0, max(len(changed), len(ended)), PORTION)
        for start in starts or ((0,) if self._is_first else ()):
            self._is_first = False
            end = start + PORTION
            yield FlowsEvent(changed=tuple(changed[start:end]), ended=tuple(ended[start:end]))


def _version(flow: Flow) -> _Version:
    """Return all of a flow that may change."""
    connection, setback = flow.connection, flow.setback
    packets, status, state = (0, 0), 0, ""
    if connection is not None:
        packets, status, state = connection.packets, connection.status, _state(connection)
    if setback is None:
        return (*packets, status, state, "", 0)
    return (*packets, status, state, setback.reason, setback.dropped)


def _record(machine: Machine, flow: Flow) -> FlowRecord:
    connection, setback = flow.connection, flow.setback
    verdict, reason = FlowVerdict.FORWARDED, ""
    known = connection
    if setback is not None:
        known = connection or setback.connection
        if connection is None or setback.decides(connection):
            verdict, reason = setback.verdict, setback.reason
    packets, octets = _counters(flow, known)
    start = _start(flow)
    return FlowRecord(
        identity=flow.identity,
        node=machine.kernel.name,
        netns=flow.netns,
        protocol=PROTOCOL_NAMES.get(flow.original.protocol, str(flow.original.protocol)),
        original=_tuple(flow.original),
        reply=_tuple(known.reply) if known is not None else _turned(_tuple(flow.original)),
        verdict=verdict,
        reason=reason,
        explanation=explain(reason) if reason else "",
        state="" if known is None else _state(known),
        packets=packets[0],
        bytes=octets[0],
        reply_packets=packets[1],
        reply_bytes=octets[1],
        dropped=0 if setback is None else setback.dropped,
        first_seen=machine.wall_offset + start,
        age=machine.kernel.now - start,
    )


def _counters(flow: Flow, known: Connection | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return packets and bytes both ways: those of a connection that was in the table, else what was dropped."""
    if known is not None and known.status & CONFIRMED:
        return known.packets, known.bytes
    setback = flow.setback
    return ((0, 0), (0, 0)) if setback is None else ((setback.dropped, 0), (setback.bytes, 0))


def _start(flow: Flow) -> float:
    """Return the machine's time of the flow's first packet."""
    if flow.connection is not None:
        return flow.connection.start
    return 0.0 if flow.setback is None else flow.setback.first


def _state(connection: Connection) -> str:
    if connection.protocol == TCP and connection.tcp is not None:
        return connection.tcp.state.name
    if not connection.status & SEEN_REPLY:
        return "UNREPLIED"
    return "ASSURED" if connection.status & ASSURED else ""


def _turned(forth: FlowTuple) -> FlowTuple:
    return FlowTuple(
        source=forth.destination,
        destination=forth.source,
        source_port=forth.destination_port,
        destination_port=forth.source_port,
    )


def _tuple(key: Tuple) -> FlowTuple:
    """Without ports for ICMP, whose tuple has its identifier in their place."""
    ports = (0, 0) if key.protocol == ICMP else (key.sport, key.dport)
    return FlowTuple(
        source=format_ipv4(key.saddr),
        destination=format_ipv4(key.daddr),
        source_port=ports[0],
        destination_port=ports[1],
    )
