"""Captured packets: what a capture file holds, whichever its format; `pcap.py` and `pcapng.py` read and write them.

Times are integers of nanoseconds since 1970, since a float cannot tell two nanoseconds of today apart.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer

NANOSECONDS = 1_000_000_000
MAXIMUM_PACKET = 262_144
"""No more captured bytes than this a packet (libpcap, MAXIMUM_SNAPLEN); more is garbage."""

LONGEST_MAGIC = 4
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zX": "xz", b"BZh": "bzip2"}


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


def is_capture(begin: bytes) -> bool:
    """Whether a file that begins so claims to be a pcap or pcapng file."""
    from emulator.packet.pcap import MAGICS

    return begin == PCAPNG_MAGIC or begin in MAGICS


def read_capture(buffer: Buffer) -> Iterator[CapturedPacket]:
    """Yield the packets of a pcap or pcapng file in the file's order. CaptureError at what is neither."""
    from emulator.packet.pcap import MAGICS, read_pcap
    from emulator.packet.pcapng import read_pcapng

    magic = bytes(buffer[:LONGEST_MAGIC])
    if magic == PCAPNG_MAGIC:
        return read_pcapng(buffer)
    if magic in MAGICS:
        return read_pcap(buffer)
    if not magic:
        raise CaptureError(0, "the file is empty; give a pcap or pcapng file")
    for begin, name in _COMPRESSED.items():
        if magic.startswith(begin):
            raise CaptureError(0, f"compressed with {name}; unpack it first")
    raise CaptureError(0, f"neither pcap nor pcapng: it begins with {magic.hex(' ')}")


def format_time(time: int) -> str:
    """Write a time as decimal seconds: with six digits behind the point, or nine if nanoseconds are told."""
    seconds, rest = divmod(time, NANOSECONDS)
    return f"{seconds}.{rest // 1000:06d}" if rest % 1000 == 0 else f"{seconds}.{rest:09d}"
