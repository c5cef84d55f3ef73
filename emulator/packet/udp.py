"""The UDP header (RFC 768)."""

import struct
from typing import Self

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer
from emulator.packet.checksum import pseudo_header_sum, transport_checksum, word_sum

HEADER_LENGTH = 8
MAXIMUM_PAYLOAD = 65507  # in an IPv4 packet without options

SOURCE_PORT = 0  # offsets
DESTINATION_PORT = 2
LENGTH = 4
CHECKSUM = 6

UDP = struct.Struct("!HHHH")  # source port, destination port, length, checksum

_PROTOCOL = 17


class UdpHeader(Struct, frozen=True):
    """A header. `length` (header and payload, bytes) and `checksum` are what `parse` found."""

    source_port: int
    destination_port: int
    length: int = 0
    checksum: int = 0

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0, end: int | None = None) -> Self:
        """Read the header at `offset` of a datagram that ends at `end`. WireError if cut or of impossible length."""
        available = (len(buffer) if end is None else end) - offset
        header = cls.parse_quoted(buffer, offset)
        if header.length < HEADER_LENGTH or header.length > available:
            raise WireError(f"UDP: length {header.length} with {available} bytes there")
        return header

    @classmethod
    def parse_quoted(cls, buffer: Buffer, offset: int = 0) -> Self:
        """Read a header whose payload may be cut short: in an ICMP error or a first fragment."""
        if len(buffer) - offset < HEADER_LENGTH:
            raise WireError(f"UDP: {len(buffer) - offset} bytes are fewer than the header's {HEADER_LENGTH}")
        return cls(*UDP.unpack_from(buffer, offset))

    def build(self, payload: Buffer, source: int, destination: int) -> bytes:
        """Write header and payload with length and checksum, for a packet between two IPv4 addresses.

        WireError if the payload is longer than 65507 bytes.
        """
        length = HEADER_LENGTH + len(payload)
        if len(payload) > MAXIMUM_PAYLOAD:
            raise WireError(f"UDP: {len(payload)} bytes of payload are more than {MAXIMUM_PAYLOAD}")
        segment = bytearray(UDP.pack(self.source_port, self.destination_port, length, 0))
        segment += payload
        found = transport_checksum(segment, source, destination, _PROTOCOL) or 0xFFFF
        segment[CHECKSUM:HEADER_LENGTH] = found.to_bytes(2, "big")
        return bytes(segment)

    def __str__(self) -> str:
        """Print as tcpdump does behind the addresses."""
        return f"UDP, length {self.length - HEADER_LENGTH}"


def has_valid_checksum(buffer: Buffer, offset: int, source: int, destination: int) -> bool:
    """Whether the datagram at `offset`, whose length has been checked, sums up right or carries no checksum (zero)."""
    _, _, length, found = UDP.unpack_from(buffer, offset)
    if found == 0:
        return True
    segment = buffer[offset : offset + length]
    return word_sum(segment, pseudo_header_sum(source, destination, _PROTOCOL, length)) % 0xFFFF == 0


def fill_checksum(buffer: bytearray, offset: int, end: int, source: int, destination: int) -> None:
    """Compute the checksum of the datagram in `buffer[offset:end]` anew, in place."""
    buffer[offset + 6 : offset + 8] = b"\0\0"
    found = transport_checksum(buffer[offset:end], source, destination, _PROTOCOL) or 0xFFFF
    buffer[offset + 6 : offset + 8] = found.to_bytes(2, "big")
