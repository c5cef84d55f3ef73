import io
import subprocess

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.packet import arp, icmp, tcp
from emulator.packet.describe import describe_frame, describe_ipv4
from emulator.packet.dns import NXDOMAIN, Message
from emulator.packet.dns_record import AAAA, CNAME, NS, OPT, PTR, SRV, TXT, A, Question, Record, Srv
from emulator.packet.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, EthernetHeader, VlanTag
from emulator.packet.icmp import IcmpHeader
from emulator.packet.ipv4 import Ipv4Header
from emulator.packet.tcp_options import TcpOptions
from emulator.packet.udp import UdpHeader

SOURCE, DESTINATION = 0x0A000001, 0x0A000002
WEB = "web.default.svc.cluster.local."


def ipv4_frame(protocol: int, transport: bytes, **fields: int) -> bytes:
    packet = Ipv4Header(SOURCE, DESTINATION, protocol, **fields).build(transport)
    return EthernetHeader(1, 2, ETHERTYPE_IPV4).build(packet)


def tcp_frame(header: tcp.TcpHeader, payload: bytes = b"") -> bytes:
    return ipv4_frame(6, header.build(payload, SOURCE, DESTINATION))


def udp_frame(payload: bytes, source_port: int = 1000, destination_port: int = 2000) -> bytes:
    return ipv4_frame(17, UdpHeader(source_port, destination_port).build(payload, SOURCE, DESTINATION))


def arp_frames() -> list[bytes]:
    packets = [
        arp.ArpPacket(arp.REQUEST, 2, SOURCE, 0, DESTINATION),
        arp.ArpPacket(arp.REQUEST, 2, SOURCE, 7, DESTINATION),
        arp.ArpPacket(arp.REQUEST, 2, SOURCE, 0, SOURCE),
        arp.ArpPacket(arp.REPLY, 2, SOURCE, 1, DESTINATION),
    ]
    return [EthernetHeader(1, 2, ETHERTYPE_ARP).build(packet.build() + bytes(18)) for packet in packets]


def tcp_frames() -> list[bytes]:
    syn_options = TcpOptions(1460, 7, sack_permitted=True, timestamps=(1, 0)).build()
    every = tcp.FIN | tcp.SYN | tcp.RST | tcp.PSH | tcp.ACK | tcp.URG | tcp.ECE | tcp.CWR
    return [
        tcp_frame(tcp.TcpHeader(1000, 2000, 5, flags=tcp.SYN, window=64240, options=syn_options)),
        tcp_frame(tcp.TcpHeader(1000, 2000, 5, 6, tcp.ACK | tcp.PSH, 100), b"hello"),
        tcp_frame(tcp.TcpHeader(1000, 2000, 2**32 - 1, 6, tcp.ACK), b"hello"),
        tcp_frame(tcp.TcpHeader(1000, 2000, 5, 6, options=TcpOptions(sack=((1, 2), (5, 9))).build())),
        tcp_frame(tcp.TcpHeader(1000, 2000, 5, 6, every, 1, 7)),
        tcp_frame(tcp.TcpHeader(1000, 2000, 5, 6, 0)),
        tcp_frame(tcp.TcpHeader(1000, 2000, 5, 6, options=bytes.fromhex("630405b401010100"))),
        tcp_frame(tcp.TcpHeader(1000, 2000, 5, 6, options=bytes.fromhex("020405b400000000"))),
    ]


def icmp_frames() -> list[bytes]:
    about_udp = Ipv4Header(DESTINATION, SOURCE, 17).build(UdpHeader(1, 33).build(b"x", DESTINATION, SOURCE))
    segment = tcp.TcpHeader(1, 33, 1).build(b"", DESTINATION, SOURCE)
    about_tcp = Ipv4Header(DESTINATION, SOURCE, 6).build(segment)
    headers = [IcmpHeader.destination_unreachable(code) for code in range(17)]
    headers += [IcmpHeader.destination_unreachable(icmp.FRAGMENTATION_NEEDED, 1400)]
    headers += [IcmpHeader.time_exceeded(code) for code in range(3)]
    headers += [IcmpHeader.redirect(0x0A000009, code) for code in range(5)]
    headers += [IcmpHeader.parameter_problem(20, code) for code in range(3)]
    headers += [IcmpHeader.echo(1, 2), IcmpHeader.echo(1, 2, reply=True)]
    headers += [IcmpHeader(kind, 0, 0x10002) for kind in (4, 13, 15, 16, 17, 40)]
    about = IcmpHeader.destination_unreachable(icmp.PORT_UNREACHABLE).build(about_tcp)
    return [*(ipv4_frame(1, header.build(about_udp)) for header in headers), ipv4_frame(1, about)]


