"""Reading an IPv4 header into an Skb's fields, with Linux's checks in their order (ip_rcv_core)."""

from __future__ import annotations

import struct

from emulator.kernel.drop import DropReason
from emulator.kernel.skb import Skb

NETWORK = 14
MINIMUM_HEADER = 20
DONT_FRAGMENT = 0x4000
MORE_FRAGMENTS = 0x2000
OFFSET_MASK = 0x1FFF
IS_FRAGMENT = MORE_FRAGMENTS | OFFSET_MASK

# Length, fragment field, protocol, addresses: what every packet's way depends on.
FIELDS = struct.Struct("!BxHxxHxBxxII")
PORTS = struct.Struct("!HH")
WITH_PORTS = frozenset({6, 17, 33, 132, 136})  # TCP UDP DCCP SCTP UDP-Lite

_from_bytes = int.from_bytes


def parse(skb: Skb) -> DropReason | None:
    """Check the header, cut link-layer padding off, and fill in the Skb's fields. A reason if it must be dropped."""
    data = skb.data
    size = len(data)
    if size < NETWORK + MINIMUM_HEADER:
        return DropReason.IP_INHDR
    version_length, length, fragment, protocol, saddr, daddr = FIELDS.unpack_from(data, NETWORK)
    header_length = (version_length & 15) << 2
    if version_length >> 4 != 4 or header_length < MINIMUM_HEADER or size < NETWORK + header_length:
        return DropReason.IP_INHDR
    transport = NETWORK + header_length
    if _from_bytes(data[NETWORK:transport], "big") % 0xFFFF:
        return DropReason.IP_CSUM
    end = NETWORK + length
    if size < end:
        return DropReason.PKT_TOO_SMALL
    if length < header_length:
        return DropReason.IP_INHDR
    if size > end:
        del data[end:]
    skb.network = NETWORK
    skb.transport = transport
    skb.saddr = saddr
    skb.daddr = daddr
    skb.protocol = protocol
    skb.fragment = fragment
    if protocol in WITH_PORTS and not fragment & OFFSET_MASK and end >= transport + 4:
        skb.sport, skb.dport = PORTS.unpack_from(data, transport)
    else:
        skb.sport = skb.dport = 0
    return None
