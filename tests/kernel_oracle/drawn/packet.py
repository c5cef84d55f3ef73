"""Bytes of packets, right or flawed on purpose, built without the code under test but for its checksum."""

from __future__ import annotations

import socket
import struct

from emulator.packet.checksum import checksum
from tests.kernel_oracle.drawn.case import Cut, Shape

ICMP, TCP, UDP, GRE, SCTP = 1, 6, 17, 47, 132
GRE_HEADER = b"\0\0\x08\0"  # version 0, with IPv4 in it
INIT, INIT_ACK, SCTP_DATA = 1, 2, 0
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MORE_FRAGMENTS = 0x2000
DONT_FRAGMENT = 0x4000
_U32 = 0xFFFFFFFF


def _crc32c_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CRC32C = tuple(_crc32c_entry(byte) for byte in range(256))

# What may be wrong with a packet: of the IP header first, of the transport header then, of the length last.
FLAWS = (
    "ip checksum", "version", "header too short", "header too long", "total length too long", "total length short",
    "checksum", "no checksum", "transport length short", "transport length long", "trailing bytes", "cut off",
    "cut header", "ports zero",
)  # fmt: skip


def _sum(data: bytes | bytearray) -> bytes:
    return checksum(data).to_bytes(2, "big")


def transport_checksum(source: str, target: str, protocol: int, segment: bytes) -> int:
    """Return the checksum over the pseudo-header and a segment whose checksum field is zero."""
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!HH", protocol, len(segment))
    return checksum(pseudo + segment)


def udp(source: str, target: str, sport: int, dport: int, payload: bytes) -> bytes:
    """Build a UDP datagram."""
    segment = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    total = transport_checksum(source, target, UDP, segment) or 0xFFFF
    return segment[:6] + total.to_bytes(2, "big") + segment[8:]


def tcp(source: str, target: str, sport: int, dport: int, seq: int, ack: int, flags: int, window: int,
        options: bytes, payload: bytes) -> bytes:  # fmt: skip
    """Build a TCP segment; options are padded."""
    options += bytes(-len(options) % 4)
    words = 5 + len(options) // 4
    head = struct.pack("!HHIIHHHH", sport, dport, seq & _U32, ack & _U32, words << 12 | flags, window & 0xFFFF, 0, 0)
    segment = head + options + payload
    total = transport_checksum(source, target, TCP, segment)
    return segment[:16] + total.to_bytes(2, "big") + segment[18:]


def sctp(sport: int, dport: int, tag: int, chunk: int, value: bytes) -> bytes:
    """Build an SCTP packet with one chunk (RFC 9260); its CRC32c lies in it little end first."""
    body = struct.pack("!BBH", chunk, 3 if chunk == 0 else 0, 4 + len(value)) + value + bytes(-len(value) % 4)
    head = struct.pack("!HHI", sport, dport, tag & _U32)
    crc = _U32
    for byte in head + bytes(4) + body:
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    return head + struct.pack("<I", crc ^ _U32) + body


def icmp(kind: int, code: int, rest: int, payload: bytes) -> bytes:
    """Build an ICMP message."""
    message = struct.pack("!BBHI", kind, code, 0, rest) + payload
    return message[:2] + _sum(message) + message[4:]


def datagrams(
    source: str, target: str, protocol: int, segment: bytes, shape: Shape, identification: int
) -> list[bytes]:
    """Build the IP packet of a segment, or the fragments it is cut into, with the flaw that is asked for."""
    segment = _flawed_segment(protocol, segment, shape.flaw)
    flags = DONT_FRAGMENT if shape.dont_fragment else 0
    if shape.cut is None:
        return [_flawed_packet(_packet(source, target, protocol, segment, shape, identification, flags), shape.flaw)]
    pieces = _pieces(segment, shape.cut)
    return [
        _packet(source, target, protocol, data, shape, identification, flags | offset | (MORE_FRAGMENTS if more else 0))
        for offset, data, more in pieces
    ]


def _packet(source: str, target: str, protocol: int, payload: bytes, shape: Shape, identification: int,
            fragment: int) -> bytes:  # fmt: skip
    options = bytes.fromhex(shape.options)
    words = 5 + len(options) // 4
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x40 | words, shape.tos, words * 4 + len(payload), identification, fragment, shape.ttl,
        protocol, 0, socket.inet_aton(source), socket.inet_aton(target),
    ) + options  # fmt: skip
    return head[:10] + _sum(head) + head[12:] + payload


def _pieces(segment: bytes, cut: Cut) -> list[tuple[int, bytes, bool]]:
    ends, at = [], 0
    for units in cut.units:
        at += units * 8
        if at < len(segment):
            ends.append(at)
    starts = [0, *ends]
    ends.append(len(segment))
    pieces = []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        start = max(0, start - cut.overlap * 8) if number else 0
        pieces.append((start // 8, segment[start:end], end < len(segment)))
    order = [number for number in cut.order if number < len(pieces) and number != cut.missing]
    order += [number for number in range(len(pieces)) if number not in order and number != cut.missing]
    return [pieces[number] for number in order]


def _flawed_segment(protocol: int, segment: bytes, flaw: str) -> bytes:
    at = {TCP: 16, UDP: 6, ICMP: 2}.get(protocol)
    if flaw == "checksum" and at is not None:
        return segment[:at] + bytes([segment[at] ^ 0x55]) + segment[at + 1 :]
    if flaw == "no checksum" and at is not None:
        return segment[:at] + b"\0\0" + segment[at + 2 :]
    if flaw in ("transport length short", "transport length long"):
        down = flaw.endswith("short")
        if protocol == TCP:
            return segment[:12] + (b"\x20" if down else b"\xf0") + segment[13:]
        if protocol == UDP:
            return segment[:4] + (7 if down else len(segment) + 9).to_bytes(2, "big") + segment[6:]
    if flaw == "cut header":
        return segment[:6]
    if flaw == "ports zero" and protocol in (TCP, UDP):
        return b"\0\0\0\0" + segment[4:]
    return segment


def _flawed_packet(packet: bytes, flaw: str) -> bytes:
    words = packet[0] & 15
    if flaw == "ip checksum":
        return packet[:10] + bytes([packet[10] ^ 0x11]) + packet[11:]
    if flaw == "version":
        return _summed(b"\x65" + packet[1:])
    if flaw == "header too short":
        return _summed(b"\x44" + packet[1:])
    if flaw == "header too long":
        return _summed(bytes([0x4F]) + packet[1:])
    if flaw == "total length too long":
        return _summed(packet[:2] + (len(packet) + 8).to_bytes(2, "big") + packet[4:])
    if flaw == "total length short":
        return _summed(packet[:2] + (len(packet) - 2).to_bytes(2, "big") + packet[4:])
    if flaw == "trailing bytes":
        return packet + b"\xee" * 7
    if flaw == "cut off":
        return packet[: words * 4 + 5]
    return packet


def _summed(packet: bytes) -> bytes:
    head = packet[: max(20, (packet[0] & 15) * 4)]
    head = head[:10] + b"\0\0" + head[12:]
    return head[:10] + _sum(head) + head[12:] + packet[len(head) :]


def parse(packet: bytes) -> tuple[str, str, int, int]:
    """Return source, target, protocol and header length of an IP packet."""
    return (
        socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[9], (packet[0] & 15) * 4,
    )  # fmt: skip
