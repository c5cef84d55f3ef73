"""The SCTP common header and its chunks (RFC 9260), and the CRC32c that protects them (its appendix A).

The checksum lies in the packet with its least significant byte first; `SctpHeader.checksum` is its value.
"""

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Self

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer

HEADER_LENGTH = 12
CHUNK_HEADER_LENGTH = 4

SOURCE_PORT = 0  # offsets
DESTINATION_PORT = 2
VERIFICATION_TAG = 4
CHECKSUM = 8

TAG_REFLECTED = 0x01  # the T bit of ABORT and SHUTDOWN_COMPLETE: the tag is the peer's own

SCTP = struct.Struct("!HHI")  # source port, destination port, verification tag; the checksum follows
CHUNK = struct.Struct("!BBH")  # type, flags, length with this header and without padding

_CRC = struct.Struct("<I")
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected


class ChunkType(IntEnum):
    """The types of chunks that open, keep and close an association; a packet may have others."""

    DATA = 0
    INIT = 1
    INIT_ACK = 2
    SACK = 3
    HEARTBEAT = 4
    HEARTBEAT_ACK = 5
    ABORT = 6
    SHUTDOWN = 7
    SHUTDOWN_ACK = 8
    ERROR = 9
    COOKIE_ECHO = 10
    COOKIE_ACK = 11
    SHUTDOWN_COMPLETE = 14


class Chunk(Struct, frozen=True):
    """One chunk. `value` is without header and padding."""

    type: int
    flags: int = 0
    value: bytes = b""

    def build(self) -> bytes:
        """Write the chunk, padded to four bytes. WireError if it is longer than a length can say."""
        length = CHUNK_HEADER_LENGTH + len(self.value)
        if length > 0xFFFF:
            raise WireError(f"SCTP: a chunk of {length} bytes is longer than 65535")
        return CHUNK.pack(self.type, self.flags, length) + self.value + bytes(-length % 4)

    def __str__(self) -> str:
        name = next((known.name for known in ChunkType if known == self.type), f"type {self.type}")
        return f"[{name}]"


class SctpHeader(Struct, frozen=True):
    """The common header. `checksum` is what `parse` found."""

    source_port: int
    destination_port: int
    verification_tag: int
    checksum: int = 0

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0) -> Self:
        """Read the header at `offset`. WireError if it is cut short."""
        if len(buffer) - offset < HEADER_LENGTH:
            raise WireError(f"SCTP: {len(buffer) - offset} bytes are fewer than the header's {HEADER_LENGTH}")
        return cls(*SCTP.unpack_from(buffer, offset), *_CRC.unpack_from(buffer, offset + CHECKSUM))

    def build(self, chunks: Iterable[Chunk]) -> bytes:
        """Write header and chunks with their checksum."""
        packet = bytearray(SCTP.pack(self.source_port, self.destination_port, self.verification_tag) + bytes(4))
        for chunk in chunks:
            packet += chunk.build()
        fill_checksum(packet)
        return bytes(packet)

    def __str__(self) -> str:
        return f"SCTP {self.source_port} > {self.destination_port}, tag {self.verification_tag:#x}"


def parse_chunks(buffer: Buffer, offset: int = 0) -> Iterator[Chunk]:
    """Yield the chunks of the packet at `offset`, which ends with the buffer. WireError at one that is cut short."""
    at = offset + HEADER_LENGTH
    end = len(buffer)
    while at < end:
        if end - at < CHUNK_HEADER_LENGTH:
            raise WireError(f"SCTP: {end - at} bytes are fewer than a chunk's header")
        kind, flags, length = CHUNK.unpack_from(buffer, at)
        if length < CHUNK_HEADER_LENGTH or length > end - at:
            raise WireError(f"SCTP: a chunk's length {length} with {end - at} bytes there")
        yield Chunk(kind, flags, bytes(buffer[at + CHUNK_HEADER_LENGTH : at + length]))
        at += (length + 3) & ~3


def _table() -> tuple[int, ...]:
    entries = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (_POLYNOMIAL if number & 1 else 0)
        entries.append(number)
    return tuple(entries)


_TABLE = _table()


def crc32c(data: Buffer) -> int:
    """Return the CRC32c of bytes."""
    table = _TABLE
    crc = 0xFFFFFFFF
    for byte in bytes(data):
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def checksum_of(buffer: Buffer, offset: int = 0) -> int:
    """Return what the checksum of the packet at `offset`, which ends with the buffer, must be."""
    packet = bytearray(buffer[offset:])
    packet[CHECKSUM:HEADER_LENGTH] = bytes(4)
    return crc32c(packet)


def has_valid_checksum(buffer: Buffer, offset: int = 0) -> bool:
    """Whether the packet at `offset`, whose header is whole, has the right checksum."""
    found: int = _CRC.unpack_from(buffer, offset + CHECKSUM)[0]
    return found == checksum_of(buffer, offset)


def fill_checksum(buffer: bytearray, offset: int = 0) -> None:
    """Compute the checksum of the packet at `offset`, which ends with the buffer, anew, in place."""
    _CRC.pack_into(buffer, offset + CHECKSUM, checksum_of(buffer, offset))
