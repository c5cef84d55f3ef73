"""Fragments: cut and joined again in any order it is the same packet; odd ones are dropped; memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.drop import DropReason
from emulator.kernel.ip.fragment import CONNTRACK_IN, LOCAL_DELIVER, split
from emulator.kernel.ip.header import parse
from emulator.kernel.skb import Skb
from emulator.packet.checksum import is_valid
from emulator.packet.describe import describe_frame
from tests.kernel.frames import echo, ethernet, ipv4
from tests.kernel.router import A_MAC, CLIENT, CLIENT_MAC, HERE, Router, received


def parsed(frame: bytes | bytearray) -> Skb:
    skb = received(bytes(frame))
    assert parse(skb) is None
    return skb


def packet(size: int, **header: int | bytes) -> bytes:
    payload = bytes(number & 0xFF for number in range(size))
    return ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, HERE, 200, payload, **header))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9000), st.integers(68, 1500), st.randoms(use_true_random=False), st.booleans())
def test_cut_and_joined_it_is_the_same_packet(size: int, mtu: int, random: object, options: bool) -> None:
    router = Router()
    whole = packet(size, options=bytes((0x94, 4, 0, 0)) if options else b"")
    pieces = [parsed(piece.data) for piece in split(parsed(whole), mtu)] if len(whole) - 14 > mtu else [parsed(whole)]
    sent = [bytes(piece.data) for piece in pieces]
    for piece in pieces:
        assert len(piece.data) - 14 <= mtu
        assert is_valid(piece.data[14 : piece.transport])
    random.shuffle(pieces)  # type: ignore[attr-defined]
    results = [router.ns.reassembler.add(piece, CONNTRACK_IN) for piece in pieces]
    assert [result for result in results[:-1] if result is not None] == []
    joined = results[-1]
    assert joined is not None
    assert bytes(joined.data) == whole
    assert len(router.ns.reassembler) == 0
    assert [bytes(piece.data) for piece in (split(joined, mtu) if len(sent) > 1 else [joined])] == sent
    assert router.kernel.next_deadline() is None


def test_the_pieces_sizes_are_kept_for_cutting_again() -> None:
    router = Router()
    first, second = (parsed(piece.data) for piece in split(parsed(packet(1000)), 700))
    joined = None
    for piece in (first, second):
        joined = router.ns.reassembler.add(piece, CONNTRACK_IN)
    assert joined is not None
    assert joined.fragment_max_size == 700
    assert joined.fragment_lengths == (680, 320)
    assert [len(piece.data) - 34 for piece in split(joined, 1500)] == [680, 320]


def test_users_do_not_share_their_pieces() -> None:
    router = Router()
    first, second = split(parsed(packet(1000)), 700)
    assert router.ns.reassembler.add(first, CONNTRACK_IN) is None
    assert router.ns.reassembler.add(second, LOCAL_DELIVER) is None
    assert len(router.ns.reassembler) == 2


def test_overlaps_end_the_packet_and_duplicates_do_not() -> None:
    router = Router()
    message = echo(payload=bytes(300))

    def piece(start: int, end: int, more: bool) -> bytes:
        field = start >> 3 | (0x2000 if more else 0)
        return ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, HERE, 1, message[start:end], fragment=field))

    router.feed(router.a, piece(0, 80, True), piece(0, 80, True), piece(80, 308, False))
    assert len(router.taken(router.a)) == 1
    assert dict(router.ns.drops) == {DropReason.DUP_FRAG: 1}
    router.feed(router.a, piece(0, 80, True), piece(40, 160, True), piece(80, 308, False))
    assert router.taken(router.a) == []
    assert router.ns.drops[DropReason.DUP_FRAG] == 3


def test_after_thirty_seconds_an_end_host_says_so() -> None:
    router = Router()
    first, second = split(parsed(packet(1000)), 700)
    router.feed(router.a, bytes(first.data))
    router.run(29.9)
    assert router.taken(router.a) == []
    router.run(0.2)
    (told,) = router.taken(router.a)
    assert describe_frame(told) == "IP 10.1.0.1 > 10.1.0.2: ICMP ip reassembly time exceeded, length 556"
    assert dict(router.ns.drops) == {DropReason.FRAG_REASM_TIMEOUT: 1}
    router.feed(router.a, bytes(second.data))
    router.run(31.0)
    assert router.taken(router.a) == []


@pytest.mark.parametrize("limit", [20_000])
def test_memory_is_bounded(limit: int) -> None:
    router = Router()
    router.ns.sysctl.set("net.ipv4.ipfrag_high_thresh", limit)
    for number in range(100):
        router.feed(router.a, packet(800, fragment=0x2000, identification=number))
    assert router.ns.drops[DropReason.FRAG_MEMORY] > 80
    assert len(router.ns.reassembler) < 20
    router.run(31.0)
    assert len(router.ns.reassembler) == 0


def test_fragments_that_are_refused_leave_no_queue() -> None:
    router = Router()
    for number in range(100):
        router.feed(router.a, packet(0, fragment=0x2000, identification=number))
    assert dict(router.ns.drops) == {DropReason.IP_INHDR: 100}
    assert len(router.ns.reassembler) == 0


def test_what_contradicts_the_end_ends_the_packet() -> None:
    router = Router()
    pieces = [
        packet(80, fragment=0x2000),
        packet(80, fragment=20),
        packet(80, fragment=30),
        packet(80, fragment=0x200A),
    ]
    router.feed(router.a, *pieces)
    assert router.ns.drops == {DropReason.IP_INHDR: 3}  # the corrupt one, and both that waited
    assert len(router.ns.reassembler) == 1
