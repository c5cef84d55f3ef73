"""Entries that the real kernel has, read from what the real `conntrack -L` prints, go on alike in the emulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, FIN, PSH, RST, SYN
from tests.kernel_oracle.harness import ethernet
from tests.kernel_oracle.netfilter_bed import HOST_MAC, MACS, RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER, VIP = "10.0.1.2", "10.0.2.2", "10.96.0.10"
RULES = f"""*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d {VIP} -j DNAT --to-destination {SERVER}
-A POSTROUTING -o c -j MASQUERADE
COMMIT
*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
COMMIT
"""


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed.build(RULES)


def test_every_line_of_the_real_listing_is_read_and_printed_the_same(bed: RouterBed) -> None:
    bed.change_sysctl("net.netfilter.nf_conntrack_acct", 1)
    bed.change_sysctl("net.netfilter.nf_conntrack_timestamp", 1)
    packets = [wire.udp(CLIENT, 5, VIP, 53), wire.echo(CLIENT, "10.0.3.2", 8), wire.ip(CLIENT, SERVER, 89, b"ospf")]
    packets += [wire.ip(CLIENT, SERVER, 47, bytes(4) + b"gre"), wire.tcp(CLIENT, 6, "10.0.3.3", 80, SYN, 9)]
    bed.compare([("a", ethernet(MACS["a"], HOST_MAC, packet)) for packet in packets])
    for zone in ("--zone", "--orig-zone", "--reply-zone"):
        words = f"-I -p udp -s 1.2.3.4 -d 5.6.7.8 --sport 1 --dport {len(zone)} -t 100 {zone} 5 --mark 7"
        bed.execute("conntrack", *words.split())
    listing = bed.execute("conntrack", "-L", "-o", "extended")
    assert len(listing.splitlines()) == 8
    conntrack = bed.ns.netfilter.conntrack
    conntrack.flush()
    assert conntrack.load(listing) == 8
    printed = [connection.format(bed.kernel.now, extended=True) for connection in conntrack]
    assert printed == [line.rstrip() for line in listing.splitlines()]


@pytest.mark.parametrize("state", ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"])
@pytest.mark.parametrize("status", ["ASSURED,SEEN_REPLY", "SEEN_REPLY", ""])
def test_entries_that_conntrack_made_and_entries_that_were_read_go_on_alike(
    bed: RouterBed, state: str, status: str
) -> None:
    words = f"-I -p tcp -s {CLIENT} -d {SERVER} --sport 4000 --dport 80 --state {state} -t 200"
    bed.execute("conntrack", *words.split(), *(["-u", status] if status else []))
    bed.ns.netfilter.conntrack.load(bed.execute("conntrack", "-L"))

    def forth(flags: int, seq: int, ack: int = 0, data: bytes = b"") -> tuple[str, bytes]:
        return "a", wire.tcp(CLIENT, 4000, SERVER, 80, flags, seq, ack, data)

    def back(flags: int, seq: int, ack: int = 0, data: bytes = b"") -> tuple[str, bytes]:
        return "b", wire.tcp(SERVER, 80, CLIENT, 4000, flags, seq, ack, data)

    packets = [forth(ACK | PSH, 5_000, 900, b"x" * 10), back(ACK, 900, 5_010), forth(ACK | PSH, 900_000, 900, b"far")]
    packets += [back(ACK | PSH, 77, 5_010, b"y"), forth(SYN, 70_000), back(SYN | ACK, 3, 70_001), forth(ACK, 70_001, 4)]
    packets += [back(FIN | ACK, 4, 70_001), forth(RST, 70_001)]
    for packet in packets:
        bed.send(packet)
        bed.compare_counters("filter")
        bed.compare_timeouts()
