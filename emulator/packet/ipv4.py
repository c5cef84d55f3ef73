"""The IPv4 header (RFC 791), with options kept raw; second in every routed packet, right behind Ethernet.

`check` is what the receive path asks, in the order of Linux's ip_rcv_core (net/ipv4/ip_input.c).
"""

import enum
import struct
from typing import Self

from msgspec import Struct

from emulator.errors import WireError
from emulator.packet.address import Buffer, format_ipv4
from emulator.packet.checksum import checksum, is_valid

HEADER_LENGTH = 20
MAXIMUM_HEADER_LENGTH = 60
MAXIMUM_LENGTH = 65535

VERSION_IHL = 0  # offsets
TOS = 1
TOTAL_LENGTH = 2
IDENTIFICATION = 4
FRAGMENT = 6
TTL = 8
PROTOCOL = 9
CHECKSUM = 10
SOURCE = 12
DESTINATION = 16
OPTIONS = 20

DONT_FRAGMENT = 0x4000  # in the field at FRAGMENT
MORE_FRAGMENTS = 0x2000
OFFSET_MASK = 0x1FFF  # in units of 8 bytes

PROTOCOL_ICMP = 1
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17
PROTOCOL_NAMES = {1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 17: "UDP", 41: "IPv6", 47: "GRE", 50: "ESP", 132: "SCTP"}

# version and ihl, tos, total length, identification, fragment, ttl, protocol, checksum, source, destination
IPV4 = struct.Struct("!BBHHHBBHII")


class Ipv4Fault(enum.Enum):
    """What is wrong with a header; the value is what a user reads."""

    SHORT = "the packet ends inside the header"
    VERSION = "the version is not 4"
    HEADER_LENGTH = "the header length is less than 20 bytes"
    CHECKSUM = "the header checksum is wrong"
    TRUNCATED = "the total length is more than what came"
    TOTAL_LENGTH = "the total length is less than the header's"


class Ipv4Error(WireError):
    """A header that must not be used; `fault` says which check it failed."""

    def __init__(self, fault: Ipv4Fault) -> None:
        self.fault = fault
        super().__init__(f"IPv4: {fault.value}")


def check(buffer: Buffer, offset: int = 0) -> Ipv4Fault | None:
    """Name the first fault of the header at `offset`, or None. Bytes behind the total length are padding, no fault."""
    available = len(buffer) - offset
    if available < HEADER_LENGTH:
        return Ipv4Fault.SHORT
    first = buffer[offset]
    if first >> 4 != 4:
        return Ipv4Fault.VERSION
    header_length = (first & 15) << 2
    if header_length < HEADER_LENGTH:
        return Ipv4Fault.HEADER_LENGTH
    if available < header_length:
        return Ipv4Fault.SHORT
    if not is_valid(buffer[offset : offset + header_length]):
        return Ipv4Fault.CHECKSUM
    total_length = buffer[offset + 2] << 8 | buffer[offset + 3]
    if total_length > available:
        return Ipv4Fault.TRUNCATED
    if total_length < header_length:
        return Ipv4Fault.TOTAL_LENGTH
    return None


