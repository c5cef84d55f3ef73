import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet.address import mac_to_bytes, mac_to_int
from emulator.packet.ethernet import (
    ETHERTYPE_IPV4,
    ETHERTYPE_QINQ,
    ETHERTYPE_VLAN,
    EthernetHeader,
    VlanTag,
    build_header,
)

MACS = st.integers(0, 2**48 - 1)
TAGS = st.builds(
    VlanTag, st.integers(0, 4095), st.integers(0, 7), st.booleans(), st.sampled_from([ETHERTYPE_VLAN, ETHERTYPE_QINQ])
)
ETHERTYPES = st.integers(0, 0xFFFF).filter(lambda value: value not in {ETHERTYPE_VLAN, ETHERTYPE_QINQ})
HEADERS = st.builds(EthernetHeader, MACS, MACS, ETHERTYPES, st.lists(TAGS, max_size=8).map(tuple))


@given(HEADERS, st.binary(max_size=20), st.integers(0, 5))
def test_round_trip(header: EthernetHeader, payload: bytes, offset: int) -> None:
    frame = bytes(offset) + header.build(payload)
    assert EthernetHeader.parse(frame, offset) == header
    assert frame[offset + header.length :] == payload


@given(MACS, MACS, ETHERTYPES)
def test_build_header_is_the_untagged_header(destination: int, source: int, ethertype: int) -> None:
    assert build_header(destination, source, ethertype) == EthernetHeader(destination, source, ethertype).build()


def test_dpkt_reads_what_is_built() -> None:
    tag = VlanTag(5, 3, True)
    frame = EthernetHeader(mac_to_int("02:00:00:00:00:01"), 2, 0x1234, (tag,)).build(b"payload")
    parsed = dpkt.ethernet.Ethernet(frame)
    assert parsed.dst == mac_to_bytes(0x020000000001)
    assert parsed.src == mac_to_bytes(2)
    assert (parsed.vlan_tags[0].id, parsed.vlan_tags[0].pri, parsed.vlan_tags[0].cfi) == (5, 3, 1)
    assert parsed.vlan_tags[0].type == 0x1234


def test_what_dpkt_builds_is_read() -> None:
    frame = bytes(dpkt.ethernet.Ethernet(dst=mac_to_bytes(1), src=mac_to_bytes(2), type=0x1234, data=b"x"))
    assert EthernetHeader.parse(frame) == EthernetHeader(1, 2, 0x1234)


def test_short_frames_are_refused() -> None:
    tagged = EthernetHeader(1, 2, ETHERTYPE_IPV4, (VlanTag(1), VlanTag(2))).build()
    for length in range(len(tagged)):
        with pytest.raises(WireError, match="Ethernet"):
            EthernetHeader.parse(tagged[:length])


def test_endless_tags_are_refused() -> None:
    with pytest.raises(WireError, match="more than 8"):
        EthernetHeader.parse(bytes(12) + b"\x81\x00\x00\x01" * 1000)


def test_text() -> None:
    text = str(EthernetHeader(0xFFFFFFFFFFFF, 2, ETHERTYPE_IPV4, (VlanTag(5),)))
    assert text == "00:00:00:00:00:02 > ff:ff:ff:ff:ff:ff, ethertype 802.1Q, vlan 5, p 0, ethertype IPv4 (0x0800)"
