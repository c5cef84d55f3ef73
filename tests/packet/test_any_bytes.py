"""No parser raises anything but WireError, on random bytes and on valid packets with some bytes changed or cut off."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet import tcp_options
from emulator.packet.address import Buffer
from emulator.packet.arp import ArpPacket
from emulator.packet.dns import Message
from emulator.packet.dns_record import CNAME, SOA, SRV, TXT, A, Question, Record, Soa, Srv
from emulator.packet.ethernet import EthernetHeader, VlanTag
from emulator.packet.icmp import IcmpHeader, QuotedPacket
from emulator.packet.ipv4 import Ipv4Header
from emulator.packet.options import iterate_options
from emulator.packet.sctp import Chunk, SctpHeader, parse_chunks
from emulator.packet.tcp import TcpHeader
from emulator.packet.tcp_options import TcpOptions
from emulator.packet.udp import UdpHeader

WEB = "web.default.svc.cluster.local."
DNS = Message(7, (Question(WEB),)).reply(
    answers=(
        Record(WEB, CNAME, 5, "b.local."),
        Record("b.local.", A, 5, 1),
        Record("b.local.", SRV, 5, Srv(1, 2, 3, WEB)),
        Record("b.local.", TXT, 5, (b"one", b"two")),
        Record("local.", SOA, 5, Soa("a.local.", "b.local.", 1, 2, 3, 4, 5)),
    )
)
OPTIONS = TcpOptions(1460, 7, sack_permitted=True, timestamps=(1, 2), sack=((1, 2),))
SCTP = SctpHeader(1, 2, 3).build([Chunk(0, 3, b"data"), Chunk(11), Chunk(200, 0, b"x")])
QUOTE = Ipv4Header(1, 2, 17).build(UdpHeader(1, 2).build(b"x", 1, 2))

Parser = Callable[[Buffer], object]
PARSERS: list[tuple[str, Parser, bytes]] = [
    ("ethernet", EthernetHeader.parse, EthernetHeader(1, 2, 0x800, (VlanTag(1), VlanTag(2))).build()),
    ("arp", ArpPacket.parse, ArpPacket(1, 2, 3, 4, 5).build()),
    ("ipv4", Ipv4Header.parse, Ipv4Header(1, 2, 3, options=b"\x94\x04\0\0").build(b"x")),
    ("ipv4 quoted", Ipv4Header.parse_quoted, QUOTE),
    ("ipv4 options", lambda data: list(iterate_options(data, "IPv4")), b"\x94\x04\0\0\x01\x07\x07\x04\0\0\0\0"),
    ("icmp", IcmpHeader.parse, IcmpHeader.echo(1, 2).build(b"x")),
    ("icmp quote", QuotedPacket.parse, QUOTE),
    ("udp", UdpHeader.parse, UdpHeader(1, 2).build(b"x", 1, 2)),
    ("sctp", SctpHeader.parse, SCTP),
    ("sctp chunks", lambda data: list(parse_chunks(data)), SCTP),
    ("tcp", TcpHeader.parse, TcpHeader(1, 2, 3, options=OPTIONS.build()).build(b"x", 1, 2)),
    ("tcp options", TcpOptions.parse, OPTIONS.build()),
    ("tcp options text", tcp_options.format_options, OPTIONS.build()),
    ("dns", Message.parse, DNS.build()),
]


def parse(parser: Parser, data: bytes) -> None:
    for buffer in (data, bytearray(data), memoryview(data)):
        try:
            text = str(parser(buffer))
        except WireError as error:
            text = str(error)
        assert "\n" not in text


@pytest.mark.parametrize(("parser", "valid"), [case[1:] for case in PARSERS], ids=[case[0] for case in PARSERS])
@settings(max_examples=80)
@given(data=st.data())
def test_only_wire_errors(parser: Parser, valid: bytes, data: st.DataObject) -> None:
    parse(parser, valid)
    parse(parser, data.draw(st.binary(max_size=80)))
    changed = bytearray(valid)
    positions = st.integers(0, len(valid) - 1)
    for position, value in data.draw(st.lists(st.tuples(positions, st.integers(0, 255)), max_size=5)):
        changed[position] = value
    parse(parser, bytes(changed[: data.draw(st.integers(0, len(valid)))]))
    parse(parser, bytes(changed))
