"""Protocols without ports in connection tracking: one entry a pair of addresses (nf_conntrack_proto_generic.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.connection import SEEN_REPLY
from emulator.kernel.netfilter.conntrack.tracker import Tracked

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
    from emulator.kernel.skb import Skb


def track(conntrack: Conntrack, connection: Connection, skb: Skb, direction: int, *, verify: bool) -> Tracked:
    """Refresh the entry for the generic timeout (600 seconds)."""
    conntrack.refresh(connection, skb, direction, conntrack.generic_timeout)
    return Tracked.ACCEPT


def track_gre(conntrack: Conntrack, connection: Connection, skb: Skb, direction: int, *, verify: bool) -> Tracked:
    """GRE (nf_conntrack_proto_gre.c): 30 seconds, 180 and assured once answered."""
    if connection.status & SEEN_REPLY:
        conntrack.refresh(connection, skb, direction, conntrack.gre_stream_timeout)
        conntrack.assure(connection)
    else:
        conntrack.refresh(connection, skb, direction, conntrack.gre_timeout)
    return Tracked.ACCEPT
