"""Captured packets: what a capture file holds, whichever its format; `pcap.py` and `pcapng.py` read and write them.

Times are integers of nanoseconds since 1970, since a float cannot tell two nanoseconds of today apart.
"""

from __future__ import annotations

import enum

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer

NANOSECONDS = 1_000_000_000
MAXIMUM_PACKET = 262_144
"""No more captured bytes than this a packet (libpcap, MAXIMUM_SNAPLEN); more is garbage."""


class CaptureError(WireError):
    """A capture file that cannot be read; `offset` is the byte where that shows. The text does not name the file."""

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        super().__init__(f"byte {offset}: {message}")


class CutError(CaptureError):
    """A capture file that ends too early, as of a tcpdump that was killed: the packets before that are whole."""


class Direction(enum.Enum):
    """Which way a packet went through the link where it was captured, where the file says so."""

    UNKNOWN = 0
    INBOUND = 1
    OUTBOUND = 2


class CapturedPacket(Struct, frozen=True):
    """One packet. `data` are the bytes captured, from the link type's header on; `length` is how many there were.

    `time` is in nanoseconds since 1970. `interface` is the name that a pcapng file gives, else empty.
    """

    time: int
    linktype: int
    data: Buffer
    length: int
    interface: str = ""
    direction: Direction = Direction.UNKNOWN


def format_time(time: int) -> str:
    """Write a time as decimal seconds: with six digits behind the point, or nine if nanoseconds are told."""
    seconds, rest = divmod(time, NANOSECONDS)
    return f"{seconds}.{rest // 1000:06d}" if rest % 1000 == 0 else f"{seconds}.{rest:09d}"