class Ipv4Header(Struct, frozen=True):
    """A header. `fragment_offset` is in bytes, a multiple of 8; `options` are raw, padded to whole 32-bit words.

    `total_length` (bytes) and `checksum` are what `parse` found and `build` computes anew.
    """

    source: int
    destination: int
    protocol: int
    ttl: int = 64
    tos: int = 0
    identification: int = 0
    dont_fragment: bool = False
    more_fragments: bool = False
    fragment_offset: int = 0
    options: bytes = b""
    reserved_flag: bool = False
    total_length: int = 0
    checksum: int = 0

    @property
    def header_length(self) -> int:
        """Bytes of the header, options included."""
        return HEADER_LENGTH + len(self.options)

    @property
    def payload_length(self) -> int:
        """Bytes behind the header, as the total length says."""
        return self.total_length - HEADER_LENGTH - len(self.options)

    @property
    def is_fragment(self) -> bool:
        """Whether this is one of several fragments."""
        return self.more_fragments or self.fragment_offset > 0

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0) -> Self:
        """Read a header that passes `check`; Ipv4Error with its fault otherwise."""
        fault = check(buffer, offset)
        if fault is not None:
            raise Ipv4Error(fault)
        return cls.parse_quoted(buffer, offset)

    @classmethod
    def parse_quoted(cls, buffer: Buffer, offset: int = 0) -> Self:
        """Read a header that an ICMP error quotes: its payload is cut short and its checksum may be stale.

        Ipv4Error if the header itself is cut, or is not IPv4.
        """
        if len(buffer) - offset < HEADER_LENGTH:
            raise Ipv4Error(Ipv4Fault.SHORT)
        first, tos, total, identification, fragment, ttl, protocol, found, source, destination = IPV4.unpack_from(
            buffer, offset
        )
        if first >> 4 != 4:
            raise Ipv4Error(Ipv4Fault.VERSION)
        header_length = (first & 15) << 2
        if header_length < HEADER_LENGTH:
            raise Ipv4Error(Ipv4Fault.HEADER_LENGTH)
        if len(buffer) - offset < header_length:
            raise Ipv4Error(Ipv4Fault.SHORT)
        return cls(
            source,
            destination,
            protocol,
            ttl,
            tos,
            identification,
            bool(fragment & DONT_FRAGMENT),
            bool(fragment & MORE_FRAGMENTS),
            (fragment & OFFSET_MASK) << 3,
            bytes(buffer[offset + HEADER_LENGTH : offset + header_length]),
            bool(fragment & 0x8000),
            total,
            found,
        )

    def build(self, payload: Buffer = b"") -> bytes:
        """Write the header with total length and checksum, and the payload behind it. WireError if it is too long."""
        fragment = (
            self.reserved_flag << 15 | self.dont_fragment << 14 | self.more_fragments << 13 | self.fragment_offset >> 3
        )
        header = build_header(
            self.source,
            self.destination,
            self.protocol,
            len(payload),
            self.ttl,
            self.tos,
            self.identification,
            fragment,
            self.options,
        )
        return b"".join((header, payload))

    def __str__(self) -> str:
        """Print as tcpdump -v prints the header's own part."""
        flags = "+" * self.more_fragments + "DF" * self.dont_fragment or "none"
        name = PROTOCOL_NAMES.get(self.protocol, "unknown")
        return (
            f"{format_ipv4(self.source)} > {format_ipv4(self.destination)}: (tos {self.tos:#x}, ttl {self.ttl}, "
            f"id {self.identification}, offset {self.fragment_offset}, flags [{flags}], "
            f"proto {name} ({self.protocol}), length {self.total_length})"
        )


def build_header(
    source: int,
    destination: int,
    protocol: int,
    payload_length: int,
    ttl: int = 64,
    tos: int = 0,
    identification: int = 0,
    fragment: int = 0,
    options: bytes = b"",
) -> bytes:
    """Write a header without making a header value: for the hot path. `fragment` is the raw flags-and-offset field.

    Options are padded with zeros to whole words. WireError if options or payload are too long for IPv4.
    """
    padded = options + bytes(-len(options) % 4)
    header_length = HEADER_LENGTH + len(padded)
    total = header_length + payload_length
    if header_length > MAXIMUM_HEADER_LENGTH:
        raise WireError(f"IPv4: {len(options)} bytes of options are more than 40")
    if total > MAXIMUM_LENGTH:
        raise WireError(f"IPv4: {payload_length} bytes of payload make a packet longer than {MAXIMUM_LENGTH}")
    first = 0x40 | header_length >> 2
    packed = IPV4.pack(first, tos, total, identification, fragment, ttl, protocol, 0, source, destination) + padded
    found = checksum(packed)
    return b"%b%b%b" % (packed[:CHECKSUM], found.to_bytes(2, "big"), packed[SOURCE:])


def fill_checksum(buffer: bytearray, offset: int = 0) -> None:
    """Compute the header checksum at `offset` anew, in place: after changes that are not incremental."""
    end = offset + ((buffer[offset] & 15) << 2)
    buffer[offset + 10 : offset + 12] = b"\0\0"
    buffer[offset + 10 : offset + 12] = checksum(buffer[offset:end]).to_bytes(2, "big")
