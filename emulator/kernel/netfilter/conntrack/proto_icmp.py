"""ICMP in connection tracking (nf_conntrack_proto_icmp.c): queries make entries, errors belong to what they quote."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack import tuple as tuples
from emulator.kernel.netfilter.conntrack.connection import CONFIRMED, ORIGINAL, REPLY
from emulator.kernel.netfilter.conntrack.refusal import ICMP_REFUSALS, note_refusal
from emulator.kernel.netfilter.conntrack.tracker import Tracked
from emulator.kernel.skb import CtInfo
from emulator.packet.checksum import is_valid

if TYPE_CHECKING:
    from emulator.kernel.netfilter.conntrack.connection import Connection
    from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
    from emulator.kernel.skb import Skb

_QUERIES = frozenset({8, 13, 15, 17})
_ERRORS = frozenset({3, 4, 5, 11, 12})
_HIGHEST_TYPE = 18


class IcmpVerdict(enum.Enum):
    """What to do with an ICMP packet before an entry is looked up."""

    LOOK_UP = 0  # not an error: an entry of its own
    RELATED = 1  # an error about a known connection; `skb.ct` is set
    INVALID = 2


def track(conntrack: Conntrack, connection: Connection, skb: Skb, direction: int, *, verify: bool) -> Tracked:
    """Refresh the entry (30 seconds). Only a query may begin one: an answer nobody asked for is invalid."""
    if not connection.status & CONFIRMED and connection.original.icmp_type not in _QUERIES:
        return Tracked.INVALID
    conntrack.refresh(connection, skb, direction, conntrack.icmp_timeout)
    return Tracked.ACCEPT


def examine(conntrack: Conntrack, skb: Skb, zones: tuple[int, int], *, verify: bool) -> IcmpVerdict:
    """Check an ICMP packet, and find the connection that an error is about (`nf_conntrack_icmpv4_error`)."""
    data, transport = skb.data, skb.transport
    if len(data) < transport + 8 or data[transport] > _HIGHEST_TYPE:
        return IcmpVerdict.INVALID
    if verify and not is_valid(data[transport:]):
        return IcmpVerdict.INVALID
    if data[transport] not in _ERRORS:
        return IcmpVerdict.LOOK_UP
    quoted = _quoted_tuple(skb, transport + 8, zones[0])
    answer = tuples.invert(quoted) if quoted is not None else None
    found = conntrack.find(answer, zones[1]) if answer is not None else None
    if found is None:
        return IcmpVerdict.INVALID
    connection, direction = found
    tuple_of_direction = connection.reply if direction == REPLY else connection.original
    if skb.daddr != tuple_of_direction.daddr:  # quotes a connection that the error's receiver has no part in
        return IcmpVerdict.INVALID
    note_refusal(conntrack, connection, direction, ICMP_REFUSALS.get((data[transport], data[transport + 1])))
    skb.ct = connection
    skb.ctinfo = CtInfo.RELATED if direction == ORIGINAL else CtInfo.RELATED_REPLY
    return IcmpVerdict.RELATED


def _quoted_tuple(skb: Skb, inner: int, zone: int) -> tuples.Tuple | None:
    data = skb.data
    if len(data) < inner + 20 or data[inner] >> 4 != 4:
        return None
    header = (data[inner] & 0xF) * 4
    if header < 20 or (data[inner + 6] << 8 | data[inner + 7]) & 0x1FFF:
        return None
    saddr = int.from_bytes(data[inner + 12 : inner + 16], "big")
    daddr = int.from_bytes(data[inner + 16 : inner + 20], "big")
    return tuples.of_packet(data, data[inner + 9], inner + header, saddr, daddr, zone)
