"""Entries read from what `conntrack -L` prints, and what packets then find."""

from __future__ import annotations

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.conntrack.connection import Status
from emulator.kernel.netfilter.conntrack.entry_text import EntryTextError, read_entries
from emulator.kernel.netfilter.conntrack.tcp_state import TcpState
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.router import Router

TRACK = "*filter\n-A FORWARD -m conntrack --ctstate INVALID,NEW -j DROP\nCOMMIT\n"
CLIENT, SERVER = "10.0.1.2", "10.0.2.2"
TCP = (
    "ipv4     2 tcp      6 431997 ESTABLISHED src=10.0.1.2 dst=10.96.0.10 sport=40000 dport=80 "
    "src=10.0.2.2 dst=10.0.1.2 sport=8080 dport=40000 [ASSURED] mark=0 use=1"
)
LINES = (
    TCP,
    "tcp      6 110 SYN_SENT2 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=2 "
    "dport=1 mark=7 use=1",
    "ipv4     2 udp      17 29 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=53 packets=3 bytes=99 [UNREPLIED] src=10.0.2.2 "
    "dst=10.0.1.2 sport=53 dport=1 packets=0 bytes=0 mark=0 zone=5 delta-time=12 use=1",
    "udp      17 29 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=53 zone-orig=6 src=10.0.2.2 dst=10.0.1.2 sport=53 dport=1 "
    "mark=0 use=1",
    "udp      17 29 src=10.0.1.9 dst=10.0.2.2 sport=1 dport=53 src=10.0.2.2 dst=10.0.1.9 sport=53 dport=1 zone-reply=7 "
    "mark=0 use=1",
    "icmp     1 29 src=10.0.1.2 dst=10.0.2.2 type=8 code=0 id=77 src=10.0.2.2 dst=10.0.2.1 type=0 code=0 id=1077 "
    "mark=0 use=1",
    "gre      47 29 src=10.0.1.2 dst=10.0.2.2 srckey=0x0 dstkey=0x0 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 srckey=0x0 "
    "dstkey=0x0 mark=0 use=1",
    "unknown  89 599 src=10.0.1.2 dst=10.0.2.2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 mark=0 use=1",
)


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_read_and_printed_again(line: str) -> None:
    ((number, connection),) = read_entries(line, now=100.0)
    connection.deadline += 100.0
    assert number == 1
    assert connection.format(100.0, extended=line.startswith("ipv4")) == line


def test_a_whole_listing_goes_into_a_table_and_comes_out() -> None:
    router = Router(TRACK)
    version = "conntrack v1.4.7 (conntrack-tools): 8 flow entries have been shown.\n"
    ipv6 = "ipv6     10 udp      17 29 src=::1 dst=::1 sport=1 dport=2 src=::1 dst=::1 sport=2 dport=1 mark=0 use=1\n"
    assert router.ns.netfilter.conntrack.load(version + ipv6 + "\n".join(LINES) + "\n") == len(LINES)
    now = router.kernel.now
    pairs = zip(router.connections(), LINES, strict=True)
    printed = [each.format(now, extended=line.startswith("ipv4")) for each, line in pairs]
    assert printed == list(LINES)
    router.pass_time(30)
    assert [each.protocol for each in router.connections()] == [6, 6, 89]


def test_nat_is_inferred_from_the_tuples() -> None:
    router = Router(TRACK)
    router.ns.netfilter.restore("*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n")
    router.ns.netfilter.conntrack.load("\n".join(LINES))
    both = Status.SRC_NAT | Status.DST_NAT
    assert [each.status & both for each in router.connections()] == [Status.DST_NAT, 0, 0, 0, 0, Status.SRC_NAT, 0, 0]
    ((link, out),) = router.send("a", wire.tcp(CLIENT, 40000, "10.96.0.10", 80, wire.ACK, 5_000_000, 77, b"more"))
    assert (link, wire.ends(out)) == ("b", (CLIENT, 40000, SERVER, 8080))
    ((link, out),) = router.send("b", wire.tcp(SERVER, 8080, CLIENT, 40000, wire.ACK, 900, 5_000_004, b"answer"))
    assert (link, wire.ends(out)) == ("a", ("10.96.0.10", 80, CLIENT, 40000))
    ((link, out),) = router.send("b", wire.echo(SERVER, "10.0.2.1", 1077, reply=True))
    assert (link, wire.ends(out)) == ("a", (SERVER, 77, CLIENT, 77))


