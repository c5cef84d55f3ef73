"""One segment that came in, read once; behind the IP header, before the connection."""

from __future__ import annotations

import struct

from emulator.packet.checksum import is_valid
from emulator.packet.tcp import FIN, SYN, TCP
from emulator.packet.tcp_options import TcpOptions

HEADER_LENGTH = 20
PROTOCOL = 6

# Nearly every segment has two no-operations and the timestamps option, and no more: read with the header at once.
WITH_TIMESTAMPS = struct.Struct("!HHIIHHHHIII")
TIMESTAMPS_PREFIX = 0x0101080A

_WORDS_WITH_TIMESTAMPS = 8
_NO_OPTIONS = TcpOptions()


class Segment:
    """Header fields as on the wire (`window` unscaled), and the payload."""

    __slots__ = ("acknowledgement", "flags", "options", "payload", "sequence", "timestamps", "window")

    def __init__(self, sequence: int, acknowledgement: int, flags: int, window: int, payload: bytes) -> None:
        self.sequence = sequence
        self.acknowledgement = acknowledgement
        self.flags = flags
        self.window = window
        self.payload = payload
        self.options = _NO_OPTIONS
        self.timestamps: tuple[int, int] | None = None

    @property
    def length(self) -> int:
        """What it takes of the sequence space: its payload, SYN and FIN."""
        return len(self.payload) + (self.flags & FIN) + (self.flags >> 1 & 1)

    @property
    def is_syn(self) -> bool:
        """Whether SYN is set."""
        return bool(self.flags & SYN)


def parse(data: bytearray, start: int, end: int) -> Segment | None:
    """Read the segment in `data[start:end]`; None if it is malformed. Options are read as leniently as on Linux."""
    if end - start < HEADER_LENGTH:
        return None
    if data[start + 12] >> 4 == _WORDS_WITH_TIMESTAMPS and end - start >= WITH_TIMESTAMPS.size:
        fields = WITH_TIMESTAMPS.unpack_from(data, start)
        _, _, sequence, acknowledgement, word, window, _, _, prefix, value, echo = fields
        if prefix == TIMESTAMPS_PREFIX:
            segment = Segment(sequence, acknowledgement, word & 0xFF, window, bytes(data[start + 32 : end]))
            segment.timestamps = value, echo
            return segment
    _, _, sequence, acknowledgement, word, window, _, _ = TCP.unpack_from(data, start)
    body = start + (word >> 12 << 2)
    if body < start + HEADER_LENGTH or body > end:
        return None
    segment = Segment(sequence, acknowledgement, word & 0xFF, window, bytes(data[body:end]))
    if body > start + HEADER_LENGTH:
        segment.options = TcpOptions.parse(data[start + HEADER_LENGTH : body], lenient=True)
        segment.timestamps = segment.options.timestamps
    return segment


def has_valid_checksum(data: bytearray, start: int, covered: int, saddr: int, daddr: int) -> bool:
    """Whether the segment from `start` to the end of `data` sums up right, as far as the checksum covers it."""
    return is_valid(data[start:covered], saddr + daddr + PROTOCOL + len(data) - start)
