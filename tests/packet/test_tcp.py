import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet.tcp import ACK, AE, FIN, PSH, RST, SYN, URG, TcpHeader, fill_checksum, has_valid_checksum
from emulator.packet.tcp_options import TcpOptions
from tests.packet.compare import without_computed

ADDRESSES = st.integers(0, 2**32 - 1)
WORDS = st.integers(0, 0xFFFF)
HEADERS = st.builds(
    TcpHeader,
    WORDS,
    WORDS,
    ADDRESSES,
    ADDRESSES,
    flags=st.integers(0, 0xFFF),
    window=WORDS,
    urgent=WORDS,
    options=st.integers(0, 10).flatmap(lambda words: st.binary(min_size=words * 4, max_size=words * 4)),
)
SOURCE, DESTINATION = 0x0A000001, 0x0A000002


@given(HEADERS, st.binary(max_size=40), ADDRESSES, ADDRESSES)
def test_round_trip(header: TcpHeader, payload: bytes, source: int, destination: int) -> None:
    segment = b"xx" + header.build(payload, source, destination)
    assert without_computed(TcpHeader.parse(segment, 2)) == header
    assert segment[2 + header.header_length :] == payload
    assert has_valid_checksum(segment, 2, len(segment), source, destination)


@given(HEADERS, st.binary(max_size=40), ADDRESSES, ADDRESSES)
def test_the_bytes_are_dpkts(header: TcpHeader, payload: bytes, source: int, destination: int) -> None:
    library = dpkt.tcp.TCP(
        sport=header.source_port,
        dport=header.destination_port,
        seq=header.sequence,
        ack=header.acknowledgement,
        win=header.window,
        urp=header.urgent,
        opts=header.options,
        data=payload,
    )
    library._off_flags = header.header_length << 10 | header.flags
    packet = dpkt.ip.IP(src=source.to_bytes(4, "big"), dst=destination.to_bytes(4, "big"), p=6, data=library)
    assert header.build(payload, source, destination) == bytes(packet)[20:]


def test_checksums_are_checked_and_filled() -> None:
    segment = bytearray(TcpHeader(1, 2, 3).build(b"payload", SOURCE, DESTINATION))
    whole = bytes(segment)
    segment[-1] ^= 1
    assert not has_valid_checksum(segment, 0, len(segment), SOURCE, DESTINATION)
    assert not has_valid_checksum(whole, 0, len(whole), SOURCE, DESTINATION + 1)
    segment[-1] ^= 1
    segment[16:18] = b"xx"
    fill_checksum(segment, 0, len(segment), SOURCE, DESTINATION)
    assert segment == whole


def test_headers_that_do_not_fit_are_refused() -> None:
    segment = bytearray(TcpHeader(1, 2, 3, options=bytes(8)).build(b"", SOURCE, DESTINATION))
    for length in range(len(segment)):
        with pytest.raises(WireError, match="TCP"):
            TcpHeader.parse(segment[:length])
        with pytest.raises(WireError, match="TCP"):
            TcpHeader.parse(segment, 0, length)
    segment[12] = 0x40
    with pytest.raises(WireError, match="a header of 16 bytes"):
        TcpHeader.parse(segment)
    with pytest.raises(WireError, match="more than 40"):
        TcpHeader(1, 2, 3, options=bytes(41)).build(b"", SOURCE, DESTINATION)


def test_options_are_padded_and_read() -> None:
    segment = TcpHeader(1, 2, 3, options=b"\x03\x03\x07").build(b"", SOURCE, DESTINATION)
    header = TcpHeader.parse(segment)
    assert header.options == b"\x03\x03\x07\x00"
    assert header.parse_options() == TcpOptions(window_scale=7)


def test_text() -> None:
    options = TcpOptions(mss=1460, window_scale=7, sack_permitted=True, timestamps=(1, 0)).build()
    syn = TcpHeader(1, 2, 5, flags=SYN, window=64240, options=options)
    assert str(syn) == ("Flags [S], seq 5, win 64240, options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0")
    assert str(TcpHeader(1, 2, 5, 6, 0)) == "Flags [none], win 0, length 0"
    assert TcpHeader(1, 2, 5, 6, FIN | PSH | ACK, 9).describe(3) == "Flags [FP.], seq 5:8, ack 6, win 9, length 3"
    assert TcpHeader(1, 2, 2**32 - 1).describe(2) == "Flags [.], seq 4294967295:1, ack 0, win 0, length 2"
    assert str(TcpHeader(1, 2, 5, flags=RST | URG | AE, urgent=4)) == "Flags [RUe], seq 5, win 0, urg 4, length 0"
