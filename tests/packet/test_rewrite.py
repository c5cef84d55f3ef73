from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.packet.icmp import ECHO_REPLY, ECHO_REQUEST, IcmpHeader
from emulator.packet.ipv4 import Ipv4Header, check
from emulator.packet.rewrite import rewrite_destination, rewrite_icmp_identifier, rewrite_source
from emulator.packet.tcp import TcpHeader
from emulator.packet.udp import UdpHeader

ADDRESSES = st.integers(0, 2**32 - 1)
PORTS = st.integers(0, 0xFFFF)
PREFIX = bytes(14)


@dataclass(frozen=True)
class Flow:
    """What a packet is made of; `build` computes every checksum from nothing."""

    protocol: int
    saddr: int
    daddr: int
    sport: int
    dport: int
    payload: bytes
    options: bytes

    def transport(self) -> bytes:
        if self.protocol == 6:
            return TcpHeader(self.sport, self.dport, 1, 2).build(self.payload, self.saddr, self.daddr)
        if self.protocol == 17:
            return UdpHeader(self.sport, self.dport).build(self.payload, self.saddr, self.daddr)
        if self.protocol == 1:
            return IcmpHeader.echo(self.sport, 1).build(self.payload)
        return self.payload

    def build(self) -> bytearray:
        header = Ipv4Header(self.saddr, self.daddr, self.protocol, options=self.options)
        return bytearray(PREFIX + header.build(self.transport()))

    @property
    def transport_offset(self) -> int:
        return 34 + len(self.options)


FLOWS = st.builds(
    Flow,
    protocol=st.sampled_from([1, 6, 17, 47]),
    saddr=ADDRESSES,
    daddr=ADDRESSES,
    sport=PORTS,
    dport=PORTS,
    payload=st.binary(max_size=33),
    options=st.sampled_from([b"", b"\x94\x04\x00\x00"]),
)


@given(FLOWS, ADDRESSES, PORTS)
def test_source_rewrite_equals_a_new_packet(flow: Flow, address: int, port: int) -> None:
    packet = flow.build()
    rewrite_source(packet, 14, flow.transport_offset, flow.protocol, address, port)
    expected = Flow(flow.protocol, address, flow.daddr, port, flow.dport, flow.payload, flow.options)
    assert packet == expected.build()


@given(FLOWS, ADDRESSES, PORTS)
def test_destination_rewrite_equals_a_new_packet(flow: Flow, address: int, port: int) -> None:
    packet = flow.build()
    rewrite_destination(packet, 14, flow.transport_offset, flow.protocol, address, port)
    sport = port if flow.protocol == 1 else flow.sport
    assert packet == Flow(flow.protocol, flow.saddr, address, sport, port, flow.payload, flow.options).build()


@given(FLOWS, ADDRESSES, PORTS, ADDRESSES, PORTS)
def test_there_and_back_is_the_same_packet(flow: Flow, saddr: int, sport: int, daddr: int, dport: int) -> None:
    packet = flow.build()
    before = bytes(packet)
    where = (14, flow.transport_offset, flow.protocol)
    rewrite_source(packet, *where, saddr, sport)
    rewrite_destination(packet, *where, daddr, dport)
    assert check(packet, 14) is None
    rewrite_destination(packet, *where, flow.daddr, flow.sport if flow.protocol == 1 else flow.dport)
    rewrite_source(packet, *where, flow.saddr, flow.sport)
    assert packet == before


def test_udp_without_checksum_stays_without() -> None:
    packet = Flow(17, 1, 2, 3, 4, b"payload", b"").build()
    packet[40:42] = b"\0\0"
    rewrite_source(packet, 14, 34, 17, 9, 9)
    rewrite_destination(packet, 14, 34, 17, 8, 8)
    assert packet[34:42] == bytes.fromhex("00090008000f0000")


def test_udp_that_comes_to_zero_is_sent_as_ones() -> None:
    packet = Flow(17, 1, 2, 3, 4, b"payload", b"").build()
    port = (3 + int.from_bytes(packet[40:42], "big")) % 0xFFFF
    rewrite_source(packet, 14, 34, 17, 1, port)
    assert packet[40:42] == b"\xff\xff"
    assert packet == Flow(17, 1, 2, port, 4, b"payload", b"").build()


def test_a_wrong_checksum_stays_wrong() -> None:
    packet = Flow(6, 1, 2, 3, 4, b"payload", b"").build()
    packet[-1] ^= 1
    rewrite_source(packet, 14, 34, 6, 9, 9)
    expected = Flow(6, 9, 2, 9, 4, b"payload", b"").build()
    expected[-1] ^= 1
    assert packet == expected


@pytest.mark.parametrize("length", range(8, 20))
def test_a_quoted_segment_that_is_cut_before_its_checksum(length: int) -> None:
    packet = Flow(6, 1, 2, 3, 4, b"", b"").build()[: 34 + length]
    rewrite_source(packet, 14, 34, 6, 9, 10)
    rewrite_destination(packet, 14, 34, 6, 11, 12)
    expected = Flow(6, 9, 11, 10, 12, b"", b"").build()
    # As Linux: behind the ports nothing changes unless the whole header is there.
    original = Flow(6, 1, 2, 3, 4, b"", b"").build()
    assert packet[:24] == expected[:24]
    assert packet[26:38] == expected[26:38]
    assert packet[38:] == original[38 : 34 + length]


@pytest.mark.parametrize("kind", [ECHO_REQUEST, ECHO_REPLY])
def test_identifiers_of_queries(kind: int) -> None:
    message = bytearray(IcmpHeader(kind, 0, 7 << 16 | 1).build(b"x"))
    rewrite_icmp_identifier(message, 0, 0xFFFF)
    assert message == IcmpHeader(kind, 0, 0xFFFF << 16 | 1).build(b"x")


def test_an_icmp_error_has_no_identifier() -> None:
    message = bytearray(IcmpHeader.redirect(0x0A000001).build(b"x" * 28))
    before = bytes(message)
    rewrite_icmp_identifier(message, 0, 5)
    assert message == before
