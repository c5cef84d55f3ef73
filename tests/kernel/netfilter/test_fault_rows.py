"""Faults of the datapath, by their rows: bad packets, exhausted ports, a full table. None of them is an exception."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.error import RestoreError
from tests.kernel.frames import ipv4
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.router import Router
from tests.kernel.netfilter.wire import ACK, FIN, PSH, RST, SYN

CLIENT, OTHER, SERVER = "10.0.1.2", "10.0.1.3", "10.0.2.2"
TRACK = "*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
NAT = "*nat\n-A PREROUTING -d 10.96.0.1 -j DNAT --to-destination 10.0.2.2\n-A POSTROUTING -o b -j MASQUERADE\nCOMMIT\n"
PROTOCOLS = (1, 6, 17, 33, 47, 50, 89, 132, 136)


def established(router: Router) -> None:
    router.send("a", wire.tcp(CLIENT, 5, SERVER, 80, SYN, 100))
    router.send("b", wire.tcp(SERVER, 80, CLIENT, 5, SYN | ACK, 500, 101))
    router.send("a", wire.tcp(CLIENT, 5, SERVER, 80, ACK, 101, 501))
    router.send("b", wire.tcp(SERVER, 80, CLIENT, 5, ACK | PSH, 501, 101, b"data"))
    router.send("a", wire.tcp(CLIENT, 5, SERVER, 80, ACK, 101, 505))


@pytest.mark.parametrize(
    "packet",
    [wire.udp(CLIENT, 1, SERVER, 2), wire.tcp(CLIENT, 1, SERVER, 2, SYN), wire.echo(CLIENT, SERVER, 3),
     wire.sctp(CLIENT, 1, SERVER, 2, 0, wire.chunk(1, 0, bytes(16)))],
)  # fmt: skip
def test_fault_row_21_a_bad_checksum_or_length_is_invalid(packet: bytes) -> None:
    router = Router(TRACK)
    for broken in (packet[:-1] + bytes((packet[-1] ^ 1,)), wire.ip(CLIENT, SERVER, packet[9], packet[20:23])):
        assert router.send("a", broken) == []
    assert router.ns.drops[DropReason.NETFILTER_DROP] == 2
    assert router.ns.netfilter.conntrack.statistics.invalid + router.ns.netfilter.conntrack.statistics.error == 2
    assert router.connections() == []


@settings(max_examples=150, deadline=None)
@given(
    protocol=st.sampled_from(PROTOCOLS),
    payload=st.binary(max_size=80),
    options=st.sampled_from([b"", b"\1\1\1\0", b"\x07\x07\x04\0\0\0\0\0", b"\x94\x04\0\0"]),
    fragment=st.sampled_from([0, 0, 0x4000, 0x2000, 0x2001, 0x0003]),
    checked=st.booleans(),
)
def test_fault_row_21_no_packet_is_an_exception(
    protocol: int, payload: bytes, options: bytes, fragment: int, checked: bool
) -> None:
    router = Router(TRACK + NAT)
    if not checked:
        router.ns.sysctl.set("net.netfilter.nf_conntrack_checksum", 0)
    for link, source, destination in (("a", CLIENT, "10.96.0.1"), ("b", SERVER, "10.0.2.1"), ("a", CLIENT, SERVER)):
        router.send(link, ipv4(source, destination, protocol, payload, options=options, fragment=fragment))
    router.pass_time(60)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([3, 4, 5, 11, 12]), st.integers(0, 40))
def test_fault_row_21_no_quoted_packet_is_an_exception(quoted: bytes, kind: int, kept: int) -> None:
    router = Router(TRACK + NAT)
    router.send("a", wire.udp(CLIENT, 5, "10.96.0.1", 53))
    ((_, answered),) = [(link, out) for link, out in router.send("a", wire.udp(CLIENT, 5, "10.96.0.1", 53))]
    for about in (quoted, answered[:kept] + quoted, answered[:kept]):
        router.send("b", wire.icmp_error(SERVER, "10.0.2.1", about, kind, 0))


def test_fault_row_23_impossible_flags_are_invalid() -> None:
    router = Router(TRACK)
    for flags in (0, SYN | FIN, SYN | RST, FIN, FIN | PSH, PSH, RST | FIN, 63):
        assert router.send("a", wire.tcp(CLIENT, 5, SERVER, 80, flags, 1)) == []
    assert router.connections() == []
    established(router)
    before = str(router.connections()[0])
    for flags in (0, SYN | FIN, FIN, 63):
        assert router.send("a", wire.tcp(CLIENT, 5, SERVER, 80, flags, 101, 505)) == []
    assert str(router.connections()[0]) == before


@pytest.mark.parametrize("sequence", [0, 400, 90_000, 2_000_000_000])
def test_fault_row_24_a_reset_out_of_the_window_is_invalid_and_the_connection_lives(sequence: int) -> None:
    router = Router(TRACK)
    established(router)
    assert router.send("b", wire.tcp(SERVER, 80, CLIENT, 5, RST, sequence)) == []
    (connection,) = router.connections()
    assert connection.state_name == "ESTABLISHED"
    assert router.send("a", wire.tcp(CLIENT, 5, SERVER, 80, ACK | PSH, 101, 505, b"on it goes")) != []


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_fault_row_25_without_a_free_port_the_packet_is_dropped_and_no_tuple_is_reused(protocol: str) -> None:
    router = Router(f"*nat\n-A POSTROUTING -o b -p {protocol} -j SNAT --to-source 10.0.2.1:7000-7003\nCOMMIT\n")
    sent = []
    for number in range(7):
        packet = wire.udp(CLIENT, 100 + number, SERVER, 53)
        if protocol == "tcp":
            packet = wire.tcp(CLIENT, 100 + number, SERVER, 53, SYN, 1)
        sent += [wire.ends(out) for _, out in router.send("a", packet)]
    assert sorted(port for _, port, _, _ in sent) == [7000, 7001, 7002, 7003]
    assert router.ns.drops[DropReason.NAT_EXHAUSTED] == 3
    statistics = router.ns.netfilter.conntrack.statistics
    assert (statistics.drop, statistics.insert_failed) == (3, 3)
    assert len({each.reply for each in router.connections()}) == 4
    router.send("a", wire.udp(OTHER, 100, "10.0.2.3", 53))  # towards another server the ports are free


def test_fault_row_43_a_full_table_ends_unassured_entries_and_then_drops_and_counts() -> None:
    router = Router(TRACK)
    router.ns.sysctl.set("net.netfilter.nf_conntrack_max", 4)
    established(router)
    for port in range(1, 8):
        assert router.send("a", wire.udp(CLIENT, port, SERVER, 53)) != []
    assert [each.original.sport for each in router.connections()] == [5, 5, 6, 7]  # the assured one, three of UDP
    for connection in router.connections():
        router.ns.netfilter.conntrack.assure(connection)
    assert router.send("a", wire.udp(CLIENT, 9, SERVER, 53)) == []
    assert router.ns.drops[DropReason.CONNTRACK_FULL] == 1
    statistics = router.ns.netfilter.conntrack.statistics
    assert (statistics.early_drop, statistics.drop) == (4, 1)
    assert router.ns.sysctl.get("net.netfilter.nf_conntrack_count") == "4"
    assert router.send("a", wire.udp(CLIENT, 7, SERVER, 53)) != []  # who is in it goes on


def test_fault_row_43_connections_that_close_make_room_although_assured() -> None:
    router = Router(TRACK)
    router.ns.sysctl.set("net.netfilter.nf_conntrack_max", 100)
    established(router)
    for port in range(1, 101):
        router.send("a", wire.udp(CLIENT, port, SERVER, 53))
    for connection in router.connections():
        router.ns.netfilter.conntrack.renew(connection, 1_000)
        router.ns.netfilter.conntrack.assure(connection)
    router.send("a", wire.tcp(CLIENT, 5, SERVER, 80, FIN | ACK, 101, 505))
    assert router.send("a", wire.udp(CLIENT, 999, SERVER, 53)) == []  # not at once: the collector has to come round
    router.pass_time(61)
    assert len(router.connections()) == 99
    assert router.send("a", wire.udp(CLIENT, 999, SERVER, 53)) != []


def test_fault_row_22_fragments_that_overlap_or_never_end_are_dropped() -> None:
    router = Router(TRACK + NAT)
    datagram = wire.udp(CLIENT, 5, SERVER, 53, b"0123456789abcdef" * 8)
    head = ipv4(CLIENT, SERVER, 17, datagram[20:84], fragment=0x2000)
    overlapping = ipv4(CLIENT, SERVER, 17, datagram[60:], fragment=40 // 8)
    assert router.send("a", head) == []
    assert router.send("a", overlapping) == []
    assert router.ns.drops[DropReason.DUP_FRAG] >= 1
    assert router.send("a", ipv4(CLIENT, SERVER, 17, datagram[20:84], fragment=0x2000, identification=8)) == []
    router.pass_time(31)
    assert router.ns.drops[DropReason.FRAG_REASM_TIMEOUT] == 1
    assert router.connections() == []
    assert len(router.ns.reassembler) == 0


@pytest.mark.parametrize(
    "rules", ["-A FORWARD -j A\n-A A -j A", "-A OUTPUT -j A\n-A A -g B\n-A B -j C\n-A C -p tcp -g A"]
)
def test_fault_row_30_a_jump_cycle_is_refused_and_the_table_stays_as_it_was(rules: str) -> None:
    router = Router(TRACK)
    before = router.ns.netfilter.save()
    with pytest.raises(RestoreError):
        router.ns.netfilter.restore(f"*filter\n:A - [0:0]\n:B - [0:0]\n:C - [0:0]\n{rules}\nCOMMIT\n")
    assert router.ns.netfilter.save() == before
