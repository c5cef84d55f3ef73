import dpkt
import dpkt.crc32c
import dpkt.sctp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet.rewrite import rewrite_destination, rewrite_source
from emulator.packet.sctp import (
    Chunk,
    ChunkType,
    SctpHeader,
    crc32c,
    fill_checksum,
    has_valid_checksum,
    parse_chunks,
)
from tests.packet.compare import without_computed

PORTS = st.integers(0, 0xFFFF)
HEADERS = st.builds(SctpHeader, PORTS, PORTS, st.integers(0, 0xFFFFFFFF))
CHUNKS = st.lists(st.builds(Chunk, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=30)), max_size=5)


@given(HEADERS, CHUNKS)
def test_round_trip(header: SctpHeader, chunks: list[Chunk]) -> None:
    packet = b"xx" + header.build(chunks)
    assert without_computed(SctpHeader.parse(packet, 2)) == header
    assert list(parse_chunks(packet, 2)) == chunks
    assert has_valid_checksum(packet, 2)


@given(HEADERS, CHUNKS)
def test_the_bytes_are_dpkts(header: SctpHeader, chunks: list[Chunk]) -> None:
    library = dpkt.sctp.SCTP(sport=header.source_port, dport=header.destination_port, vtag=header.verification_tag)
    library.chunks = []
    for chunk in chunks:
        made = dpkt.sctp.Chunk(type=chunk.type, flags=chunk.flags, len=4 + len(chunk.value), data=chunk.value)
        made.padding = bytes(-len(chunk.value) % 4)
        library.chunks.append(made)
    assert header.build(chunks) == bytes(library)


def test_the_check_value_of_crc32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


@given(HEADERS, CHUNKS, st.integers(0, 2**32 - 1), PORTS)
def test_nat_leaves_a_right_checksum(header: SctpHeader, chunks: list[Chunk], address: int, port: int) -> None:
    packet = dpkt.ip.IP(src=b"\x0a\0\0\1", dst=b"\x0a\0\0\2", p=132, data=header.build(chunks))
    packet.len = len(packet)
    data = bytearray(bytes(packet))
    rewrite_source(data, 0, 20, 132, address, port)
    rewrite_destination(data, 0, 20, 132, address, port)
    assert without_computed(SctpHeader.parse(data, 20)) == SctpHeader(port, port, header.verification_tag)
    assert has_valid_checksum(data, 20)


def test_a_header_that_is_quoted_is_rewritten_as_far_as_it_is_there() -> None:
    packet = dpkt.ip.IP(src=b"\x0a\0\0\1", dst=b"\x0a\0\0\2", p=132, data=SctpHeader(1, 2, 3).build([])[:8])
    data = bytearray(bytes(packet))
    rewrite_source(data, 0, 20, 132, 7, 9)
    assert bytes(data[20:]) == b"\0\x09\0\x02\0\0\0\x03"


def test_damage_is_noticed_and_repaired() -> None:
    packet = bytearray(SctpHeader(1, 2, 3).build([Chunk(ChunkType.DATA, 3, b"payload")]))
    whole = bytes(packet)
    packet[13] ^= 1
    assert not has_valid_checksum(packet)
    packet[13] ^= 1
    packet[8:12] = b"\0\0\0\0"
    assert not has_valid_checksum(packet)
    fill_checksum(packet)
    assert packet == whole


def test_impossible_lengths_are_refused() -> None:
    packet = bytearray(SctpHeader(1, 2, 3).build([Chunk(ChunkType.INIT, 0, bytes(16))]))
    with pytest.raises(WireError, match="11 bytes are fewer"):
        SctpHeader.parse(packet[:11])
    with pytest.raises(WireError, match="length 20 with 19"):
        list(parse_chunks(packet[:-1]))
    with pytest.raises(WireError, match="3 bytes are fewer"):
        list(parse_chunks(packet[:15]))
    packet[14:16] = b"\0\3"
    with pytest.raises(WireError, match="length 3 with"):
        list(parse_chunks(packet))
    with pytest.raises(WireError, match="longer than 65535"):
        Chunk(0, 0, bytes(65_532)).build()


def test_it_prints() -> None:
    assert str(SctpHeader(5, 6, 255)) == "SCTP 5 > 6, tag 0xff"
    assert [str(Chunk(1)), str(Chunk(99))] == ["[INIT]", "[type 99]"]
