"""SCTP in connection tracking and NAT against the real kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product

import dpkt
import dpkt.sctp
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emulator.packet.sctp import ChunkType
from tests.kernel.netfilter import wire
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER, VIP = "10.0.1.2", "10.0.2.2", "10.96.0.10"
RULES = f"""*nat
-A PREROUTING -d {VIP} -p sctp -m sctp --dport 80 -j DNAT --to-destination {SERVER}:8080
-A POSTROUTING -o b -p sctp -s 10.0.1.3 -j MASQUERADE --to-ports 5000
COMMIT
*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT
COMMIT
"""
FORTH, BACK = 0x11111111, 0x22222222  # the tags that packets to the server, to the client carry


@pytest.fixture(scope="module")
def router() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed.build(RULES)


@pytest.fixture
def bed(router: RouterBed) -> Iterator[RouterBed]:
    yield router
    router.reset()


def chunk(kind: int, value: bytes = b"", flags: int = 0) -> dpkt.sctp.Chunk:
    return wire.chunk(kind, flags, value)


def init(kind: int, tag: int) -> dpkt.sctp.Chunk:
    return chunk(kind, tag.to_bytes(4, "big") + bytes.fromhex("0000a000000a000a00000001"))


def forth(tag: int, *chunks: dpkt.sctp.Chunk) -> tuple[str, bytes]:
    return "a", wire.sctp(CLIENT, 4000, SERVER, 80, tag, *chunks)


def back(tag: int, *chunks: dpkt.sctp.Chunk) -> tuple[str, bytes]:
    return "b", wire.sctp(SERVER, 80, CLIENT, 4000, tag, *chunks)


def play(bed: RouterBed, *packets: tuple[str, bytes]) -> None:
    """Send packets one by one; after each, outputs, entries, rule counters and timeouts must agree."""
    for packet in packets:
        bed.send(packet)
        bed.compare_counters("filter")
        bed.compare_timeouts()


DATA, SACK = chunk(ChunkType.DATA, b"\0\0\0\1\0\0\0\0\0\0\0\0hello"), chunk(ChunkType.SACK, bytes(12))
HANDSHAKE = (
    forth(0, init(ChunkType.INIT, BACK)),
    back(BACK, init(ChunkType.INIT_ACK, FORTH)),
    forth(FORTH, chunk(ChunkType.COOKIE_ECHO, b"cookie")),
    back(BACK, chunk(ChunkType.COOKIE_ACK)),
)


def test_an_association_from_init_to_shutdown(bed: RouterBed) -> None:
    play(bed, *HANDSHAKE)
    assert "ESTABLISHED" in bed.emulated_entries()[0]
    play(bed, forth(FORTH, DATA), back(BACK, SACK), forth(FORTH, SACK, DATA), back(BACK, DATA))
    play(bed, forth(BACK, DATA), back(FORTH, DATA), back(0, DATA))  # wrong tags
    play(bed, forth(FORTH, chunk(ChunkType.SHUTDOWN, bytes(4))), back(BACK, chunk(ChunkType.SHUTDOWN_ACK)))
    play(bed, forth(FORTH, chunk(ChunkType.SHUTDOWN_COMPLETE)), forth(0, init(ChunkType.INIT, BACK)))
    play(bed, forth(0, init(ChunkType.INIT, BACK + 1)), back(BACK + 1, init(ChunkType.INIT_ACK, FORTH)))


@pytest.mark.parametrize("kind", [*ChunkType, 12, 13, 15, 64, 128, 192, 255])
def test_any_chunk_may_be_the_first(bed: RouterBed, kind: int) -> None:
    for tag, value in ((0, bytes(16)), (FORTH, bytes(16)), (FORTH, b"")):
        play(bed, forth(tag, chunk(kind, value)), back(tag, chunk(kind, value)), forth(tag, chunk(kind, value)))
        bed.reset()


@pytest.mark.parametrize("reflected", [0, 1])
def test_aborts_have_the_tag_of_either_side(bed: RouterBed, reflected: int) -> None:
    for kind, tag in product((ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE), (FORTH, BACK, 0)):
        for direction in (forth, back):
            play(bed, *HANDSHAKE, direction(tag, chunk(kind, flags=reflected)))
            bed.reset()


def test_a_heartbeat_begins_a_second_path(bed: RouterBed) -> None:
    beat, answer = chunk(ChunkType.HEARTBEAT, b"\0\1\0\4"), chunk(ChunkType.HEARTBEAT_ACK, b"\0\1\0\4")
    play(bed, forth(FORTH, beat), forth(FORTH, beat), back(BACK, beat), back(BACK, answer), forth(FORTH, DATA))
    bed.reset()
    play(bed, *HANDSHAKE, forth(7, beat), back(8, answer), forth(7, DATA), forth(FORTH, DATA), back(8, DATA))
    bed.reset()
    play(bed, *HANDSHAKE, forth(7, beat, DATA), forth(7, beat, beat), forth(7, answer), back(8, answer))


def test_chunks_that_must_be_alone_or_first(bed: RouterBed) -> None:
    play(bed, forth(0, init(ChunkType.INIT, BACK), DATA), forth(0, DATA, init(ChunkType.INIT, BACK)))
    play(bed, *HANDSHAKE[:2], forth(FORTH, chunk(ChunkType.COOKIE_ECHO, b"cookie"), DATA))
    play(bed, back(BACK, SACK, chunk(ChunkType.COOKIE_ACK)), back(BACK, chunk(ChunkType.COOKIE_ACK), SACK))
    play(bed, back(BACK, chunk(ChunkType.SHUTDOWN_COMPLETE), SACK), forth(FORTH))


def test_both_ends_begin(bed: RouterBed) -> None:
    crossed = (HANDSHAKE[0], back(0, init(ChunkType.INIT, FORTH)), back(BACK, init(ChunkType.INIT_ACK, FORTH)))
    play(bed, *crossed, forth(FORTH, init(ChunkType.INIT_ACK, BACK)), HANDSHAKE[2], HANDSHAKE[3])
    play(bed, HANDSHAKE[0], back(BACK, init(ChunkType.INIT_ACK, 5)), forth(0, init(ChunkType.INIT, 77)))
    play(bed, back(77, init(ChunkType.INIT_ACK, 5)), back(77, init(ChunkType.INIT_ACK, FORTH)), forth(FORTH, DATA))


def test_a_wrong_checksum_is_invalid_unless_none_is_asked_for(bed: RouterBed) -> None:
    link, packet = HANDSHAKE[0]
    play(bed, (link, packet[:-1] + bytes((packet[-1] ^ 1,))))
    for size in (0, 4, 11, 12, 14, 15, 16, 20, 31):
        play(bed, ("a", wire.ip(CLIENT, SERVER, 132, packet[20 : 20 + size])))
    zero_length = bytearray(packet)
    zero_length[34:36] = b"\0\0"
    bed.change_sysctl("net.netfilter.nf_conntrack_checksum", 0)
    play(bed, ("a", bytes(zero_length)), (link, packet[:-1] + bytes((packet[-1] ^ 1,))))


def test_ports_are_translated_and_the_checksum_is_computed_anew(bed: RouterBed) -> None:
    opening = wire.sctp(CLIENT, 4000, VIP, 80, 0, init(ChunkType.INIT, BACK))
    play(bed, ("a", opening), ("b", wire.sctp(SERVER, 8080, CLIENT, 4000, BACK, init(ChunkType.INIT_ACK, FORTH))))
    play(bed, ("a", wire.sctp(CLIENT, 4000, VIP, 80, FORTH, chunk(ChunkType.COOKIE_ECHO, b"cookie"))))
    for port in (4000, 4001):
        play(bed, ("a", wire.sctp("10.0.1.3", port, SERVER, 80, 0, init(ChunkType.INIT, BACK))))
    translated = wire.sctp(CLIENT, 4000, SERVER, 8080, 0, init(ChunkType.INIT, BACK))
    for size in (28, 32, 40, len(translated)):  # an ICMP error quotes as much
        play(bed, ("b", wire.icmp_error(SERVER, CLIENT, translated[:size])))


KINDS = st.sampled_from(
    [*ChunkType, ChunkType.INIT, ChunkType.INIT_ACK, ChunkType.COOKIE_ECHO, ChunkType.HEARTBEAT, 64]
)
TAGS = st.sampled_from([0, FORTH, BACK, FORTH, BACK, 99])
DRAWN = st.tuples(st.booleans(), TAGS, st.lists(st.tuples(KINDS, TAGS, st.integers(0, 1)), min_size=1, max_size=3))
CASES = int(os.environ.get("PODWIRE_ORACLE_CASES", "4"))


@settings(max_examples=CASES, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.lists(DRAWN, min_size=4, max_size=14), st.integers(0, 4))
def test_drawn_associations(
    router: RouterBed, packets: list[tuple[bool, int, list[tuple[int, int, int]]]], opened: int
) -> None:
    """Any chunks with tags that are sometimes right, after some part of a handshake."""
    router.reset()
    play(router, *HANDSHAKE[:opened])
    for from_client, tag, drawn in packets:
        chunks = [chunk(kind, init(kind, value).data, flags) for kind, value, flags in drawn]
        play(router, (forth if from_client else back)(tag, *chunks))
