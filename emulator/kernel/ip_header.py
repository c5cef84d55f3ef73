"""Reading an IPv4 header into an Skb's fields, with Linux's checks in their order (ip_rcv_core, ip_options_compile)."""

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

OPTION_END, OPTION_NOP = 0, 1
OPTION_LSRR, OPTION_SSRR = 0x83, 0x89

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


def find_option_error(skb: Skb) -> int | None:
    """Return the offset in the header of the first malformed option, or None."""
    data, position, end = skb.data, NETWORK + MINIMUM_HEADER, skb.transport
    while position < end and data[position] != OPTION_END:
        if data[position] == OPTION_NOP:
            position += 1
            continue
        if position + 1 >= end or data[position + 1] < 2 or position + data[position + 1] > end:
            return position - NETWORK
        position += data[position + 1]
    return None


def has_source_route(skb: Skb) -> bool:
    """Whether well-formed options ask for a loose or strict source route."""
    data, position, end = skb.data, NETWORK + MINIMUM_HEADER, skb.transport
    while position < end and data[position] != OPTION_END:
        if data[position] in (OPTION_LSRR, OPTION_SSRR):
            return True
        position += 1 if data[position] == OPTION_NOP else data[position + 1]
    return False
