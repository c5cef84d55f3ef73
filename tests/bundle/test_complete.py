"""Packets as they were on the wire: cut ones with their checksum kept right, offloaded checksums and segments."""

from __future__ import annotations

import json
from pathlib import Path

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.bundle.complete import complete, segments
from emulator.packet.address import ipv4_to_int
from emulator.packet.checksum import pseudo_header_sum, word_sum
from emulator.packet.pcap import pcap_header, pcap_record
from tests.bundle.maker import MACS, PEER, START, make, router, tcp
from tests.bundle.maker import Source as Source
from tests.kernel.frames import echo, ethernet, ipv4, udp

HOST, FAR = "10.0.1.2", "10.0.2.2"
TRACKED = "*filter\n:FORWARD DROP\n-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n"


def frame(packet: bytes) -> bytes:
    return ethernet(MACS["eth0"], PEER, packet)


def transport_is_valid(data: bytes | bytearray) -> bool:
    """Whether TCP, UDP or ICMP of an unfragmented IPv4 frame has a right checksum."""
    protocol, segment = data[23], data[34 : 14 + int.from_bytes(data[16:18], "big")]
    pseudo = 0
    if protocol != 1:
        source, destination = (int.from_bytes(data[start : start + 4], "big") for start in (26, 30))
        pseudo = pseudo_header_sum(source, destination, protocol, len(segment))
    return word_sum(segment, pseudo) % 0xFFFF == 0


@given(st.binary(min_size=1, max_size=60), st.integers(1, 60), st.sampled_from([6, 17, 1]))
def test_a_cut_packet_keeps_a_right_checksum(payload: bytes, cut: int, protocol: int) -> None:
    """However many bytes are missing, at even and odd places; what was captured is as it was."""
    if protocol == 6:
        segment = tcp(HOST, FAR, 1, 2, 0x18, payload=payload)
    elif protocol == 17:
        segment = udp(HOST, FAR, 1, 2, payload)
    else:
        segment = echo(payload=payload)
    whole = frame(ipv4(HOST, FAR, protocol, segment))
    captured = whole[: len(whole) - min(cut, len(payload))]
    mended = bytearray(captured)
    note = complete(mended, len(whole))
    assert note == f"only {len(captured)} of its {len(whole)} bytes were captured; zeros stand for the rest"
    assert len(mended) == len(whole)
    assert mended[: len(captured)] == captured
    assert transport_is_valid(mended)


def test_a_cut_packet_is_tracked_and_forwarded(tmp_path: Path) -> None:
    """A capture with a snapshot length of 64 bytes: the states and the rewritten headers are right."""
    made = router(tmp_path, TRACKED)
    whole = frame(ipv4(HOST, FAR, 6, tcp(HOST, FAR, 4000, 80, 0x02) + b""))
    data = frame(ipv4(HOST, FAR, 17, udp(HOST, FAR, 4000, 53, bytes(range(200)))))
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap_header(1) + pcap_record(START, whole) + pcap_record(START + 1, data[:64], len(data)))
    rows = list(made.prepare(Source("eth0", str(path))).rows())
    assert [(row.verdict, row.state) for row in rows] == [("forwarded", "NEW"), ("forwarded", "NEW")]
    assert rows[0].notes == []
    assert rows[1].notes == ["only 64 of its 242 bytes were captured; zeros stand for the rest"]
    assert json.loads(rows[1].to_json())["notes"] == rows[1].notes
    out = rows[1].out[0].frame
    assert len(out) == 242
    assert out[34:64] == data[34:64]


def test_cut_before_its_ports(tmp_path: Path) -> None:
    made = router(tmp_path, TRACKED)
    whole = frame(ipv4(HOST, FAR, 6, tcp(HOST, FAR, 4000, 80)))
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap_header(1) + b"".join(pcap_record(START, whole[:size], 54) for size in (20, 40, 53)))
    rows = list(made.prepare(Source("eth0", str(path))).rows())
    assert [row.reason for row in rows] == ["IP_INHDR", "PKT_TOO_SMALL", "PKT_TOO_SMALL"]
    assert rows[1].notes == ["only 40 of its 54 bytes were captured, not all of its headers"]


