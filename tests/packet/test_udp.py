import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet.udp import MAXIMUM_PAYLOAD, UdpHeader, fill_checksum, has_valid_checksum
from tests.packet.compare import without_computed

ADDRESSES = st.integers(0, 2**32 - 1)
PORTS = st.integers(0, 0xFFFF)
HEADERS = st.builds(UdpHeader, PORTS, PORTS)
SOURCE, DESTINATION = 0x0A000001, 0x0A000002


@given(HEADERS, st.binary(max_size=40), ADDRESSES, ADDRESSES, st.binary(max_size=4))
def test_round_trip(header: UdpHeader, payload: bytes, source: int, destination: int, padding: bytes) -> None:
    datagram = b"xx" + header.build(payload, source, destination) + padding
    parsed = UdpHeader.parse(datagram, 2)
    assert without_computed(parsed) == header
    assert parsed.length == 8 + len(payload)
    assert parsed.checksum != 0
    assert has_valid_checksum(datagram, 2, source, destination)


@given(HEADERS, st.binary(max_size=40), ADDRESSES, ADDRESSES)
def test_the_bytes_are_dpkts(header: UdpHeader, payload: bytes, source: int, destination: int) -> None:
    library = dpkt.udp.UDP(sport=header.source_port, dport=header.destination_port, data=payload)
    library.ulen = len(library)
    packet = dpkt.ip.IP(src=source.to_bytes(4, "big"), dst=destination.to_bytes(4, "big"), p=17, data=library)
    assert header.build(payload, source, destination) == bytes(packet)[20:]


def test_a_checksum_of_zero_is_sent_as_ones() -> None:
    # ports and lengths that sum to 0xFFFF with the pseudo header
    rest = 0xFFFF - (17 + 8 + 8)
    datagram = UdpHeader(rest, 0).build(b"", 0, 0)
    assert datagram[6:] == b"\xff\xff"
    assert has_valid_checksum(datagram, 0, 0, 0)


def test_checksums_are_checked_and_filled() -> None:
    datagram = bytearray(UdpHeader(1, 2).build(b"payload", SOURCE, DESTINATION))
    whole = bytes(datagram)
    datagram[8] ^= 1
    assert not has_valid_checksum(datagram, 0, SOURCE, DESTINATION)
    assert not has_valid_checksum(whole, 0, SOURCE, DESTINATION + 1)
    datagram[6:8] = b"\0\0"
    assert has_valid_checksum(datagram, 0, SOURCE, DESTINATION)  # none at all
    datagram[8] ^= 1
    fill_checksum(datagram, 0, len(datagram), SOURCE, DESTINATION)
    assert datagram == whole


def test_impossible_lengths_are_refused() -> None:
    datagram = bytearray(UdpHeader(1, 2).build(b"payload", SOURCE, DESTINATION))
    with pytest.raises(WireError, match="fewer than"):
        UdpHeader.parse(datagram[:7])
    with pytest.raises(WireError, match="length 15 with 14"):
        UdpHeader.parse(datagram[:-1])
    with pytest.raises(WireError, match="length 15 with 14"):
        UdpHeader.parse(datagram, 0, 14)
    assert UdpHeader.parse_quoted(datagram[:8]).length == 15
    datagram[5] = 7
    with pytest.raises(WireError, match="length 7"):
        UdpHeader.parse(datagram)


def test_a_payload_that_does_not_fit_is_refused() -> None:
    assert len(UdpHeader(1, 2).build(bytes(MAXIMUM_PAYLOAD), 1, 2)) == MAXIMUM_PAYLOAD + 8
    with pytest.raises(WireError, match="more than 65507"):
        UdpHeader(1, 2).build(bytes(MAXIMUM_PAYLOAD + 1), 1, 2)