def test_tcp_goes_on_without_knowing_its_windows() -> None:
    router = Router(TRACK)
    router.ns.netfilter.conntrack.load(TCP.replace("10.96.0.10", SERVER).replace("8080", "80"))
    for sequence in (1, 4_000_000_000, 900):
        assert router.send("a", wire.tcp(CLIENT, 40000, SERVER, 80, wire.ACK, sequence, 5, b"x"))
    (connection,) = router.connections()
    assert connection.tcp is not None
    assert connection.tcp.state is TcpState.ESTABLISHED
    assert router.ns.drops[DropReason.NETFILTER_DROP] == 0


def test_a_syn_opens_a_loaded_connection_that_had_ended_anew() -> None:
    router = Router(TRACK)
    router.ns.netfilter.conntrack.load(
        "tcp 6 50 TIME_WAIT src=10.0.1.2 dst=10.0.2.2 sport=1 dport=2 "
        "src=10.0.2.2 dst=10.0.1.2 sport=2 dport=1 [ASSURED] mark=0 use=1"
    )
    assert router.send("a", wire.tcp(CLIENT, 1, SERVER, 2, wire.SYN, 5)) == []  # it is NEW, and dropped by the rule
    assert router.connections() == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello", "it ends too soon"),
        ("tcp six 5 ESTABLISHED src=1.2.3.4", "the protocol=six is not a number from 0 to 255"),
        (TCP.replace("431997", "-3"), "the timeout=-3 is not a number from 0 to 4294967295"),
        (TCP.replace("ESTABLISHED", "LISTENING"), "unknown TCP state 'LISTENING'"),
        (TCP.replace("ESTABLISHED ", ""), "unknown TCP state ''"),
        (TCP.replace("[ASSURED]", "[SURE]"), "unknown flag [SURE]"),
        (TCP.replace("mark=0", "colour=0"), "unknown word 'colour=0'"),
        (TCP.replace("mark=0", "colour"), "unknown word 'colour'"),
        (TCP.replace("dst=10.0.1.2", "dst=10.0.1.256"), "not an IPv4 address: '10.0.1.256'; 256 is greater than 255"),
        (TCP.replace("sport=8080 ", ""), "no sport= in one of the two directions"),
        (TCP.replace("sport=8080", "sport=65536"), "sport=65536 is not a number from 0 to 65535"),
        (TCP.partition(" src=10.0.2.2")[0], "it has 1 directions and not two"),
        ("icmp 1 9 src=1.1.1.1 dst=2.2.2.2 type=3 code=0 id=7 src=2.2.2.2 dst=1.1.1.1 type=0 code=0 id=7",
         "ICMP type 3 begins no connection"),
    ],
)  # fmt: skip
def test_what_is_no_entry_is_refused_with_its_line(line: str, message: str) -> None:
    with pytest.raises(EntryTextError, match="line 2: ") as caught:
        list(read_entries(f"{LINES[1]}\n{line}\n"))
    assert (caught.value.line, caught.value.message) == (2, message)


def test_an_entry_twice_is_refused() -> None:
    router = Router(TRACK)
    with pytest.raises(EntryTextError) as caught:
        router.ns.netfilter.conntrack.load(f"{TCP}\n\n{TCP}\n")
    assert str(caught.value) == (
        "conntrack entries: line 3: another entry has its tuple: src=10.0.1.2 dst=10.96.0.10 sport=40000 dport=80"
    )
