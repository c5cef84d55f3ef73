"""Link layers of captures, against dpkt's and against what tcpdump makes of a cooked capture."""

from __future__ import annotations

import struct

import dpkt
import pytest

from emulator.errors import WireError
from emulator.packet.linktype import (
    ETHERNET,
    IPV4,
    IPV6,
    LINUX_SLL,
    LINUX_SLL2,
    OUTGOING,
    RAW,
    LinkLayer,
    is_known,
    read_link_layer,
)

MAC = bytes.fromhex("020000000001")


def test_ethernet_and_raw() -> None:
    frame = bytes(12) + b"\x08\x06" + b"arp"
    assert read_link_layer(ETHERNET, frame) == LinkLayer(14, 0x0806)
    assert read_link_layer(RAW, b"\x45") == LinkLayer(0, 0x0800)
    assert read_link_layer(12, b"\x60") == LinkLayer(0, 0x86DD)
    assert read_link_layer(IPV4, b"\x45") == LinkLayer(0, 0x0800)
    assert read_link_layer(IPV6, b"\x60") == LinkLayer(0, 0x86DD)


def test_cooked_as_dpkt_builds_it() -> None:
    cooked = dpkt.sll.SLL(type=4, hrd=1, hlen=6, hdr=MAC + b"\0\0", ethtype=0x0800, data=b"ip")
    assert read_link_layer(LINUX_SLL, bytes(cooked)) == LinkLayer(16, 0x0800, OUTGOING, MAC)
    second = dpkt.sll2.SLL2(type=0, hrd=1, hlen=6, hdr=MAC + b"\0\0", ethtype=0x0806, intindex=3, data=b"arp")
    assert read_link_layer(LINUX_SLL2, bytes(second)) == LinkLayer(20, 0x0806, 0, MAC)


def test_cooked_without_an_address() -> None:
    """A tun link has none."""
    head = struct.pack("!HHH8sH", 0, 65534, 0, b"garbage!", 0x0800)
    assert read_link_layer(LINUX_SLL, head).source is None


@pytest.mark.parametrize(
    ("linktype", "length", "message"),
    [
        (ETHERNET, 13, "Ethernet: 13 bytes are fewer than the header's 14"),
        (RAW, 0, "raw IP: 0 bytes are fewer than the header's 1"),
        (LINUX_SLL, 15, "Linux cooked: 15 bytes are fewer than the header's 16"),
        (LINUX_SLL2, 19, "Linux cooked v2: 19 bytes are fewer than the header's 20"),
        (0, 90, "link type 0 is not known; known are Ethernet (1), raw IP (101), raw IPv4 (228), raw IPv6 (229), "
         "Linux cooked v1 (113), Linux cooked v2 (276)"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(linktype: int, length: int, message: str) -> None:
    with pytest.raises(WireError) as caught:
        read_link_layer(linktype, bytes(length))
    assert str(caught.value) == message
    assert is_known(linktype) == (linktype != 0)
