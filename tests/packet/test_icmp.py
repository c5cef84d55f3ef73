import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet import icmp, tcp
from emulator.packet.icmp import IcmpHeader, QuotedPacket
from emulator.packet.ipv4 import Ipv4Header
from emulator.packet.udp import UdpHeader
from tests.packet.compare import without_computed

SOURCE, DESTINATION = 0x0A000001, 0x0A000002
BYTES = st.integers(0, 255)
HEADERS = st.builds(IcmpHeader, BYTES, BYTES, st.integers(0, 2**32 - 1))


def quote(protocol: int = 17, transport: bytes | None = None, **fields: int) -> bytes:
    if transport is None:
        transport = UdpHeader(1111, 2222).build(b"x" * 20, SOURCE, DESTINATION)
    return Ipv4Header(SOURCE, DESTINATION, protocol, **fields).build(transport)


@given(HEADERS, st.binary(min_size=1, max_size=40).filter(any))
def test_round_trip_and_dpkt(header: IcmpHeader, payload: bytes) -> None:
    message = header.build(payload)
    assert without_computed(IcmpHeader.parse(b"xx" + message + b"padding", 2, 2 + len(message))) == header
    assert without_computed(IcmpHeader.parse_quoted(message[:8])) == header
    assert icmp.has_valid_checksum(message, 0, len(message))
    body = header.rest.to_bytes(4, "big") + payload
    library = dpkt.icmp.ICMP(type=header.type, code=header.code, data=body)
    assert bytes(library) == message


def test_fields_by_kind_are_dpkts() -> None:
    echo = dpkt.icmp.ICMP(IcmpHeader.echo(7, 9).build(b"x")).data
    assert (echo.id, echo.seq) == (7, 9)
    unreachable = IcmpHeader.destination_unreachable(icmp.FRAGMENTATION_NEEDED, 1400)
    assert dpkt.icmp.ICMP(unreachable.build(quote())).data.mtu == unreachable.next_hop_mtu == 1400
    redirect = IcmpHeader.redirect(0x0A000009)
    assert dpkt.icmp.ICMP(redirect.build(quote())).data.gw == redirect.gateway == 0x0A000009
    problem = IcmpHeader.parameter_problem(20)
    assert problem.build()[4] == problem.pointer == 20
    assert (IcmpHeader.echo(7, 9, reply=True).type, IcmpHeader.time_exceeded(1).code) == (0, 1)
    reply = IcmpHeader.parse(IcmpHeader.echo(7, 9, reply=True).build())
    assert (reply.identifier, reply.sequence, reply.is_error) == (7, 9, False)
    assert redirect.is_error


def test_short_and_wrong_messages_are_refused() -> None:
    message = bytearray(IcmpHeader.echo(1, 2).build(b"payload"))
    for length in range(8):
        with pytest.raises(WireError, match="fewer than"):
            IcmpHeader.parse(message[:length])
    message[9] ^= 1
    with pytest.raises(WireError, match="checksum"):
        IcmpHeader.parse(message)
    assert not icmp.has_valid_checksum(message, 0, len(message))
    icmp.fill_checksum(message, 0, len(message))
    assert without_computed(IcmpHeader.parse(message)) == IcmpHeader.echo(1, 2)


def test_a_quoted_packet_is_read_with_its_ports() -> None:
    quoted = QuotedPacket.parse(b"xx" + quote()[:28], 2)
    assert (quoted.header.source, quoted.header.destination) == (SOURCE, DESTINATION)
    assert (quoted.source_port, quoted.destination_port, quoted.icmp) == (1111, 2222, None)
    segment = tcp.TcpHeader(3333, 4444, 5).build(b"", SOURCE, DESTINATION)
    quoted = QuotedPacket.parse(quote(6, segment[:8]))
    assert (quoted.source_port, quoted.destination_port, quoted.transport) == (3333, 4444, segment[:8])


def test_a_quoted_query_fragment_or_other_protocol() -> None:
    quoted = QuotedPacket.parse(quote(1, IcmpHeader.echo(7, 9).build()))
    assert without_computed(quoted.icmp) == IcmpHeader.echo(7, 9)
    assert quoted.source_port == 0
    assert QuotedPacket.parse(quote(fragment_offset=8)).source_port == 0
    assert QuotedPacket.parse(quote(47)).destination_port == 0


def test_a_quote_that_is_cut_is_refused() -> None:
    whole = quote()
    for length in range(28):
        with pytest.raises(WireError):
            QuotedPacket.parse(whole[:length])
    QuotedPacket.parse(whole[:28])


@given(HEADERS, st.binary(max_size=40))
def test_description_takes_any_bytes(header: IcmpHeader, payload: bytes) -> None:
    assert icmp.describe(header, payload).isprintable()
