"""Captured packets as they were on the wire: what the capture left out, and what a card was still to fill in.

A capture that cut a packet leaves its checksum, which cannot be verified: zeros stand for what is missing, and two
bytes of them are chosen so that the checksum is as right as it was. A capture on the sending machine, or on a pod's
veth, sees checksums that the card was to fill in, and segments that it was to cut.
"""

from __future__ import annotations

import struct

from emulator.packet.checksum import pseudo_header_sum, transport_checksum, word_sum

NETWORK = 14
ICMP, TCP, UDP = 1, 6, 17
_CHECKSUM = {ICMP: 2, TCP: 16, UDP: 6}  # its offset in the transport header
_LEAST_HEADER = {ICMP: 8, TCP: 20, UDP: 8}
_FIN_PSH, _CWR = 0x09, 0x80
_FRAGMENT = 0x3FFF

CUT = "only {captured} of its {length} bytes were captured; zeros stand for the rest"
CUT_HEADERS = "only {captured} of its {length} bytes were captured, not all of its headers"
OFFLOADED = "its checksum was left to the network card; it is filled in"
SEGMENTED = "{length} bytes are more than the link's MTU of {mtu}: it is cut into {count} segments, as the card does"


class _View:
    """Where the parts of an IPv4 packet in a frame are; `protocol` is 0 if it is none, or a later fragment."""

    def __init__(self, frame: bytes | bytearray) -> None:
        self.protocol = 0
        self.transport = self.end = 0
        if len(frame) < NETWORK + 20 or frame[12:14] != b"\x08\x00" or frame[NETWORK] >> 4 != 4:
            return
        self.transport = NETWORK + (frame[NETWORK] & 15) * 4
        self.end = NETWORK + (frame[NETWORK + 2] << 8 | frame[NETWORK + 3])
        if not (frame[NETWORK + 6] << 8 | frame[NETWORK + 7]) & _FRAGMENT and self.transport >= NETWORK + 20:
            self.protocol = frame[NETWORK + 9]

    def pseudo_sum(self, frame: bytes | bytearray) -> int:
        """The pseudo header's sum; ICMP has none."""
        if self.protocol == ICMP:
            return 0
        source, destination = struct.unpack_from("!II", frame, NETWORK + 12)
        return pseudo_header_sum(source, destination, self.protocol, self.end - self.transport)


def complete(frame: bytearray, length: int) -> str:
    """Make a frame, of which `length` bytes there were, whole. Return what to say of it, or nothing."""
    captured = len(frame)
    view = _View(frame)
    if view.end:  # what comes behind the packet is padding, and a damaged file may claim any amount of it
        length = min(length, max(view.end, captured))
    if length > captured:
        return _mend(frame, view, captured, length)
    if view.protocol in (TCP, UDP) and _fill_in(frame, view):
        return OFFLOADED
    return ""


def _fill_in(frame: bytearray, view: _View) -> bool:
    """Finish a checksum that is no more than the pseudo header's sum (CHECKSUM_PARTIAL)."""
    start, end = view.transport, view.end
    place = start + _CHECKSUM[view.protocol]
    if end > len(frame) or end < start + _LEAST_HEADER[view.protocol]:
        return False
    found = frame[place] << 8 | frame[place + 1]
    partial = view.pseudo_sum(frame)
    if not found or (found - partial) % 0xFFFF or word_sum(frame[start:end], partial) % 0xFFFF == 0:
        return False
    _set_checksum(frame, start, end, view.protocol)
    return True


def _set_checksum(frame: bytearray, start: int, end: int, protocol: int) -> None:
    place = start + _CHECKSUM[protocol]
    frame[place : place + 2] = b"\0\0"
    source, destination = struct.unpack_from("!II", frame, NETWORK + 12)
    value = transport_checksum(frame[start:end], source, destination, protocol)
    frame[place : place + 2] = value.to_bytes(2, "big")


def _mend(frame: bytearray, view: _View, captured: int, length: int) -> str:
    words = {"captured": captured, "length": length}
    need = view.transport + _LEAST_HEADER.get(view.protocol, 0)
    if view.protocol == TCP and captured >= need:
        need = view.transport + (frame[view.transport + 12] >> 4) * 4
    if not view.transport or captured < need:
        return CUT_HEADERS.format(**words)
    frame += bytes(length - captured)
    if view.protocol in _CHECKSUM and need <= view.end <= length and view.end > captured:
        _balance(frame, view, captured)
    return CUT.format(**words)


def _balance(frame: bytearray, view: _View, captured: int) -> None:
    """Choose the first missing bytes so that the checksum, which was captured, is right."""
    start, end = view.transport, view.end
    place = start + _CHECKSUM[view.protocol]
    if view.protocol == UDP and frame[place : place + 2] == b"\0\0":
        return
    lacking = -word_sum(frame[start:end], view.pseudo_sum(frame)) % 0xFFFF
    if captured - start & 1:  # the first byte is the lower half of its word, the second the upper half of the next
        lacking = (lacking & 0xFF) << 8 | lacking >> 8
    if end - captured == 1:
        frame[captured] = lacking >> 8
    else:
        frame[captured : captured + 2] = lacking.to_bytes(2, "big")


def segments(frame: bytearray, mtu: int) -> list[bytearray]:
    """Cut a TCP segment that is larger than the MTU as a card does (tcp_gso_segment); else return it alone."""
    view = _View(frame)
    if view.end - NETWORK <= mtu or view.protocol != TCP or view.end > len(frame):
        return [frame]
    start = view.transport
    payload = start + (frame[start + 12] >> 4) * 4
    room = mtu - (payload - NETWORK)
    if room <= 0 or payload > view.end:
        return [frame]
    identification, (sequence,) = int.from_bytes(frame[18:20], "big"), struct.unpack_from("!I", frame, start + 4)
    pieces = []
    for number, offset in enumerate(range(payload, view.end, room)):
        last = offset + room >= view.end
        piece = bytearray(frame[:payload] + frame[offset : min(offset + room, view.end)])
        piece[16:18] = (len(piece) - NETWORK).to_bytes(2, "big")
        piece[18:20] = (identification + number & 0xFFFF).to_bytes(2, "big")
        struct.pack_into("!I", piece, start + 4, sequence + offset - payload & 0xFFFFFFFF)
        piece[start + 13] &= ~((0 if last else _FIN_PSH) | (_CWR if number else 0)) & 0xFF
        piece[24:26] = b"\0\0"
        piece[24:26] = (-word_sum(piece[NETWORK:start]) % 0xFFFF).to_bytes(2, "big")
        _set_checksum(piece, start, len(piece), TCP)
        pieces.append(piece)
    return pieces
