"""Generic segmentation offload: TCP segments that travel as one frame and are cut where a link cannot take them whole.

As in Linux (net/core/gso.c, net/ipv4/tcp_offload.c), an Skb with `gso_size` stands for several segments of that many
bytes of payload each, the last may be shorter. Every MTU on the way is compared with one such segment. The checksum of
the TCP header covers the headers only (Linux's CHECKSUM_PARTIAL); the payload is added when the frame is cut.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from emulator.packet import ipv4, tcp

if TYPE_CHECKING:
    from emulator.kernel.skb import Skb

MAXIMUM_PAYLOAD = 58_880
"""Bytes of payload in one frame. Linux's limit is 65,536 (GSO_LEGACY_MAX_SIZE); this is what a datagram takes whole."""

_ETHERNET = 14
_ADDRESSES = struct.Struct("!II")
_TCP = 6
_IS_FRAGMENT = 0x3FFF
_SEQUENCE = 4  # offsets in a TCP header
_DATA_OFFSET = 12
_FLAGS = 13
_ONLY_IN_LAST = 0x09  # FIN and PSH
_ONLY_IN_FIRST = 0x80  # CWR


def fits(skb: Skb, mtu: int) -> bool:
    """Whether each segment that a frame stands for is a packet of at most `mtu` bytes."""
    return 0 < skb.gso_size <= mtu - (payload_offset(skb) - _ETHERNET)


def payload_offset(skb: Skb) -> int:
    """Where the payload begins in the frame: what lies before it, each segment has, and the checksum covers."""
    transport = _ETHERNET + ((skb.data[_ETHERNET] & 15) << 2)  # a frame that is only bridged was never parsed
    return transport + (skb.data[transport + _DATA_OFFSET] >> 4 << 2)


def is_sound(frame: bytes) -> bool:
    """Whether a frame from another machine may stand for several TCP segments (virtio_net_hdr_to_skb asks the same)."""
    if len(frame) < _ETHERNET + 40 or frame[12:14] != b"\x08\x00" or frame[_ETHERNET + 9] != _TCP:
        return False
    if (frame[_ETHERNET + 6] << 8 | frame[_ETHERNET + 7]) & _IS_FRAGMENT:
        return False
    network_length = (frame[_ETHERNET] & 15) << 2
    at = _ETHERNET + network_length + _DATA_OFFSET
    if network_length < 20 or at >= len(frame):
        return False
    header = frame[at] >> 4 << 2
    return header >= 20 and at - _DATA_OFFSET + header < len(frame)


def segment(skb: Skb) -> list[Skb]:
    """Cut a frame into the segments that it stands for, each with its own numbers and checksums (tcp_gso_segment)."""
    start, size = payload_offset(skb), skb.gso_size
    header = bytes(skb.data[:start])
    network = _ETHERNET
    transport = network + ((header[network] & 15) << 2)
    saddr, daddr = _ADDRESSES.unpack_from(header, network + 12)
    identification = int.from_bytes(header[network + 4 : network + 6], "big")
    sequence = int.from_bytes(header[transport + _SEQUENCE : transport + _SEQUENCE + 4], "big")
    flags = header[transport + _FLAGS]
    end = len(skb.data)
    pieces = []
    with memoryview(skb.data) as frame:
        for number, at in enumerate(range(start, end, size)):
            data = bytearray(b"".join((header, frame[at : at + size])))
            data[network + 2 : network + 4] = (len(data) - network).to_bytes(2, "big")
            data[network + 4 : network + 6] = (identification + number & 0xFFFF).to_bytes(2, "big")
            number_of_first = sequence + at - start & 0xFFFFFFFF
            data[transport + _SEQUENCE : transport + _SEQUENCE + 4] = number_of_first.to_bytes(4, "big")
            kept = flags if at + size >= end else flags & ~_ONLY_IN_LAST
            data[transport + _FLAGS] = kept & ~_ONLY_IN_FIRST if number else kept
            ipv4.fill_checksum(data, network)
            tcp.fill_checksum(data, transport, len(data), saddr, daddr)
            piece = skb.clone_without_data(data)
            piece.gso_size = 0
            pieces.append(piece)
    return pieces
