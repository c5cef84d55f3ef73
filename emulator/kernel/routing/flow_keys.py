"""What identifies the flow of a packet, and its hash (net/core/flow_dissector.c)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from emulator.kernel.ip.header import IS_FRAGMENT, NETWORK
from emulator.kernel.siphash import siphash
from emulator.kernel.skb import Skb

ICMP, IPIP, IPV6, GRE, ESP, AH = 1, 4, 41, 47, 50, 51
_PORTS_AT = {6: 0, 17: 0, 33: 0, 132: 0, 136: 0, ESP: 0, AH: 4}  # proto_ports_offset
_ICMP_ERRORS = frozenset({3, 4, 5, 11, 12})
_ADDRESSES = struct.Struct("!II")
_GRE_HEADER = struct.Struct("!HH")
_IPV4, _ETHERNET = 0x0800, 0x6558  # of GRE; the second is a whole frame
_GRE_OPTIONAL = 0xB000  # checksum, key, sequence: four bytes each
_GRE_UNKNOWN = 0x4007  # source routing, or a version: not looked into


class FlowKeys(NamedTuple):
    """A flow; ports are 0 where there are none, as in fragments. `encapsulated`: it is a tunnel's or in a tunnel."""

    saddr: int
    daddr: int
    protocol: int = 0
    sport: int = 0
    dport: int = 0
    encapsulated: bool = False


def dissect(skb: Skb, *, inner: bool = False) -> FlowKeys:
    """Return the flow of a packet; with `inner` that of the IPv4 packet in an IPIP or GRE tunnel, if it is one.

    What is in a tunnel and is not IPv4, or is cut short, is not looked into: the flow is then the tunnel's own.
    """
    data, start, encapsulated = skb.data, NETWORK, False
    while True:
        saddr, daddr = _ADDRESSES.unpack_from(data, start + 12)
        protocol = data[start + 9]
        transport = start + (data[start] & 15) * 4
        keys = FlowKeys(saddr, daddr, protocol, 0, 0, encapsulated)
        if (data[start + 6] << 8 | data[start + 7]) & IS_FRAGMENT:
            return keys
        payload = _tunnelled(data, transport, protocol)
        if payload is None:
            at = transport + _PORTS_AT.get(protocol, len(data))
            if at + 4 <= len(data):
                return keys._replace(sport=data[at] << 8 | data[at + 1], dport=data[at + 2] << 8 | data[at + 3])
            return keys
        if not inner or len(data) < payload + 20 or data[payload] & 15 < 5:
            return keys._replace(encapsulated=True)
        start, encapsulated = payload, True


def icmp_subject(skb: Skb) -> tuple[int, int]:
    """Return source and destination: of an ICMP error, those of the packet that it is about (ip_multipath_l3_keys)."""
    data, at = skb.data, skb.transport
    quoted = at + 8
    if skb.protocol != ICMP or skb.fragment & 0x1FFF or len(data) < quoted + 20 or data[at] not in _ICMP_ERRORS:
        return skb.saddr, skb.daddr
    saddr, daddr = _ADDRESSES.unpack_from(data, quoted + 12)
    return saddr, daddr


def flow_hash(keys: FlowKeys, seed: int) -> int:
    """Hash a flow, both directions alike, as a little-endian Linux does (__flow_hash_from_keys). 32 bits, never 0."""
    source, destination = _swapped(keys.saddr, 4), _swapped(keys.daddr, 4)
    if destination < source:
        source, destination = destination, source
    sport, dport = _swapped(keys.sport, 2), _swapped(keys.dport, 2)
    if dport < sport:
        sport, dport = dport, sport
    words = (keys.protocol << 16, 0, 0, (sport | dport << 16) << 32, source << 32, destination)
    return siphash(words, (seed << 32 | seed, seed << 32 | seed)) & 0xFFFFFFFF or 1


def _swapped(number: int, size: int) -> int:
    """A big-endian field as a little-endian machine reads it."""
    return int.from_bytes(number.to_bytes(size, "big"), "little")


def _tunnelled(data: bytearray, transport: int, protocol: int) -> int | None:
    """Where the IPv4 packet in a tunnel's begins, beyond the data if it has none; None if it is no tunnel's."""
    if protocol == IPIP:
        return transport
    if protocol == IPV6:
        return len(data)
    if protocol != GRE or len(data) < transport + 4:
        return None
    flags, kind = _GRE_HEADER.unpack_from(data, transport)
    if flags & _GRE_UNKNOWN:
        return None
    at = transport + 4 + 4 * (flags & _GRE_OPTIONAL).bit_count()
    if kind == _ETHERNET:
        kind = int.from_bytes(data[at + 12 : at + 14], "big")
        at += 14
    return at if kind == _IPV4 else len(data)
