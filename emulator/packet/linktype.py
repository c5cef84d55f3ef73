"""What stands before the network header of captured packets, by link type (tcpdump.org/linktypes.html)."""

from __future__ import annotations

import struct
from types import MappingProxyType

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer
from emulator.packet.ethernet import ETHERTYPE, ETHERTYPE_IPV4, ETHERTYPE_IPV6, HEADER_LENGTH

ETHERNET = 1
LINUX_SLL = 113
RAW = 101
IPV4 = 228
IPV6 = 229
LINUX_SLL2 = 276

NAMES = MappingProxyType(
    {
        ETHERNET: "Ethernet", RAW: "raw IP", IPV4: "raw IPv4", IPV6: "raw IPv6", LINUX_SLL: "Linux cooked v1",
        LINUX_SLL2: "Linux cooked v2",
    }
)  # fmt: skip

# Packet types of cooked captures: whom the frame was for (linux/if_packet.h).
HOST, BROADCAST, MULTICAST, OTHERHOST, OUTGOING = range(5)

_RAW_TYPES = frozenset({12, 14, RAW, IPV4, IPV6})  # the first two are what BSDs call RAW
_SLL = struct.Struct("!HHH8sH")
_SLL2 = struct.Struct("!HxxIHBB8s")


class LinkLayer(Struct, frozen=True):
    """What is known of a packet's link layer; `length` bytes of it come before the network header.

    `packet_type` and `source` (a MAC) are None where the capture does not say.
    """

    length: int
    ethertype: int
    packet_type: int | None = None
    source: bytes | None = None


def read_link_layer(linktype: int, data: Buffer) -> LinkLayer:
    """Read it. WireError for a link type that is not known, or too few bytes."""
    if linktype == ETHERNET:
        _need(data, HEADER_LENGTH, "Ethernet")
        return LinkLayer(HEADER_LENGTH, data[ETHERTYPE] << 8 | data[ETHERTYPE + 1])
    if linktype in _RAW_TYPES:
        _need(data, 1, "raw IP")
        return LinkLayer(0, ETHERTYPE_IPV6 if data[0] >> 4 == 6 else ETHERTYPE_IPV4)
    if linktype == LINUX_SLL:
        _need(data, _SLL.size, "Linux cooked")
        packet_type, _, length, address, ethertype = _SLL.unpack_from(data)
    elif linktype == LINUX_SLL2:
        _need(data, _SLL2.size, "Linux cooked v2")
        ethertype, _, _, packet_type, length, address = _SLL2.unpack_from(data)
    else:
        raise WireError(f"link type {linktype} is not known; known are {_known()}")
    size = _SLL.size if linktype == LINUX_SLL else _SLL2.size
    return LinkLayer(size, ethertype, packet_type, address[:6] if length == 6 else None)


def is_known(linktype: int) -> bool:
    """Whether packets of this link type can be read."""
    return linktype in NAMES or linktype in _RAW_TYPES


def _known() -> str:
    return ", ".join(f"{name} ({number})" for number, name in NAMES.items())


def _need(data: Buffer, size: int, name: str) -> None:
    if len(data) < size:
        raise WireError(f"{name}: {len(data)} bytes are fewer than the header's {size}")
