"""Captured packets as frames of the link where they come in: whatever the capture's link type, one form for the stack.

Inside, every frame has room for an Ethernet header, also on links that have none. Where a capture does not tell the
MACs, they are as the link would see them: its own as the destination, one made of the sender's address as the source.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from emulator.bundle.neighbours import STAND_IN
from emulator.errors import WireError
from emulator.packet.address import mac_to_bytes, multicast_mac
from emulator.packet.capture import CapturedPacket
from emulator.packet.linktype import BROADCAST, ETHERNET, HOST, MULTICAST, OTHERHOST, LinkLayer, read_link_layer

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link

_BROADCAST = b"\xff" * 6
_NO_HEADER = bytes(14)


def frame_of(packet: CapturedPacket, link: Link | None, *, ethernet: bool = True) -> tuple[bytearray, int]:
    """Return the frame, and how many bytes it had before the capture cut it.

    `link` None: the node makes the packet itself, and its link layer is to come. `ethernet`: whether the link has
    Ethernet headers. A packet that is too short for its own link layer is returned as it is, too short for ours too.
    """
    data = packet.data
    if packet.linktype == ETHERNET and link is not None and ethernet:
        return bytearray(data), packet.length
    try:
        layer = read_link_layer(packet.linktype, data)
    except WireError:
        return bytearray(data[:13]), min(len(data), 13)
    header = _NO_HEADER if link is None or not ethernet else _addresses(link, layer, data[layer.length :])
    frame = bytearray(header[:12] + layer.ethertype.to_bytes(2, "big"))
    frame += data[layer.length :]
    return frame, packet.length - layer.length + len(header)


def _addresses(link: Link, layer: LinkLayer, payload: bytes | bytearray | memoryview) -> bytes:
    """Return an Ethernet header with both MACs; the ethertype is to come."""
    saddr = daddr = 0
    if len(payload) >= 20 and payload[0] >> 4 == 4:
        saddr, daddr = struct.unpack_from("!II", payload, 12)
    kind = HOST if layer.packet_type is None else layer.packet_type
    destination = link.mac_bytes
    if kind == BROADCAST:
        destination = _BROADCAST
    elif kind == MULTICAST:
        destination = mac_to_bytes(multicast_mac(daddr))
    elif kind == OTHERHOST:
        destination = mac_to_bytes(STAND_IN | daddr)
    return destination + (layer.source or mac_to_bytes(STAND_IN | saddr)) + b"\0\0"
