"""The TCP header (RFC 9293 section 3.1); its options are in tcp_options.py."""

import struct
from typing import Self

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer
from emulator.packet.checksum import pseudo_header_sum, transport_checksum, word_sum
from emulator.packet.tcp_options import TcpOptions, format_options

HEADER_LENGTH = 20
MAXIMUM_HEADER_LENGTH = 60

SOURCE_PORT = 0  # offsets
DESTINATION_PORT = 2
SEQUENCE = 4
ACKNOWLEDGEMENT = 8
OFFSET_AND_FLAGS = 12
FLAGS = 13  # the byte with the eight classic flags
WINDOW = 14
CHECKSUM = 16
URGENT = 18
OPTIONS = 20

FIN = 0x01
SYN = 0x02
RST = 0x04
PSH = 0x08
ACK = 0x10
URG = 0x20
ECE = 0x40
CWR = 0x80
AE = 0x100

# source port, destination port, sequence, acknowledgement, data offset and flags, window, checksum, urgent pointer
TCP = struct.Struct("!HHIIHHHH")

_PROTOCOL = 6
_FLAG_LETTERS = (
    (FIN, "F"),
    (SYN, "S"),
    (RST, "R"),
    (PSH, "P"),
    (ACK, "."),
    (URG, "U"),
    (ECE, "E"),
    (CWR, "W"),
    (AE, "e"),
)


class TcpHeader(Struct, frozen=True):
    """A header. `flags` are the 12 bits behind the data offset; `options` are raw, padded to whole 32-bit words.

    `window` is unscaled, as on the wire. `checksum` is what `parse` found and `build` computes anew.
    """

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int = 0
    flags: int = ACK
    window: int = 0
    urgent: int = 0
    options: bytes = b""
    checksum: int = 0

    @property
    def header_length(self) -> int:
        """Bytes of the header, options included."""
        return HEADER_LENGTH + len(self.options)

    def parse_options(self) -> TcpOptions:
        """Read the options. WireError if one has a bad length."""
        return TcpOptions.parse(self.options)

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0, end: int | None = None) -> Self:
        """Read the header at `offset` of a segment that ends at `end`. WireError if the header does not fit in it."""
        available = (len(buffer) if end is None else min(end, len(buffer))) - offset
        if available < HEADER_LENGTH:
            raise WireError(f"TCP: {available} bytes are fewer than the header's {HEADER_LENGTH}")
        sport, dport, sequence, acknowledgement, word, window, found, urgent = TCP.unpack_from(buffer, offset)
        header_length = word >> 12 << 2
        if header_length < HEADER_LENGTH or header_length > available:
            raise WireError(f"TCP: a header of {header_length} bytes with {available} bytes there")
        options = bytes(buffer[offset + HEADER_LENGTH : offset + header_length])
        return cls(sport, dport, sequence, acknowledgement, word & 0xFFF, window, urgent, options, found)

    def build(self, payload: Buffer, source: int, destination: int) -> bytes:
        """Write header and payload with the checksum, for a packet between two IPv4 addresses.

        Options are padded with zeros to whole words. WireError if they are longer than 40 bytes.
        """
        padding = -len(self.options) % 4
        header_length = HEADER_LENGTH + len(self.options) + padding
        if header_length > MAXIMUM_HEADER_LENGTH:
            raise WireError(f"TCP: {len(self.options)} bytes of options are more than 40")
        word = header_length << 10 | self.flags
        ports = self.source_port, self.destination_port
        fixed = TCP.pack(*ports, self.sequence, self.acknowledgement, word, self.window, 0, self.urgent)
        segment = bytearray().join((fixed, self.options, bytes(padding), payload))
        found = transport_checksum(segment, source, destination, _PROTOCOL)
        segment[CHECKSUM : CHECKSUM + 2] = found.to_bytes(2, "big")
        return bytes(segment)

    def describe(self, payload_length: int) -> str:
        """Print as tcpdump -S does behind the addresses."""
        parts = [f"Flags [{format_flags(self.flags)}]"]
        if payload_length:
            parts.append(f"seq {self.sequence}:{(self.sequence + payload_length) & 0xFFFFFFFF}")
        elif self.flags & (SYN | FIN | RST):
            parts.append(f"seq {self.sequence}")
        if self.flags & ACK:
            parts.append(f"ack {self.acknowledgement}")
        parts.append(f"win {self.window}")
        if self.flags & URG:
            parts.append(f"urg {self.urgent}")
        if self.options:
            parts.append(f"options [{format_options(self.options)}]")
        parts.append(f"length {payload_length}")
        return ", ".join(parts)

    def __str__(self) -> str:
        """Print as tcpdump -S does, for a segment without payload."""
        return self.describe(0)


def format_flags(flags: int) -> str:
    """Write flags as tcpdump does: "S", "S.", "P.", "none"."""
    return "".join(letter for bit, letter in _FLAG_LETTERS if flags & bit) or "none"


def has_valid_checksum(buffer: Buffer, offset: int, end: int, source: int, destination: int) -> bool:
    """Whether the segment in `buffer[offset:end]` sums up right."""
    initial = pseudo_header_sum(source, destination, _PROTOCOL, end - offset)
    return word_sum(buffer[offset:end], initial) % 0xFFFF == 0


def fill_checksum(buffer: bytearray, offset: int, end: int, source: int, destination: int) -> None:
    """Compute the checksum of the segment in `buffer[offset:end]` anew, in place."""
    buffer[offset + 16 : offset + 18] = b"\0\0"
    found = transport_checksum(buffer[offset:end], source, destination, _PROTOCOL)
    buffer[offset + 16 : offset + 18] = found.to_bytes(2, "big")
