"""A flow's trace: which packet is sent to follow its way, and what is written of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from emulator.api.messages import TraceStartParams, TraceStartResult, TraceStep
from emulator.api.trace.text import Line, Names, in_order, render
from emulator.api.trace.verdict import verdict
from tui.model.flow_row import FlowRow
from tui.model.names import Place
from tui.model.text import number

PROTOCOLS = ("tcp", "udp", "icmp")
TIMEOUT = 5.0


class TraceRequest(Struct, frozen=True):
    """The packet, and the node that sends it."""

    node: str
    params: TraceStartParams
    title: str


def trace_request(row: FlowRow, source: Place, identity: int) -> TraceRequest | str:
    """Return the packet that goes the way of a flow from its source, or why there can be none."""
    if row.protocol not in PROTOCOLS:
        return f"packets of {row.protocol} cannot be traced: tcp, udp and icmp can"
    if source.kind not in ("pod", "node"):
        return f"{row.source} is neither a pod nor a node, so no packet can be sent from there"
    namespace, _, pod = source.name.partition("/") if source.kind == "pod" else ("default", "", "")
    destination, port = row.before[3], row.before[4]
    params = TraceStartParams(
        trace=identity,
        destination=destination,
        protocol=row.protocol,
        port=port,
        namespace=namespace,
        pod=pod,
        timeout=TIMEOUT,
    )
    title = f"trace: {source.name} → {row.destination} ({destination}{number(port)}), {row.protocol}: a new packet"
    return TraceRequest(source.node, params, title)


def trace_lines(result: TraceStartResult, steps: Iterable[TraceStep], names: Names, hint: str) -> Sequence[Line]:
    """Return all lines of a trace, its verdict last."""
    ordered = in_order(steps)
    return [*render(ordered, names), verdict(ordered, result.outcome, result.message, names, hint=hint)]
