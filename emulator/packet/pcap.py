"""The pcap file format (draft-ietf-opsawg-pcap): micro- and nanoseconds, either byte order."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from types import MappingProxyType

from emulator.packet.address import Buffer
from emulator.packet.capture import MAXIMUM_PACKET, NANOSECONDS, CapturedPacket, CaptureError, CutError

MAGICS = MappingProxyType(
    {
        b"\xa1\xb2\xc3\xd4": (">", 1_000),
        b"\xd4\xc3\xb2\xa1": ("<", 1_000),
        b"\xa1\xb2\x3c\x4d": (">", 1),
        b"\x4d\x3c\xb2\xa1": ("<", 1),
    }
)
"""A file's first four bytes: its byte order, and the nanoseconds of one unit of its times."""

FILE_HEADER = 24
RECORD_HEADER = 16
SNAPLEN = 262_144

_MAJOR, _MINOR = 2, 4
_LINKTYPE_MASK = 0xFFFF
_FCS_PRESENT = 1 << 26
_FCS_SHIFT = 28  # the length of frame check sequences, in 16-bit words


def read_pcap(buffer: Buffer) -> Iterator[CapturedPacket]:
    """Yield the packets. CaptureError where the file ends early or is not what it says."""
    order, unit = MAGICS[bytes(buffer[:4])]
    size = len(buffer)
    if size < FILE_HEADER:
        raise CaptureError(size, f"the file ends inside its header of {FILE_HEADER} bytes")
    major, minor, _, _, _, field = struct.unpack_from(f"{order}HHiIII", buffer, 4)
    if major != _MAJOR:
        raise CaptureError(4, f"pcap version {major}.{minor} is not known; convert it with `editcap`")
    return _records(memoryview(buffer), struct.Struct(f"{order}IIII"), unit, field)


def _records(view: memoryview, header: struct.Struct, unit: int, field: int) -> Iterator[CapturedPacket]:
    size = len(view)
    linktype = field & _LINKTYPE_MASK
    check_sequence = (field >> _FCS_SHIFT) * 2 if field & _FCS_PRESENT else 0
    position = FILE_HEADER
    number = 0
    while position < size:
        number += 1
        if size - position < RECORD_HEADER:
            raise CutError(size, f"the file ends inside the header of packet {number}")
        seconds, fraction, captured, length = header.unpack_from(view, position)
        if captured > MAXIMUM_PACKET:
            raise CaptureError(position, f"packet {number} claims {captured} captured bytes; the file is damaged here")
        start = position + RECORD_HEADER
        end = start + captured
        if end > size:
            raise CutError(size, f"the file ends inside packet {number}, which has {captured} bytes")
        kept, whole = captured, max(length, captured)
        if check_sequence:
            whole = max(whole - check_sequence, 0)
            kept = min(captured, whole)
        yield CapturedPacket(seconds * NANOSECONDS + fraction * unit, linktype, view[start : start + kept], whole)
        position = end


def pcap_header(linktype: int, *, nanoseconds: bool = True) -> bytes:
    """Return the beginning of a file, big endian."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    return struct.pack(">IHHiIII", magic, _MAJOR, _MINOR, 0, 0, SNAPLEN, linktype)


def pcap_record(time: int, data: Buffer, length: int | None = None, *, nanoseconds: bool = True) -> bytes:
    """Return one packet; `time` in nanoseconds, `length` where more bytes were on the wire than `data` has."""
    seconds, rest = divmod(time, NANOSECONDS)
    fraction = rest if nanoseconds else rest // 1000
    return struct.pack(">IIII", seconds, fraction, len(data), len(data) if length is None else length) + bytes(data)
