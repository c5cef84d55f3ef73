"""Frames that stand for several TCP segments: how they travel, where they are cut, and what comes of it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.api.codec import MAX_NAME, datagram_room
from emulator.kernel import gso
from emulator.kernel.drop import DropReason
from emulator.kernel.kernel import Kernel
from emulator.kernel.link import veth
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route
from emulator.kernel.skb import Skb
from emulator.kernel.tcp.connection import TcpSocket
from emulator.packet.address import ipv4_to_int, mac_to_int
from emulator.packet.checksum import is_valid, pseudo_header_sum
from emulator.packet.ethernet import EthernetHeader
from emulator.packet.ipv4 import Ipv4Header
from emulator.packet.tcp import TcpHeader
from tests.kernel.frames import ethernet, ipv4
from tests.kernel.router import A_MAC, CLIENT, CLIENT_MAC, SERVER, Router, run, taken

MSS = 1448
CLIENT_IP, SERVER_IP = ipv4_to_int(CLIENT), ipv4_to_int(SERVER)


def large(payload: bytes, flags: int = 0x18, identification: int = 0xFFFE, *, dont_fragment: bool = True) -> bytes:
    """A frame of the client to the server through the router, as its NIC would give it whole."""
    header = TcpHeader(4000, 80, 0xFFFFFF00, 7, flags, 1000, options=b"\x01\x01\x08\x0a" + bytes(8))
    segment = bytearray(header.build(payload, CLIENT_IP, SERVER_IP))
    segment[16:18] = b"\0\0"
    partial = -pseudo_header_sum(CLIENT_IP, SERVER_IP, 6, len(segment)) - int.from_bytes(segment[:32], "big")
    segment[16:18] = (partial % 0xFFFF).to_bytes(2, "big")
    packet = Ipv4Header(
        CLIENT_IP, SERVER_IP, 6, identification=identification, ttl=64, dont_fragment=dont_fragment
    ).build(bytes(segment))
    return EthernetHeader(mac_to_int(A_MAC), mac_to_int(CLIENT_MAC), 0x0800).build(packet)


def skb_of(frame: bytes, size: int = MSS) -> Skb:
    skb = Skb(bytearray(frame))
    skb.gso_size = size
    return skb


def check(frame: bytes) -> tuple[Ipv4Header, TcpHeader, bytes]:
    """Parse a frame whose checksums must be right."""
    ip = Ipv4Header.parse(frame, 14)
    assert len(frame) == 14 + ip.total_length
    start = 14 + ip.header_length
    assert is_valid(frame[14:start])
    assert is_valid(frame[start:], pseudo_header_sum(ip.source, ip.destination, 6, len(frame) - start))
    tcp = TcpHeader.parse(frame, start)
    return ip, tcp, frame[start + tcp.header_length :]


@given(st.integers(2, 40_000), st.integers(500, 9000))
def test_each_segment_is_one_that_the_sender_could_have_sent(length: int, size: int) -> None:
    payload = random.Random(length).randbytes(length)
    pieces = [bytes(piece.data) for piece in gso.segment(skb_of(large(payload, flags=0x99), size))]
    parsed = [check(piece) for piece in pieces]
    assert b"".join(data for _, _, data in parsed) == payload
    assert {len(data) for _, _, data in parsed[:-1]} <= {size}
    assert [tcp.sequence for _, tcp, _ in parsed] == [
        0xFFFFFF00 + index * size & 0xFFFFFFFF for index in range(len(parsed))
    ]
    assert [ip.identification for ip, _, _ in parsed] == [0xFFFE + index & 0xFFFF for index in range(len(parsed))]
    flags = [tcp.flags for _, tcp, _ in parsed]
    if len(flags) > 1:  # CWR in the first, FIN and PSH in the last
        assert (flags[0], flags[-1], set(flags[1:-1])) == (0x90, 0x19, set(flags[1:-1]) & {0x10})


def test_a_router_forwards_it_as_one_packet_and_counts_it_so() -> None:
    router = Router()
    router.b.tso_max_size = 0xFFFF
    router.ns.netfilter.restore("*filter\n:FORWARD ACCEPT\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n")
    frame = large(bytes(10 * MSS))
    router.a.receive_frame(frame, None, MSS)
    router.run()
    ((out, _, gso_size),) = router.b.transmit_queue
    assert (gso_size, len(out)) == (MSS, len(frame))
    assert (router.b.counters.tx_packets, router.b.counters.tx_bytes) == (1, len(frame))
    rule = router.ns.netfilter.tables["filter"].chains["FORWARD"].rules[0]
    assert (rule.packets, rule.bytes) == (1, len(frame) - 14)


def test_a_nic_that_does_not_segment_gets_segments_whose_addresses_nat_has_changed() -> None:
    router = Router()
    router.ns.netfilter.restore("*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -o b -j MASQUERADE\nCOMMIT\n")
    payload = random.Random(1).randbytes(10 * MSS + 5)
    router.a.receive_frame(large(payload), None, MSS)
    router.run()
    parsed = [check(frame) for frame, _, _ in router.b.transmit_queue]
    assert b"".join(data for _, _, data in parsed) == payload
    assert {ip.source for ip, _, _ in parsed} == {ipv4_to_int("10.2.0.1")}
    assert router.b.counters.tx_packets == 11  # as they left


def test_a_broken_header_is_still_found_by_conntrack() -> None:
    router = Router()
    router.ns.netfilter.restore("*filter\n:FORWARD DROP\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n")
    for flip, forwarded in ((0, 10), (1, 0)):
        frame = bytearray(large(bytes(10 * MSS)))
        frame[14 + 20 + 8] ^= flip
        router.a.receive_frame(bytes(frame), None, MSS)
        router.run()
        assert len(taken(router.b)) == forwarded
        router.ns.netfilter.conntrack.flush()


def test_a_link_too_narrow_for_one_segment_refuses_and_reports_it() -> None:
    router = Router()
    router.b.set_mtu(1000)
    router.a.receive_frame(large(bytes(10 * MSS)), None, MSS)
    router.run()
    assert router.ns.drops[DropReason.PKT_TOO_BIG] == 1
    (error,) = (frame for frame, _, _ in router.a.transmit_queue)
    assert error[34:36] == b"\x03\x04"
    assert int.from_bytes(error[40:42], "big") == 1000
    assert not router.b.transmit_queue


def test_without_df_a_narrow_link_gets_fragments_of_each_segment() -> None:
    router = Router()
    router.b.set_mtu(1000)
    router.b.tso_max_size = 0xFFFF
    router.a.receive_frame(large(bytes(3 * MSS), dont_fragment=False), None, MSS)
    router.run()
    headers = [Ipv4Header.parse(frame, 14) for frame, _, _ in router.b.transmit_queue]
    assert [(header.identification, header.more_fragments) for header in headers] == [
        (identification, more) for identification in (0xFFFE, 0xFFFF, 0) for more in (True, False)
    ]


@given(st.binary(max_size=200), st.integers(1, 70_000))
def test_any_bytes_may_come_with_a_segment_size(frame: bytes, size: int) -> None:
    router = Router()
    for each in (
        frame,
        ethernet(A_MAC, CLIENT_MAC, frame),
        ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, SERVER, 6, frame)),
    ):
        router.a.receive_frame(each, None, size)
    router.run()


def test_the_largest_fits_in_a_datagram_of_the_underlay() -> None:
    longest = 14 + 60 + 60 + gso.MAXIMUM_PAYLOAD
    assert longest <= datagram_room("n" * MAX_NAME) - 40


class Path:
    """A client behind a bridge, a router, and a server: all on one machine; the router's far link may be narrow."""

    def __init__(self, far_mtu: int = 1500) -> None:
        self.kernel = Kernel("machine", random.Random(1))
        self.client, self.router, self.server = (Netns(self.kernel, name) for name in ("client", "router", "server"))
        near, port = veth.pair(self.client, "eth0", self.router, "port", 0x0200000000A1, 0x0200000000A2)
        bridge = Bridge(self.router, "br0")
        bridge.add_port(port)
        self.far, end = veth.pair(self.router, "far", self.server, "eth0", 0x0200000000B1, 0x0200000000B2)
        self.far.set_mtu(far_mtu)
        for link in (near, port, bridge, self.far, end):
            link.set_up()
        for netns, link, address in (
            (self.client, near, "10.1.0.2"), (self.router, bridge, "10.1.0.1"),
            (self.router, self.far, "10.2.0.1"), (self.server, end, "10.2.0.2"),
        ):  # fmt: skip
            netns.add_address(link, ipv4_to_int(address), 24)
        self.client.fib.add(Route(0, 0, gateway=ipv4_to_int("10.1.0.1")))
        self.server.fib.add(Route(0, 0, gateway=ipv4_to_int("10.2.0.1")))
        self.router.sysctl.set("net.ipv4.ip_forward", 1)
        self.sizes: list[tuple[int, int]] = []
        self.far.taps.append(lambda _, way, skb: self.sizes.append((len(skb.data), skb.gso_size)))

    def transfer(self, data: bytes) -> tuple[bytes, TcpSocket]:
        listener = self.server.sockets.listen(("0.0.0.0", 80))
        client = self.client.sockets.connect(("10.2.0.2", 80))
        run(self.kernel, 1)
        server = listener.accept()
        assert server is not None
        received = bytearray()
        view = memoryview(data)
        while len(received) < len(data):
            if view:
                view = view[client.send(view) :]
            run(self.kernel, 0.01)
            while piece := server.receive(1 << 20):
                received += piece
            assert self.kernel.now < 100
        return bytes(received), client


def test_a_transfer_crosses_bridge_router_and_veth_in_large_frames() -> None:
    path = Path()
    data = random.Random(1).randbytes(2_000_000)
    received, client = path.transfer(data)
    assert received == data
    assert client.mss == 1448
    full = [size for size, gso_size in path.sizes if gso_size == 1448]
    assert max(full) == 66 + 40 * 1448
    assert len(full) < 100  # instead of 1,382 segments


@pytest.mark.parametrize("mtu", [1400, 1006, 576])
def test_a_narrow_link_behind_the_router_lowers_the_segment_size(mtu: int) -> None:
    path = Path(mtu)
    data = random.Random(1).randbytes(300_000)
    received, client = path.transfer(data)
    assert received == data
    assert client.mss == mtu - 52
    assert path.router.drops[DropReason.PKT_TOO_BIG] >= 1
    assert {gso_size for _, gso_size in path.sizes} <= {0, mtu - 52}
