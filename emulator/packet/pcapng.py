"""The pcapng file format (draft-ietf-opsawg-pcapng): sections, interfaces, and packets in three kinds of blocks."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from msgspec import Struct

from emulator.packet.address import Buffer
from emulator.packet.capture import (
    MAXIMUM_PACKET,
    NANOSECONDS,
    CapturedPacket,
    CaptureError,
    CutError,
    Direction,
)

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
ENHANCED_PACKET = 6

_BYTE_ORDER = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_MAXIMUM_BLOCK = 16 << 20
_LEAST_BODY = {
    SECTION_HEADER: 16, INTERFACE_DESCRIPTION: 8, OBSOLETE_PACKET: 20, SIMPLE_PACKET: 4, ENHANCED_PACKET: 20,
}  # fmt: skip

_END, _NAME, _FLAGS, _RESOLUTION, _OFFSET = 0, 2, 2, 9, 14
_DIRECTIONS = {1: Direction.INBOUND, 2: Direction.OUTBOUND}


class _Interface(Struct, frozen=True):
    """`units` of the interface's times make a second; `offset` is in seconds."""

    linktype: int
    snaplen: int
    name: str = ""
    units: int = 1_000_000
    offset: int = 0

    def time(self, high: int, low: int) -> int:
        """Return a time in nanoseconds."""
        return (high << 32 | low) * NANOSECONDS // self.units + self.offset * NANOSECONDS


def read_pcapng(buffer: Buffer) -> Iterator[CapturedPacket]:
    """Yield the packets. A simple packet has no time of its own: it gets that of the packet before it."""
    return _Reader(memoryview(buffer)).packets()


