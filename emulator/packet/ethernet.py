"""Ethernet II frames, the first header of whatever crosses a link; 802.1Q tags are read and rebuilt as they were.

IEEE 802.3 clause 3, 802.1Q clause 9. The frame check sequence is not part of a frame here, as in Linux's sk_buff.
"""

import struct
from typing import Self

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer, format_mac

HEADER_LENGTH = 14
TAG_LENGTH = 4

DESTINATION = 0  # offsets
SOURCE = 6
ETHERTYPE = 12

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_VLAN = 0x8100
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_QINQ = 0x88A8

ETHERTYPE_NAMES = {ETHERTYPE_IPV4: "IPv4", ETHERTYPE_ARP: "ARP", ETHERTYPE_VLAN: "802.1Q", ETHERTYPE_IPV6: "IPv6"}

ETHERNET = struct.Struct("!HIHIH")  # destination (16 high bits, 32 low), source (likewise), ethertype
TAG = struct.Struct("!HH")  # tag control information, the ethertype that follows

_VLAN_TYPES = frozenset({ETHERTYPE_VLAN, ETHERTYPE_QINQ})
_MAXIMUM_TAGS = 8


class VlanTag(Struct, frozen=True):
    """One 802.1Q or 802.1ad tag; `tpid` is the ethertype that announced it."""

    vlan: int
    priority: int = 0
    drop_eligible: bool = False
    tpid: int = ETHERTYPE_VLAN

    def __str__(self) -> str:
        """Print as tcpdump -e does."""
        eligible = ", DEI" if self.drop_eligible else ""
        return f"vlan {self.vlan}, p {self.priority}{eligible}"


class EthernetHeader(Struct, frozen=True):
    """A frame's header. `ethertype` is that of the payload, behind any tags (below 0x0600 it is an 802.3 length)."""

    destination: int
    source: int
    ethertype: int
    tags: tuple[VlanTag, ...] = ()

    @property
    def length(self) -> int:
        """Bytes of the header, tags included: where the payload begins."""
        return HEADER_LENGTH + TAG_LENGTH * len(self.tags)

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0) -> Self:
        """Read a header. WireError if the frame is too short for it or its tags."""
        if len(buffer) - offset < HEADER_LENGTH:
            raise WireError(f"Ethernet: {len(buffer) - offset} bytes are fewer than the header's 14")
        high, low, source_high, source_low, ethertype = ETHERNET.unpack_from(buffer, offset)
        tags: tuple[VlanTag, ...] = ()
        if ethertype in _VLAN_TYPES:
            tags, ethertype = _parse_tags(buffer, offset + HEADER_LENGTH, ethertype)
        return cls(high << 32 | low, source_high << 32 | source_low, ethertype, tags)

    def build(self, payload: Buffer = b"") -> bytes:
        """Write the header with its tags, and the payload behind it, not padded."""
        addresses = (self.destination << 48 | self.source).to_bytes(12, "big")
        if not self.tags:
            return b"".join((addresses, self.ethertype.to_bytes(2, "big"), payload))
        parts: list[Buffer] = [addresses]
        for tag in self.tags:
            control = tag.priority << 13 | tag.drop_eligible << 12 | tag.vlan
            parts.append(TAG.pack(tag.tpid, control))
        return b"".join((*parts, self.ethertype.to_bytes(2, "big"), payload))

    def __str__(self) -> str:
        """Print as tcpdump -e does, up to the payload."""
        name = ETHERTYPE_NAMES.get(self.ethertype, "Unknown")
        tags = "".join(f"ethertype 802.1Q, {tag}, " for tag in self.tags)
        addresses = f"{format_mac(self.source)} > {format_mac(self.destination)}"
        return f"{addresses}, {tags}ethertype {name} ({self.ethertype:#06x})"


def _parse_tags(buffer: Buffer, offset: int, tpid: int) -> tuple[tuple[VlanTag, ...], int]:
    """Read the tags that begin at `offset`; return them and the ethertype behind the last."""
    tags: list[VlanTag] = []
    while tpid in _VLAN_TYPES:
        if len(buffer) - offset < TAG_LENGTH:
            raise WireError("Ethernet: the frame ends inside an 802.1Q tag")
        if len(tags) == _MAXIMUM_TAGS:
            raise WireError(f"Ethernet: more than {_MAXIMUM_TAGS} 802.1Q tags")
        control, ethertype = TAG.unpack_from(buffer, offset)
        tags.append(VlanTag(control & 0xFFF, control >> 13, bool(control & 0x1000), tpid))
        tpid = ethertype
        offset += TAG_LENGTH
    return tuple(tags), tpid


def build_header(destination: int, source: int, ethertype: int) -> bytes:
    """Write an untagged header without making a header value: for the hot path."""
    return (destination << 64 | source << 16 | ethertype).to_bytes(14, "big")
