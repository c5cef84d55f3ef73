import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from emulator.errors import WireError
from emulator.packet.ipv4 import (
    DONT_FRAGMENT,
    MAXIMUM_LENGTH,
    MORE_FRAGMENTS,
    Ipv4Error,
    Ipv4Fault,
    Ipv4Header,
    build_header,
    check,
    fill_checksum,
)
from emulator.packet.options import iterate_options
from tests.packet.compare import without_computed

ADDRESSES = st.integers(0, 2**32 - 1)
BYTES = st.integers(0, 255)
HEADERS = st.builds(
    Ipv4Header,
    source=ADDRESSES,
    destination=ADDRESSES,
    protocol=BYTES,
    ttl=BYTES,
    tos=BYTES,
    identification=st.integers(0, 0xFFFF),
    dont_fragment=st.booleans(),
    more_fragments=st.booleans(),
    fragment_offset=st.integers(0, 0x1FFF).map(lambda units: units * 8),
    options=st.integers(0, 10).flatmap(lambda words: st.binary(min_size=words * 4, max_size=words * 4)),
    reserved_flag=st.booleans(),
)
HEADER = Ipv4Header(0x0A000001, 0x0A000002, 17, identification=7)


@given(HEADERS, st.binary(max_size=40), st.binary(max_size=5))
def test_round_trip_with_padding_behind(header: Ipv4Header, payload: bytes, padding: bytes) -> None:
    packet = header.build(payload)
    parsed = Ipv4Header.parse(b"xxx" + packet + padding, 3)
    assert without_computed(parsed) == header
    assert parsed.total_length == len(packet)
    assert parsed.payload_length == len(payload)
    assert packet[parsed.header_length :] == payload
    assert parsed.is_fragment == (header.more_fragments or header.fragment_offset > 0)


@given(HEADERS, st.binary(max_size=40))
def test_dpkt_reads_and_writes_the_same(header: Ipv4Header, payload: bytes) -> None:
    header = replace(header, protocol=253, fragment_offset=0)  # an experimental number: dpkt decodes the others
    packet = header.build(payload)
    library = dpkt.ip.IP(packet)
    assert int.from_bytes(library.src, "big") == header.source
    assert (library.ttl, library.tos, library.id, library.opts) == (
        header.ttl,
        header.tos,
        header.identification,
        header.options,
    )
    assert (library.df, library.mf, library.len) == (header.dont_fragment, header.more_fragments, len(packet))
    library.sum = 0
    assert bytes(library) == packet


def fault_of(packet: bytes | bytearray) -> Ipv4Fault | None:
    fault = check(packet)
    if fault is None:
        Ipv4Header.parse(packet)
    else:
        with pytest.raises(Ipv4Error) as caught:
            Ipv4Header.parse(packet)
        assert caught.value.fault is fault
    return fault


def test_each_fault_has_its_own_reason() -> None:
    packet = bytearray(HEADER.build(b"payload!"))
    assert fault_of(packet) is None
    assert fault_of(b"") is Ipv4Fault.SHORT
    assert fault_of(packet[:19]) is Ipv4Fault.SHORT
    assert fault_of(b"\x65" + packet[1:]) is Ipv4Fault.VERSION
    assert fault_of(b"\x44" + packet[1:]) is Ipv4Fault.HEADER_LENGTH
    assert fault_of(b"\x4f" + packet[1:]) is Ipv4Fault.SHORT
    assert fault_of(packet[:8] + b"\x01" + packet[9:]) is Ipv4Fault.CHECKSUM
    assert fault_of(packet[:-1]) is Ipv4Fault.TRUNCATED
    short = bytearray(packet)
    short[2:4] = (19).to_bytes(2, "big")
    fill_checksum(short)
    assert fault_of(short) is Ipv4Fault.TOTAL_LENGTH


@given(HEADERS, st.integers(0, 159))
def test_any_flipped_bit_is_a_fault(header: Ipv4Header, bit: int) -> None:
    packet = bytearray(header.build())
    packet[bit // 8] ^= 0x80 >> bit % 8
    assert fault_of(packet) is not None


def test_a_quoted_header_may_be_cut_behind_and_stale() -> None:
    packet = bytearray(HEADER.build(b"payload!"))
    packet[8] = 1
    assert without_computed(Ipv4Header.parse_quoted(packet[:20])) == replace(HEADER, ttl=1)
    for broken, fault in ((packet[:19], Ipv4Fault.SHORT), (b"\x46" + packet[1:20], Ipv4Fault.SHORT)):
        with pytest.raises(Ipv4Error) as caught:
            Ipv4Header.parse_quoted(broken)
        assert caught.value.fault is fault


def test_build_header_takes_the_raw_fragment_field() -> None:
    packet = build_header(1, 2, 17, 8, fragment=MORE_FRAGMENTS | DONT_FRAGMENT | 3) + bytes(8)
    header = Ipv4Header.parse(packet)
    assert (header.more_fragments, header.dont_fragment, header.fragment_offset) == (True, True, 24)


def test_options_are_padded() -> None:
    header = Ipv4Header.parse(replace(HEADER, options=b"\x94\x04\x00\x00\x01").build())
    assert header.options == b"\x94\x04\x00\x00\x01\x00\x00\x00"
    assert list(iterate_options(header.options, "IPv4")) == [(148, b"\0\0"), (1, b"")]


@pytest.mark.parametrize("options", [b"\x94", b"\x94\x00", b"\x94\x01\x00", b"\x94\x05\x00\x00", b"\x01\x07"])
def test_bad_option_lengths_are_refused(options: bytes) -> None:
    with pytest.raises(WireError, match="bad length"):
        list(iterate_options(options, "IPv4"))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(WireError, match="more than 40"):
        replace(HEADER, options=bytes(41)).build()
    assert len(HEADER.build(bytes(MAXIMUM_LENGTH - 20))) == MAXIMUM_LENGTH
    with pytest.raises(WireError, match="longer than 65535"):
        HEADER.build(bytes(MAXIMUM_LENGTH - 19))


def test_text() -> None:
    assert str(Ipv4Header.parse(replace(HEADER, dont_fragment=True).build(b"x" * 8))) == (
        "10.0.0.1 > 10.0.0.2: (tos 0x0, ttl 64, id 7, offset 0, flags [DF], proto UDP (17), length 28)"
    )
