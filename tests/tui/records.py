"""Flow records as nodes tell them."""

from __future__ import annotations

from typing import Any

from emulator.api.messages import FlowRecord, FlowTuple, FlowVerdict

Address = tuple[str, int]


def flow(
    node: str,
    identity: str,
    source: Address,
    destination: Address,
    *,
    to: Address | None = None,
    by: Address | None = None,
    **fields: Any,
) -> FlowRecord:
    """A connection; DNAT leads it `to` another destination, SNAT lets it come from `by`."""
    end, origin = to or destination, by or source
    settings = {
        "protocol": "tcp",
        "state": "ESTABLISHED",
        "packets": 3,
        "reply_packets": 2,
        "bytes": 300,
        "first_seen": 1e9,
    } | fields
    return FlowRecord(
        identity=identity,
        node=node,
        netns="root",
        original=FlowTuple(
            source=source[0], source_port=source[1], destination=destination[0], destination_port=destination[1]
        ),
        reply=FlowTuple(source=end[0], source_port=end[1], destination=origin[0], destination_port=origin[1]),
        **{"verdict": FlowVerdict.FORWARDED, **settings},
    )


VERDICTS = {"NETFILTER_REJECT": FlowVerdict.REJECTED, "NO_SOCKET": FlowVerdict.REFUSED}


def drop(node: str, identity: str, source: Address, destination: Address, reason: str, **fields: Any) -> FlowRecord:
    """A flow whose packets ended on a node."""
    verdict = VERDICTS.get(reason, FlowVerdict.DROPPED)
    settings = {"verdict": verdict, "reason": reason, "state": "", "reply_packets": 0, "dropped": 1} | fields
    return flow(node, identity, source, destination, **settings)
