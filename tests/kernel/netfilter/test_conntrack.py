"""The conntrack table: what is in it, for how long, what is told of it, and what makes room."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.conntrack import early_drop, expiry
from emulator.kernel.netfilter.conntrack import tuple as tuples
from emulator.kernel.netfilter.conntrack.connection import Connection, Status
from emulator.kernel.netfilter.conntrack.event import EventKind
from tests.kernel.frames import ipv4
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.router import Router

TRACK = "*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
MASQUERADE = "*nat\n-A POSTROUTING -o b -j MASQUERADE\nCOMMIT\n"
CLIENT, SERVER = "10.0.1.2", "10.0.2.2"


def test_an_entry_as_conntrack_prints_it() -> None:
    router = Router(TRACK)
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    (connection,) = router.connections()
    addresses = "src=10.0.1.2 dst=10.0.2.2 sport=4000 dport=53"
    answers = "src=10.0.2.2 dst=10.0.1.2 sport=53 dport=4000"
    assert str(connection) == f"udp      17 {addresses} [UNREPLIED] {answers} mark=0 use=1"
    router.send("b", wire.udp(SERVER, 53, CLIENT, 4000))
    router.pass_time(3)
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53, b"four"))
    now = router.kernel.now
    assert connection.format(now, accounting=True, extended=True) == (
        f"ipv4     2 udp      17 120 {addresses} packets=2 bytes=64 {answers} packets=1 bytes=32 [ASSURED] mark=0 use=1"
    )


def test_a_dropped_first_packet_leaves_nothing() -> None:
    router = Router("*filter\n-A FORWARD -m conntrack --ctstate NEW -j DROP\nCOMMIT\n")
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    assert router.connections() == []
    assert router.ns.drops[DropReason.NETFILTER_DROP] == 1


def test_entries_end_by_themselves() -> None:
    router = Router(TRACK)
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    router.pass_time(20)
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    router.pass_time(29.9)
    assert len(router.connections()) == 1
    router.pass_time(0.2)
    assert router.connections() == []
    router.pass_time(1.0)
    assert len(router.ns.netfilter.conntrack) == 0
    assert router.kernel.next_deadline() is None


def test_a_shortened_life_is_noticed() -> None:
    router = Router(TRACK)
    router.send("a", wire.tcp(CLIENT, 4000, SERVER, 80, wire.SYN, 100))
    router.send("b", wire.tcp(SERVER, 80, CLIENT, 4000, wire.SYN | wire.ACK, 500, 101))
    router.send("a", wire.tcp(CLIENT, 4000, SERVER, 80, wire.ACK, 101, 501))
    assert router.connections()[0].deadline == 432_000
    router.send("a", wire.tcp(CLIENT, 4000, SERVER, 80, wire.RST, 101))
    router.pass_time(12)
    assert len(router.ns.netfilter.conntrack) == 0


def test_timeouts_are_sysctls() -> None:
    router = Router(TRACK)
    router.ns.sysctl.set("net.netfilter.nf_conntrack_udp_timeout", 5)
    router.ns.sysctl.set("net.netfilter.nf_conntrack_tcp_timeout_syn_sent", 7)
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    router.send("a", wire.tcp(CLIENT, 4000, SERVER, 80, wire.SYN))
    assert sorted(connection.deadline for connection in router.connections()) == [5, 7]


def test_events_are_told_once_a_packet() -> None:
    router = Router(TRACK + "*mangle\n-A FORWARD -p udp -j CONNMARK --set-mark 5\nCOMMIT\n")
    conntrack = router.ns.netfilter.conntrack
    told: list[str] = []
    close = conntrack.event_log.listen(lambda event: told.append(f"{event} {event.program}".rstrip()))
    router.send("a", wire.tcp(CLIENT, 4000, SERVER, 80, wire.SYN, 100))
    router.send("b", wire.tcp(SERVER, 80, CLIENT, 4000, wire.SYN | wire.ACK, 500, 101))
    router.send("a", wire.tcp(CLIENT, 4000, SERVER, 80, wire.ACK, 101, 501))
    router.send("a", wire.udp(CLIENT, 5, SERVER, 53))
    conntrack.delete(router.connections()[0], "conntrack")
    forth = "src=10.0.1.2 dst=10.0.2.2 sport=4000 dport=80"
    back = "src=10.0.2.2 dst=10.0.1.2 sport=80 dport=4000"
    assert told == [
        f"[NEW] tcp      6 120 SYN_SENT {forth} [UNREPLIED] {back}",
        f"[UPDATE] tcp      6 60 SYN_RECV {forth} {back}",
        f"[UPDATE] tcp      6 432000 ESTABLISHED {forth} {back} [ASSURED]",
        "[NEW] udp      17 30 src=10.0.1.2 dst=10.0.2.2 sport=5 dport=53 [UNREPLIED] "
        "src=10.0.2.2 dst=10.0.1.2 sport=53 dport=5 mark=5",
        f"[DESTROY] tcp      6 432000 ESTABLISHED {forth} {back} [ASSURED] conntrack",
    ]
    close()
    conntrack.flush()
    assert len(told) == 5


def test_what_a_dropped_packet_changed_is_told_by_the_next() -> None:
    router = Router(TRACK + "*mangle\n-A FORWARD -i b -j DROP\nCOMMIT\n")
    told: list[EventKind] = []
    router.ns.netfilter.conntrack.event_log.listen(lambda event: told.append(event.kind))
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    router.send("b", wire.udp(SERVER, 53, CLIENT, 4000))
    assert told == [EventKind.NEW]
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    assert told == [EventKind.NEW, EventKind.UPDATE]


def test_entries_made_without_events_tell_none() -> None:
    router = Router(TRACK)
    router.ns.sysctl.set("net.netfilter.nf_conntrack_events", 0)
    told: list[int] = []
    router.ns.netfilter.conntrack.event_log.listen(lambda event: told.append(event.connection.original.sport))
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    router.ns.sysctl.set("net.netfilter.nf_conntrack_events", 1)
    router.send("a", wire.udp(CLIENT, 4001, SERVER, 53))
    assert told == [4001]


def test_a_full_table_drops_unassured_entries_first_then_new_packets() -> None:
    router = Router(TRACK)
    conntrack = router.ns.netfilter.conntrack
    router.ns.sysctl.set("net.netfilter.nf_conntrack_max", 3)
    for port in range(1, 6):
        assert router.send("a", wire.udp(CLIENT, port, SERVER, 53))
    assert [connection.original.sport for connection in router.connections()] == [3, 4, 5]
    assert conntrack.statistics.early_drop == 2
    for connection in router.connections():
        conntrack.assure(connection)
    assert router.send("a", wire.udp(CLIENT, 9, SERVER, 53)) == []
    assert router.ns.drops[DropReason.CONNTRACK_FULL] == 1


def test_untracked_packets_make_no_entry() -> None:
    router = Router("*raw\n-A PREROUTING -j NOTRACK\nCOMMIT\n")
    assert router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    assert router.connections() == []


PORTS = st.integers(1, 3)
PACKETS = st.one_of(
    st.tuples(st.just("udp"), st.integers(2, 4), PORTS, st.integers(2, 3), PORTS),
    st.tuples(st.just("tcp"), st.integers(2, 4), PORTS, st.integers(2, 3), PORTS),
    st.tuples(st.just("ping"), st.integers(2, 4), PORTS, st.integers(2, 3), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 40), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("answer"), st.integers(0, 20), st.just(0), st.just(0), st.just(0)),
)


@pytest.mark.parametrize("rules", [TRACK, MASQUERADE])
@settings(max_examples=40, deadline=None)
@given(packets=st.lists(PACKETS, max_size=25))
def test_tuples_are_unique_and_both_in_the_table(rules: str, packets: list[tuple[str, int, int, int, int]]) -> None:
    router = Router(rules)
    conntrack = router.ns.netfilter.conntrack
    sent: list[bytes] = []
    for kind, host, sport, server, dport in packets:
        source, destination = f"10.0.1.{host}", f"10.0.2.{server}"
        if kind == "wait":
            router.pass_time(host)
        elif kind == "answer":
            if sent:
                saddr, sport, daddr, dport = wire.ends(sent[host % len(sent)])
                router.send("b", wire.udp(daddr, dport, saddr, sport))
        else:
            packet = {
                "udp": lambda s, d, p, q: wire.udp(s, p, d, q),
                "tcp": lambda s, d, p, q: wire.tcp(s, p, d, q, wire.SYN, 100),
                "ping": lambda s, d, p, q: wire.echo(s, d, p),
            }[kind](source, destination, sport, dport)
            sent += [out for _, out in router.send("a", packet)]
        live = router.connections()
        keys = [key for each in live for key in (each.original, each.reply)]
        assert len(set(keys)) == len(keys)
        for each in live:
            assert conntrack.find(each.original) == (each, 0)
            assert conntrack.find(each.reply) == (each, 1)
            assert each.status & Status.CONFIRMED
            inverse = tuples.invert(each.original)
            assert (each.reply == inverse) == (not each.status & (Status.SRC_NAT | Status.DST_NAT))


def test_ended_connections_are_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "_FEWEST_VACATED", 10)
    router = Router(TRACK)
    conntrack = router.ns.netfilter.conntrack
    for number in range(100):
        router.send("a", wire.udp(CLIENT, 1024 + number, SERVER, 53))
        conntrack.flush()
    assert conntrack.allocated < 30
    for number in range(60):
        router.send("a", wire.tcp(CLIENT, 1024 + number, SERVER, 80, wire.ACK, 100, 200))
        router.send("b", wire.tcp(SERVER, 80, CLIENT, 1024 + number, wire.ACK, 200, 100))
    router.pass_time(400)  # they move to where their five days end
    for number in range(60):
        router.send("a", wire.tcp(CLIENT, 1024 + number, SERVER, 80, wire.RST | wire.ACK, 100, 200))
    router.pass_time(11)
    assert router.connections() == []
    assert conntrack.allocated < 30


def test_a_closed_namespace_holds_nothing() -> None:
    router = Router(TRACK + MASQUERADE)
    router.send("a", wire.tcp(CLIENT, 4000, SERVER, 80, wire.ACK, 100, 200))
    router.send("a", wire.udp(CLIENT, 4000, SERVER, 53))
    router.send("a", ipv4(CLIENT, SERVER, 17, bytes(80), fragment=0x2000))
    assert len(router.ns.reassembler) == 1
    router.ns.close()
    assert len(router.ns.reassembler) == 0
    assert router.kernel.next_deadline() is None


def test_any_unassured_connection_makes_room_not_only_one_of_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_drop, "_BATCH", 10)
    router = Router(TRACK)
    router.ns.sysctl.set("net.netfilter.nf_conntrack_max", 20)
    for number in range(19):
        for _ in range(2):
            router.send("a", wire.tcp(CLIENT, 1024 + number, SERVER, 80, wire.ACK, 100, 200))
            router.send("b", wire.tcp(SERVER, 80, CLIENT, 1024 + number, wire.ACK, 200, 100))
    conntrack = router.ns.netfilter.conntrack
    assert all(connection.assured for connection in conntrack)
    assert router.send("a", wire.udp(CLIENT, 1, SERVER, 53)) != []
    assert router.send("a", wire.udp(CLIENT, 2, SERVER, 53)) != []
    assert conntrack.statistics.early_drop == 1
    router.send("b", wire.udp(SERVER, 53, CLIENT, 2))
    router.pass_time(3.0)
    router.send("a", wire.udp(CLIENT, 2, SERVER, 53))  # a stream now
    assert router.send("a", wire.udp(CLIENT, 3, SERVER, 53)) == []
    assert router.ns.drops[DropReason.CONNTRACK_FULL] == 1


def test_an_entry_of_an_established_connection_takes_less_than_a_kilobyte() -> None:
    router = Router(TRACK)
    count = 400

    def converse(number: int) -> None:
        port, here, there = 20_000 + number, 70_000 + 1_000 * number, 90_000 + 5_000 * number
        router.send("a", wire.tcp(CLIENT, port, SERVER, 80, wire.SYN, here))
        router.send("b", wire.tcp(SERVER, 80, CLIENT, port, wire.SYN | wire.ACK, there, here + 1))
        router.send("a", wire.tcp(CLIENT, port, SERVER, 80, wire.ACK, here + 1, there + 1, b"x" * 300))
        router.send("b", wire.tcp(SERVER, 80, CLIENT, port, wire.ACK, there + 1, here + 301, b"y" * 400))

    converse(0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(1, count + 1):
        converse(number)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(router.ns.netfilter.conntrack) == count + 1
    assert used / count < 1_024


@pytest.mark.parametrize("now", [0.0, 1000.000999, 1_700_000_000.123457, 4_000_000_000.999999])
def test_a_timeout_begins_at_its_whole_seconds_at_any_time(now: float) -> None:
    key = tuples.Tuple(tuples.AF_INET, tuples.UDP, 1, 2, 3, 4)
    connection = Connection(key, key)
    connection.deadline = now + 120
    assert connection.seconds_left(now) == 120
    assert connection.seconds_left(now + 0.01) == 119
    assert connection.seconds_left(now + 121) == 0
