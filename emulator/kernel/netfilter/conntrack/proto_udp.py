"""UDP in connection tracking (nf_conntrack_proto_udp.c): a stream once both sides spoke for more than two seconds.

UDP-Lite (RFC 3828) too, which is a stream with the first answer, and whose checksum may cover only the beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.connection import ASSURED, CONFIRMED, NAT_CLASH, SEEN_REPLY
from emulator.kernel.netfilter.conntrack.tracker import TRACKED, Tracked
from emulator.kernel.netfilter.conntrack.tuple import UDP
from emulator.packet.checksum import is_valid, pseudo_header_sum

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
    from emulator.kernel.skb import Skb

STREAM_AFTER = 2.0  # seconds from the first packet


def track(conntrack: Conntrack, connection: Connection, skb: Skb, direction: int, *, verify: bool) -> Tracked:
    """Refresh the entry: 30 seconds, or 120 for a stream (the sysctls udp_timeout and udp_timeout_stream)."""
    if _is_broken(skb, verify):
        return Tracked.INVALID
    status = connection.status
    now = conntrack.now
    if not status & CONFIRMED:
        connection.stream_after = now + STREAM_AFTER
    if not status & SEEN_REPLY:
        conntrack.refresh(connection, skb, direction, conntrack.udp_timeout)
    elif now > connection.stream_after:
        conntrack.refresh(connection, skb, direction, conntrack.udp_stream_timeout)
        if not status & (ASSURED | NAT_CLASH):
            conntrack.assure(connection)
    else:
        conntrack.refresh(connection, skb, direction, conntrack.udp_timeout)
    return TRACKED


def _is_broken(skb: Skb, verify: bool) -> bool:
    data, transport = skb.data, skb.transport
    available = len(data) - transport
    if available < 8:
        return True
    length = data[transport + 4] << 8 | data[transport + 5]
    if length > available or length < 8:
        return True
    if not verify or not (data[transport + 6] or data[transport + 7]):  # no checksum
        return False
    return not is_valid(data[transport : transport + length], pseudo_header_sum(skb.saddr, skb.daddr, UDP, length))


def track_lite(conntrack: Conntrack, connection: Connection, skb: Skb, direction: int, *, verify: bool) -> Tracked:
    """The same for UDP-Lite, with the timeouts of UDP."""
    if _is_broken_lite(skb, verify):
        return Tracked.INVALID
    if connection.status & SEEN_REPLY:
        conntrack.refresh(connection, skb, direction, conntrack.udp_stream_timeout)
        conntrack.assure(connection)
    else:
        conntrack.refresh(connection, skb, direction, conntrack.udp_timeout)
    return TRACKED


def _is_broken_lite(skb: Skb, verify: bool) -> bool:
    data, transport = skb.data, skb.transport
    available = len(data) - transport
    if available < 8:
        return True
    coverage = data[transport + 4] << 8 | data[transport + 5] or available
    if coverage > available or coverage < 8 or not (data[transport + 6] or data[transport + 7]):
        return True
    # `udplite_error` has it checked as if it were UDP, so that a packet with the right checksum is invalid.
    pseudo_header = pseudo_header_sum(skb.saddr, skb.daddr, UDP, available)
    return verify and not is_valid(data[transport : transport + coverage], pseudo_header)
