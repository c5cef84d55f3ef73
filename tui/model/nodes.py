"""The rows of the nodes page: what the controller, the supervisor and the node itself say of it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from emulator.api.messages import NodeStatusResult, ProcessStatus
from emulator.api.objects import Node
from tui.model.links import Link
from tui.model.rates import SAMPLES, Rate, sparkline
from tui.model.text import count


class NodeRow(Struct, frozen=True):
    """One node; numbers are None while the node has not told them. `frames` are rates of the last minute."""

    key: str
    state: str
    address: str
    pod_cidr: str
    zone: str
    pods: int
    flows: int | None
    lost: int | None
    dropped: int | None
    restarts: int | None
    stale: bool
    frames: tuple[float, ...]
    rate: Rate | None
    status: NodeStatusResult | None
    link: Link | None
    process: ProcessStatus | None


def node_row(
    node: Node,
    pods: int,
    status: NodeStatusResult | None,
    process: ProcessStatus | None,
    link: Link | None,
    frames: tuple[float, ...] = (),
    rate: Rate | None = None,
) -> NodeRow:
    """Put a node's row together; `state` is as kubectl has it, and AWAY while its socket does not answer.

    `frames` are underlay frames a second, the latest last; neither they nor `rate` are known of one that is away.
    """
    away = link is not None and not link.live
    state = "AWAY" if away else "Ready" if node.status.is_ready else "NotReady"
    if node.spec.unschedulable:
        state += ",SchedulingDisabled"
    return NodeRow(
        key=node.metadata.name,
        state=state,
        address=node.status.internal_ip,
        pod_cidr=node.spec.pod_cidr,
        zone=node.zone,
        pods=pods,
        flows=None if status is None else status.flows,
        lost=None if status is None else status.underlay.lost,
        dropped=None if status is None else sum(status.drops.values()),
        restarts=None if process is None else process.restarts,
        stale=away,
        frames=frames,
        rate=None if away else rate,
        status=status,
        link=link,
        process=process,
    )


def details(row: NodeRow) -> list[tuple[str, str]]:
    """Return all that is known of a node, as (name, value)."""
    lines = [("state", row.state), ("address", row.address), ("pod CIDR", row.pod_cidr), ("zone", row.zone)]
    if row.link is not None and row.link.reason:
        lines.append(("away because", row.link.reason))
    if row.process is not None:
        process = row.process
        lines += [("process", f"{process.pid} {process.state}"), ("restarts", str(process.restarts))]
        if process.last_exit:
            lines.append(("last exit", process.last_exit))
    if row.status is not None:
        lines += _status_lines(row.status)
    if row.rate is not None:
        lines.append(("underlay now", f"{row.rate.frames:.0f} frames/s, {count(round(row.rate.octets))}B/s"))
        lines.append(("  last minute", f"{sparkline(row.frames, SAMPLES)} up to {max(row.frames):.0f} frames/s"))
    return lines


def _status_lines(status: NodeStatusResult) -> list[tuple[str, str]]:
    underlay = status.underlay
    connected = "yes" if status.controller_connected else "no: it forwards by what it knew last"
    lines = [
        ("controller connected", connected),
        ("pods running", str(status.pods)),
        ("kube-proxy", f"{status.proxy_mode or 'unknown'} mode"),
        ("conntrack", _use(status.flows, status.flow_limit)),
        ("packet faults", str(status.faults)),
        ("underlay sent", _traffic(underlay.sent_datagrams, underlay.sent_frames, underlay.sent_bytes)),
        ("underlay received", _traffic(underlay.received_datagrams, underlay.received_frames, underlay.received_bytes)),
        ("underlay lost", f"{underlay.lost} datagrams"),
    ]
    return lines + _counts("underlay refused", underlay.refused) + _counts("dropped", status.drops)


def _use(flows: int, limit: int) -> str:
    return f"{flows} of {limit} entries ({flows / limit:.1%})" if limit else f"{flows} entries"


def _traffic(datagrams: int, frames: int, octets: int) -> str:
    return f"{datagrams} datagrams, {frames} frames, {octets} bytes"


def _counts(title: str, counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return a line for each reason, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return [(f"{title}: {reason}", str(number)) for reason, number in ordered if number]
