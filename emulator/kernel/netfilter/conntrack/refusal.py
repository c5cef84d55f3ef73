"""Answers that end a connection before it began: conntrack notes them, since its entry goes with them or stays mute.

A TCP reset as the only answer takes the entry out of the table at once (nf_conntrack_proto_tcp.c); an ICMP error leaves
nothing in it at all. The runtime drains them into flows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.conntrack.connection import REPLY

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack

TCP_RESET = "TCP_RESET"

# include/uapi/linux/icmp.h; not among them what only slows a sender down (ICMP_FRAG_NEEDED).
ICMP_REFUSALS = {
    (3, 0): "ICMP_NET_UNREACH",
    (3, 1): "ICMP_HOST_UNREACH",
    (3, 2): "ICMP_PROT_UNREACH",
    (3, 3): "ICMP_PORT_UNREACH",
    (3, 5): "ICMP_SR_FAILED",
    (3, 6): "ICMP_NET_UNKNOWN",
    (3, 7): "ICMP_HOST_UNKNOWN",
    (3, 8): "ICMP_HOST_ISOLATED",
    (3, 9): "ICMP_NET_ANO",
    (3, 10): "ICMP_HOST_ANO",
    (3, 11): "ICMP_NET_UNR_TOS",
    (3, 12): "ICMP_HOST_UNR_TOS",
    (3, 13): "ICMP_PKT_FILTERED",
    (3, 14): "ICMP_PREC_VIOLATION",
    (3, 15): "ICMP_PREC_CUTOFF",
    (11, 0): "ICMP_EXC_TTL",
    (11, 1): "ICMP_EXC_FRAGTIME",
}


class Refusal(Struct, frozen=True):
    """One such answer; `answers` is how many packets had come back on the connection until then."""

    time: float
    netns: str
    reason: str  # TCP_RESET, or the name of the ICMP error
    connection: Connection
    answers: int


def note_refusal(conntrack: Conntrack, connection: Connection, direction: int, reason: str | None) -> None:
    """Note an answer that came in a direction of a connection; nothing if it is no refusal of the connection."""
    if reason is not None and direction == REPLY:
        netns = conntrack.netns
        netns.kernel.refusals.append(Refusal(conntrack.now, netns.name, reason, connection, connection.packets[REPLY]))