class _Reader:
    """Reads block after block; interfaces and byte order are those of the section in hand."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._order = ">"
        self._interfaces: list[_Interface] = []
        self._time = 0

    def packets(self) -> Iterator[CapturedPacket]:
        view = self._view
        position, size = 0, len(view)
        while position < size:
            if size - position < 12:
                raise CutError(size, "the file ends inside the header of a block")
            if bytes(view[position : position + 4]) == PCAPNG_MAGIC:
                self._order = self._section_order(position)
                self._interfaces = []
            kind, length = struct.unpack_from(f"{self._order}II", view, position)
            self._check(position, kind, length)
            packet = self._block(kind, position + 8, position + length - 4)
            if packet is not None:
                self._time = packet.time
                yield packet
            position += length

    def _section_order(self, position: int) -> str:
        magic = bytes(self._view[position + 8 : position + 12])
        order = _BYTE_ORDER.get(magic)
        if order is None:
            raise CaptureError(position + 8, f"no byte-order magic: {magic.hex(' ')}")
        return order

    def _check(self, position: int, kind: int, length: int) -> None:
        """Refuse a block whose length cannot be."""
        least = 12 + _LEAST_BODY.get(kind, 0)
        if length < least or length % 4 or length > _MAXIMUM_BLOCK:
            raise CaptureError(position + 4, f"a block of type {kind:#x} cannot be {length} bytes long")
        end = position + length
        if end > len(self._view):
            raise CutError(len(self._view), f"the file ends inside a block of {length} bytes")
        (again,) = struct.unpack_from(f"{self._order}I", self._view, end - 4)
        if again != length:
            raise CaptureError(end - 4, f"a block of {length} bytes ends with the length {again}")

    def _block(self, kind: int, start: int, end: int) -> CapturedPacket | None:
        if kind == ENHANCED_PACKET:
            return self._enhanced(start, end)
        if kind == SIMPLE_PACKET:
            return self._simple(start, end)
        if kind == OBSOLETE_PACKET:
            return self._obsolete(start, end)
        if kind == INTERFACE_DESCRIPTION:
            self._interfaces.append(self._describe(start, end))
        elif kind == SECTION_HEADER:
            major, minor = struct.unpack_from(f"{self._order}HH", self._view, start + 4)
            if major != 1:
                raise CaptureError(start + 4, f"pcapng version {major}.{minor} is not known")
        return None

    def _describe(self, start: int, end: int) -> _Interface:
        linktype, snaplen = struct.unpack_from(f"{self._order}HxxI", self._view, start)
        name, units, offset = "", 1_000_000, 0
        for code, value in self._options(start + 8, end):
            if code == _NAME:
                name = bytes(value).decode("utf-8", "replace").rstrip("\0")
            elif code == _RESOLUTION and len(value) == 1:
                units = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _OFFSET and len(value) == 8:
                (offset,) = struct.unpack(f"{self._order}q", value)
        return _Interface(linktype, snaplen, name, units, offset)

    def _options(self, start: int, end: int) -> Iterator[tuple[int, memoryview]]:
        while end - start >= 4:
            code, length = struct.unpack_from(f"{self._order}HH", self._view, start)
            start += 4
            if code == _END:
                return
            if length > end - start:
                raise CaptureError(start - 4, f"option {code} of {length} bytes does not fit into its block")
            yield code, self._view[start : start + length]
            start += length + -length % 4

    def _interface(self, number: int, position: int) -> _Interface:
        if number >= len(self._interfaces):
            known = len(self._interfaces)
            raise CaptureError(position, f"a packet of interface {number}, but {known} are described before it")
        return self._interfaces[number]

    def _data(self, start: int, end: int, captured: int) -> memoryview:
        if captured > end - start or captured > MAXIMUM_PACKET:
            raise CaptureError(start, f"{captured} captured bytes do not fit into their block")
        return self._view[start : start + captured]

    def _enhanced(self, start: int, end: int) -> CapturedPacket:
        number, high, low, captured, length = struct.unpack_from(f"{self._order}IIIII", self._view, start)
        interface = self._interface(number, start)
        data = self._data(start + 20, end, captured)
        direction = Direction.UNKNOWN
        for code, value in self._options(start + 20 + captured + -captured % 4, end):
            if code == _FLAGS and len(value) == 4:
                (flags,) = struct.unpack(f"{self._order}I", value)
                direction = _DIRECTIONS.get(flags & 3, Direction.UNKNOWN)
        time = interface.time(high, low)
        return CapturedPacket(time, interface.linktype, data, max(length, captured), interface.name, direction)

    def _simple(self, start: int, end: int) -> CapturedPacket:
        (length,) = struct.unpack_from(f"{self._order}I", self._view, start)
        interface = self._interface(0, start)
        captured = min(length, interface.snaplen) if interface.snaplen else length
        data = self._data(start + 4, end, captured)
        return CapturedPacket(self._time, interface.linktype, data, length, interface.name)

    def _obsolete(self, start: int, end: int) -> CapturedPacket:
        number, _, high, low, captured, length = struct.unpack_from(f"{self._order}HHIIII", self._view, start)
        interface = self._interface(number, start)
        data = self._data(start + 20, end, captured)
        time = interface.time(high, low)
        return CapturedPacket(time, interface.linktype, data, max(length, captured), interface.name)


# Writing: little endian, nanoseconds


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def section_header() -> bytes:
    """Return the beginning of a file."""
    return _block(SECTION_HEADER, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface_description(linktype: int, name: str) -> bytes:
    """Return the block that the packets of an interface refer to, by its place among such blocks."""
    options = _option(_NAME, name.encode()) + _option(_RESOLUTION, b"\x09") + _option(_END, b"")
    return _block(INTERFACE_DESCRIPTION, struct.pack("<HHI", linktype, 0, MAXIMUM_PACKET) + options)


def enhanced_packet(
    time: int,
    data: Buffer,
    *,
    interface: int = 0,
    length: int | None = None,
    direction: Direction = Direction.UNKNOWN,
) -> bytes:
    """Return one packet; `time` in nanoseconds, `length` where more bytes were on the wire than `data` has."""
    captured = bytes(data)
    whole = len(captured) if length is None else length
    body = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(captured), whole)
    body += captured + bytes(-len(captured) % 4)
    if direction is not Direction.UNKNOWN:
        body += _option(_FLAGS, struct.pack("<I", direction.value)) + _option(_END, b"")
    return _block(ENHANCED_PACKET, body)
