import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet.address import ipv4_to_int, mac_to_int
from emulator.packet.arp import LENGTH, REPLY, REQUEST, ArpPacket

MACS = st.integers(0, 2**48 - 1)
ADDRESSES = st.integers(0, 2**32 - 1)
PACKETS = st.builds(ArpPacket, st.integers(0, 0xFFFF), MACS, ADDRESSES, MACS, ADDRESSES)


@given(PACKETS, st.binary(max_size=20))
def test_round_trip_and_dpkt(packet: ArpPacket, padding: bytes) -> None:
    built = packet.build()
    assert ArpPacket.parse(b"xy" + built + padding, 2) == packet
    assert bytes(dpkt.arp.ARP(built)) == built
    library = dpkt.arp.ARP(built)
    assert int.from_bytes(library.sha, "big") == packet.sender_mac
    assert int.from_bytes(library.tpa, "big") == packet.target_address
    assert library.op == packet.operation


def test_other_hardware_and_short_packets_are_refused() -> None:
    built = ArpPacket(REQUEST, 1, 2, 3, 4).build()
    for length in range(LENGTH):
        with pytest.raises(WireError, match="fewer than 28"):
            ArpPacket.parse(built[:length])
    for position, reason in ((1, "not Ethernet"), (4, "not Ethernet"), (2, "not IPv4"), (5, "not IPv4")):
        broken = bytearray(built)
        broken[position] ^= 0x10
        with pytest.raises(WireError, match=reason):
            ArpPacket.parse(broken)


def test_text() -> None:
    mac, sender, target = mac_to_int("02:00:00:00:00:02"), ipv4_to_int("10.0.0.1"), ipv4_to_int("10.0.0.2")
    assert str(ArpPacket(REQUEST, mac, sender, 0, target)) == "Request who-has 10.0.0.2 tell 10.0.0.1"
    assert str(ArpPacket(REPLY, mac, sender, 1, target)) == "Reply 10.0.0.1 is-at 02:00:00:00:00:02"
    unicast = str(ArpPacket(REQUEST, 1, sender, mac, target))
    assert unicast == "Request who-has 10.0.0.2 (02:00:00:00:00:02) tell 10.0.0.1"
    assert str(ArpPacket(9, mac, sender, 0, target)) == "operation 9 from 10.0.0.1 to 10.0.0.2"
