"""What SCTP's chunks carry: INIT and INIT ACK with their parameters, DATA, SACK (RFC 9260 section 3.3)."""

import struct
from enum import IntEnum
from typing import Self

from msgspec import Struct

from emulator.errors import WireError

DATA_HEADER = 12  # bytes of a DATA chunk's value before the user's

LAST, FIRST, UNORDERED = 0x01, 0x02, 0x04  # flags of DATA: E, B and U

_INIT = struct.Struct("!IIHHI")
_DATA = struct.Struct("!IHHI")
_SACK = struct.Struct("!IIHH")
_PAIR = struct.Struct("!HH")
_NUMBER = struct.Struct("!I")


class Parameter(IntEnum):
    """Types of parameters of INIT and INIT ACK."""

    STATE_COOKIE = 7
    UNRECOGNIZED = 8
    SUPPORTED_ADDRESS_TYPES = 12


class Cause(IntEnum):
    """Causes that ERROR and ABORT name (section 3.3.10)."""

    INVALID_STREAM = 1
    STALE_COOKIE = 3
    UNRECOGNIZED_CHUNK = 6
    NO_USER_DATA = 9
    USER_INITIATED_ABORT = 12
    PROTOCOL_VIOLATION = 13


def build_parameters(parameters: tuple[tuple[int, bytes], ...]) -> bytes:
    """Write type, length and value of each, padded to four bytes. Causes are written alike."""
    return b"".join(_PAIR.pack(kind, 4 + len(value)) + value + bytes(-len(value) % 4) for kind, value in parameters)


def parse_parameters(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """Read parameters or causes. WireError at one that is cut short."""
    found = []
    at = 0
    while at < len(data):
        if len(data) - at < _PAIR.size:
            raise WireError(f"SCTP: {len(data) - at} bytes are fewer than a parameter's header")
        kind, length = _PAIR.unpack_from(data, at)
        if length < _PAIR.size or length > len(data) - at:
            raise WireError(f"SCTP: a parameter's length {length} with {len(data) - at} bytes there")
        found.append((kind, data[at + _PAIR.size : at + length]))
        at += (length + 3) & ~3
    return tuple(found)


class Init(Struct, frozen=True):
    """INIT and INIT ACK: the sender's verification tag, receive window in bytes, streams each way, first number."""

    tag: int
    window: int
    outbound: int
    inbound: int
    first: int
    parameters: tuple[tuple[int, bytes], ...] = ()

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Read a chunk's value. WireError if it is malformed."""
        if len(value) < _INIT.size:
            raise WireError(f"SCTP: {len(value)} bytes are fewer than an INIT's {_INIT.size}")
        tag, window, outbound, inbound, first = _INIT.unpack_from(value)
        return cls(tag, window, outbound, inbound, first, parse_parameters(value[_INIT.size :]))

    def build(self) -> bytes:
        """Write the chunk's value."""
        head = _INIT.pack(self.tag, self.window, self.outbound, self.inbound, self.first)
        return head + build_parameters(self.parameters)

    def parameter(self, kind: int) -> bytes | None:
        """Return the value of a parameter; None if it is not there."""
        return next((value for found, value in self.parameters if found == kind), None)


class Data(Struct, frozen=True):
    """DATA: `tsn` numbers chunks, `order` the messages of a stream; `ppid` is the user's own."""

    tsn: int
    stream: int
    order: int
    ppid: int
    payload: bytes

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Read a chunk's value. WireError if it is malformed."""
        if len(value) < DATA_HEADER:
            raise WireError(f"SCTP: {len(value)} bytes are fewer than a DATA's {DATA_HEADER}")
        tsn, stream, order, ppid = _DATA.unpack_from(value)
        return cls(tsn, stream, order, ppid, value[DATA_HEADER:])

    def build(self) -> bytes:
        """Write the chunk's value."""
        return _DATA.pack(self.tsn, self.stream, self.order, self.ppid) + self.payload


class Sack(Struct, frozen=True):
    """SACK: all up to `cumulative` came, and the gaps' stretches, counted from it; `duplicates` came twice."""

    cumulative: int
    window: int
    gaps: tuple[tuple[int, int], ...] = ()
    duplicates: tuple[int, ...] = ()

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Read a chunk's value. WireError if it is malformed."""
        if len(value) < _SACK.size:
            raise WireError(f"SCTP: {len(value)} bytes are fewer than a SACK's {_SACK.size}")
        cumulative, window, gaps, duplicates = _SACK.unpack_from(value)
        if len(value) != _SACK.size + 4 * (gaps + duplicates):
            raise WireError(f"SCTP: a SACK of {len(value)} bytes with {gaps} gaps and {duplicates} duplicates")
        between = _SACK.size + 4 * gaps
        return cls(
            cumulative,
            window,
            tuple((first, last) for first, last in _PAIR.iter_unpack(value[_SACK.size : between])),
            tuple(number for (number,) in _NUMBER.iter_unpack(value[between:])),
        )

    def build(self) -> bytes:
        """Write the chunk's value."""
        head = _SACK.pack(self.cumulative, self.window, len(self.gaps), len(self.duplicates))
        gaps = b"".join(_PAIR.pack(*gap) for gap in self.gaps)
        return head + gaps + b"".join(_NUMBER.pack(number) for number in self.duplicates)