@pytest.mark.parametrize("protocol", [6, 17])
def test_a_checksum_for_the_card_is_filled_in(protocol: int, tmp_path: Path) -> None:
    """As captures on veths and of sent packets show it: the pseudo header's sum alone (CHECKSUM_PARTIAL)."""
    segment = bytearray(tcp(HOST, FAR, 1, 2, payload=b"data") if protocol == 6 else udp(HOST, FAR, 1, 2, b"data"))
    partial = pseudo_header_sum(ipv4_to_int(HOST), ipv4_to_int(FAR), protocol, len(segment))
    while partial > 0xFFFF:
        partial = (partial & 0xFFFF) + (partial >> 16)
    place = 16 if protocol == 6 else 6
    segment[place : place + 2] = partial.to_bytes(2, "big")
    (row,) = router(tmp_path, TRACKED).replay([frame(ipv4(HOST, FAR, protocol, bytes(segment)))])
    assert (row.verdict, row.state) == ("forwarded", "NEW")
    assert row.notes == ["its checksum was left to the network card; it is filled in"]
    assert transport_is_valid(row.out[0].frame)


def test_other_wrong_checksums_stay_wrong(tmp_path: Path) -> None:
    segment = bytearray(tcp(HOST, FAR, 1, 2, payload=b"data"))
    segment[16] ^= 0x40
    (row,) = router(tmp_path, TRACKED).replay([frame(ipv4(HOST, FAR, 6, bytes(segment)))])
    assert (row.verdict, row.state, row.notes) == ("dropped", "INVALID", [])


@given(st.integers(0, 5000), st.integers(100, 1500), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_large_segments_are_cut_as_a_card_does(size: int, mtu: int, flags: int, sequence: int) -> None:
    payload = bytes(number & 0xFF for number in range(size))
    whole = frame(ipv4(HOST, FAR, 6, tcp(HOST, FAR, 1, 2, flags, sequence=sequence, payload=payload), fragment=0x4000))
    pieces = segments(bytearray(whole), mtu)
    if size + 40 <= mtu:
        assert [bytes(piece) for piece in pieces] == [whole]
        return
    joined = b""
    for number, piece in enumerate(pieces):
        assert transport_is_valid(piece)
        ip = dpkt.ethernet.Ethernet(bytes(piece)).data
        assert ip.len <= mtu
        assert word_sum(piece[14:34]) % 0xFFFF == 0
        assert ip.tcp.seq == (sequence + len(joined)) & 0xFFFFFFFF
        last = number == len(pieces) - 1
        assert ip.tcp.flags & 0x09 == (flags & 0x09 if last else 0)
        assert ip.tcp.flags & 0x80 == (flags & 0x80 if not number else 0)
        joined += bytes(ip.tcp.data)
    assert joined == payload


def test_a_large_segment_through_the_node(tmp_path: Path) -> None:
    payload = bytes(4000)
    whole = frame(ipv4(HOST, FAR, 6, tcp(HOST, FAR, 1, 2, 0x18, payload=payload), fragment=0x4000))
    (row,) = router(tmp_path, TRACKED).replay([whole])
    assert row.verdict == "forwarded"
    assert [len(each.frame) for each in row.out] == [1514, 1514, 1134]
    assert row.notes == ["4040 bytes are more than the link's MTU of 1500: it is cut into 3 segments, as the card does"]


@given(st.binary(max_size=120), st.integers(0, 300))
def test_any_bytes(data: bytes, more: int) -> None:
    for begin in (b"", bytes(12) + b"\x08\x00", bytes(12) + b"\x08\x00\x45"):
        buffer = bytearray(begin + data)
        complete(buffer, len(buffer) + more)
        segments(buffer, 68)


def test_make_is_used_without_rules(tmp_path: Path) -> None:
    """A bundle of links alone: the connected routes follow from the addresses."""
    from tests.bundle.maker import ROUTER, udp_frame

    (row,) = make(tmp_path, links=ROUTER).replay([udp_frame(HOST, FAR)])
    assert row.verdict == "forwarded"