def fragment_frames() -> list[bytes]:
    whole = UdpHeader(1000, 2000).build(b"a" * 80, SOURCE, DESTINATION)
    return [
        ipv4_frame(17, whole[:40], more_fragments=True),
        ipv4_frame(17, whole[40:], fragment_offset=40),
        ipv4_frame(99, whole, fragment_offset=40),
        ipv4_frame(99, whole),
    ]


def dns_frames() -> list[bytes]:
    query = Message(7, (Question(WEB),), recursion_desired=True)
    option = Record(".", OPT, 0, b"", 1232)
    answers = (
        Record(WEB, CNAME, 5, "b."),
        Record("b.", A, 5, DESTINATION),
        Record("b.", AAAA, 5, 1),
        Record("b.", SRV, 5, Srv(1, 2, 80, "t.x.")),
        Record("b.", TXT, 5, (b"hi", b"yo")),
        Record("b.", PTR, 5, "p."),
        Record("b.", NS, 5, "n."),
    )
    queries = [query, Message(2, (Question("a.", AAAA),), additionals=(option,), checking_disabled=True)]
    replies = [query.reply(answers=answers), query.reply(NXDOMAIN, authoritative=False)]
    replies += [query.reply(rcode) for rcode in range(9)]
    return [
        *(udp_frame(message.build(), 4000, 53) for message in queries),
        *(udp_frame(message.build(), 53, 4000) for message in replies),
    ]


def every_frame() -> list[bytes]:
    udp = [udp_frame(b"abc"), udp_frame(b"")]
    return [*arp_frames(), *tcp_frames(), *udp, *icmp_frames(), *fragment_frames(), *dns_frames()]


@pytest.mark.kernel
def test_the_text_is_tcpdumps() -> None:
    frames = every_frame()
    capture = io.BytesIO()
    writer = dpkt.pcap.Writer(capture, snaplen=65535)
    for frame in frames:
        writer.writepkt(frame, ts=1)
    command = ["tcpdump", "-nn", "-t", "-S", "-r", "-"]
    result = subprocess.run(command, input=capture.getvalue(), capture_output=True, check=True, timeout=30)
    assert [describe_frame(frame) for frame in frames] == result.stdout.decode().splitlines()


def test_known_lines() -> None:
    lines = [describe_frame(frame) for frame in every_frame()]
    for line in (
        "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 46",
        "ARP, Reply 10.0.0.1 is-at 00:00:00:00:00:02, length 46",
        "IP 10.0.0.1.1000 > 10.0.0.2.2000: Flags [P.], seq 5:10, ack 6, win 100, length 5",
        "IP 10.0.0.1.1000 > 10.0.0.2.2000: UDP, length 3",
        "IP 10.0.0.1 > 10.0.0.2: ICMP 10.0.0.1 udp port 33 unreachable, length 37",
        "IP 10.0.0.1 > 10.0.0.2: ICMP 10.0.0.1 unreachable - need to frag (mtu 1400), length 37",
        "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 2, length 37",
        "IP 10.0.0.1 > 10.0.0.2: ip-proto-17",
        f"IP 10.0.0.1.4000 > 10.0.0.2.53: 7+ A? {WEB} (47)",
    ):
        assert line in lines


def test_tags_other_ethertypes_and_faults() -> None:
    tagged = EthernetHeader(1, 2, ETHERTYPE_IPV4, (VlanTag(5),)).build(udp_frame(b"abc")[14:])
    assert describe_frame(tagged) == "vlan 5, p 0, IP 10.0.0.1.1000 > 10.0.0.2.2000: UDP, length 3"
    other = EthernetHeader(1, 2, 0x88CC).build(b"xx")
    assert describe_frame(other) == "00:00:00:00:00:02 > 00:00:00:00:00:01, ethertype Unknown (0x88cc), length 16"
    assert describe_frame(b"xx") == "[Ethernet: 2 bytes are fewer than the header's 14]"
    assert describe_ipv4(udp_frame(b"abc")[14:40]).endswith("[UDP: 6 bytes are fewer than the header's 8]")
    assert describe_ipv4(b"\x65" + bytes(30)) == "IP [IPv4: the version is not 4]"


@given(
    st.sampled_from(every_frame()),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.integers(0, 200),
)
def test_any_bytes_have_one_printable_line(frame: bytes, changes: list[tuple[int, int]], length: int) -> None:
    changed = bytearray(frame[:length])
    for position, value in changes:
        if position < len(changed):
            changed[position] = value
    assert describe_frame(changed).isprintable()
