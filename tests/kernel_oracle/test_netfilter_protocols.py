"""UDP-Lite and DCCP against the real kernel, and zones: equal tuples that are told apart by where they came in."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from emulator.packet.address import ipv4_to_int
from emulator.packet.checksum import checksum, pseudo_header_sum
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.wire import ACK, SYN
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel

CLIENT, SERVER = "10.0.1.2", "10.0.2.2"
RULES = """*nat
-A PREROUTING -d 10.96.0.10 -j DNAT --to-destination 10.0.2.2
-A POSTROUTING -o b -s 10.0.1.3 -j SNAT --to-source 10.0.2.1
COMMIT
*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT
COMMIT
"""


@pytest.fixture
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed


def play(bed: RouterBed, *packets: tuple[str, bytes]) -> None:
    for packet in packets:
        bed.send(packet)
        bed.compare_counters("filter")
        bed.compare_timeouts()


def lite(source: str, sport: int, destination: str, dport: int, coverage: int = 0, number: int = 17) -> bytes:
    """Build a UDP-Lite packet (RFC 3828), but with the pseudo header of UDP, which is what Linux checks here."""
    data = struct.pack("!HHHH", sport, dport, coverage, 0) + b"payload!"
    base = pseudo_header_sum(ipv4_to_int(source), ipv4_to_int(destination), number, len(data))
    found = checksum(data[: coverage or len(data)], base)
    return wire.ip(source, destination, 136, data[:6] + struct.pack("!H", found) + data[8:])


def test_udp_lite(bed: RouterBed) -> None:
    bed.build(RULES)
    play(
        bed, ("a", lite(CLIENT, 5, SERVER, 6)), ("b", lite(SERVER, 6, CLIENT, 5)), ("a", lite(CLIENT, 5, SERVER, 6, 8))
    )
    play(bed, ("a", lite(CLIENT, 7, SERVER, 6, 7)), ("a", lite(CLIENT, 7, SERVER, 6, 17)))
    play(bed, ("a", lite(CLIENT, 7, SERVER, 6, 16)), ("a", lite(CLIENT, 8, SERVER, 6, 8, number=136)))
    play(bed, ("a", lite("10.0.1.3", 7, "10.96.0.10", 6, 12)), ("b", lite(SERVER, 6, "10.0.2.1", 7, 12)))
    play(bed, ("a", lite("10.0.1.3", 9, "10.96.0.10", 6, 8)), ("a", wire.ip(CLIENT, SERVER, 136, b"\0\1\0\2")))


def test_dccp_is_tracked_as_any_other_protocol(bed: RouterBed) -> None:
    bed.build(RULES)
    request = struct.pack("!HHBBHIIII", 5, 6, 7, 0, 0, 1 << 24, 0, 1, 0)
    play(bed, ("a", wire.ip(CLIENT, SERVER, 33, request)), ("b", wire.ip(SERVER, CLIENT, 33, request)))


ZONES = """*raw
-A PREROUTING -i a -j CT {a}
-A PREROUTING -i b -j CT {b}
-A PREROUTING -i c -j CT {c}
COMMIT
"""


def test_equal_tuples_in_two_zones(bed: RouterBed) -> None:
    bed.build(RULES + ZONES.format(a="--zone 1", b="--zone 2", c="--zone 1"))
    forth, back = wire.udp("10.0.1.2", 5, "10.0.2.2", 6), wire.udp("10.0.2.2", 6, "10.0.1.2", 5)
    play(bed, ("a", forth), ("b", back), ("a", forth), ("c", back), ("b", back))
    play(bed, ("a", wire.tcp("10.0.1.2", 5, "10.0.2.2", 80, SYN, 1)))
    play(bed, ("b", wire.tcp("10.0.2.2", 80, "10.0.1.2", 5, SYN | ACK, 1, 2)))
    play(
        bed,
        ("b", wire.icmp_error("10.0.2.2", "10.0.1.2", forth)),
        ("c", wire.icmp_error("10.0.2.2", "10.0.1.2", forth)),
    )


@pytest.mark.parametrize("option", ["--zone-orig", "--zone-reply"])
def test_a_zone_for_one_direction(bed: RouterBed, option: str) -> None:
    bed.build(RULES + ZONES.format(a=f"{option} 7", b=f"{option} 8", c="--zone 7"))
    forth, back = wire.udp("10.0.1.2", 5, "10.0.2.2", 6), wire.udp("10.0.2.2", 6, "10.0.1.2", 5)
    play(bed, ("a", forth), ("b", back), ("a", forth), ("c", back))
    play(bed, ("a", wire.udp("10.0.1.3", 5, "10.96.0.10", 6)), ("b", wire.udp("10.0.2.2", 6, "10.0.2.1", 5)))
    play(bed, ("a", wire.echo("10.0.1.2", "10.0.2.2", 9)), ("b", wire.echo("10.0.2.2", "10.0.1.2", 9, reply=True)))


def test_the_other_end_of_a_conversation_in_another_zone(bed: RouterBed) -> None:
    plain = RULES.partition("*filter")[2]
    bed.build("*filter" + plain + ZONES.format(a="--zone-orig 7", b="--zone-orig 8", c="--zone 7"))
    forth, back = wire.udp("10.0.1.2", 5, "10.0.2.2", 6), wire.udp("10.0.2.2", 6, "10.0.1.2", 5)
    play(bed, ("a", forth), ("c", back), ("a", forth))
    play(bed, ("a", wire.tcp("10.0.1.2", 5, "10.0.2.2", 80, SYN, 1)))
    play(bed, ("c", wire.tcp("10.0.2.2", 80, "10.0.1.2", 5, ACK, 1, 2)))


def test_the_mark_is_the_zone(bed: RouterBed) -> None:
    marks = "*raw\n-A PREROUTING -i a -p udp -j MARK --set-mark 0x10003\n" + "".join(
        f"-A PREROUTING -i {link} -j CT --zone-orig mark\n" for link in "ab"
    )
    bed.build(RULES + marks + "COMMIT\n")
    forth, back = wire.udp("10.0.1.2", 5, "10.0.2.2", 6), wire.udp("10.0.2.2", 6, "10.0.1.2", 5)
    play(bed, ("a", forth), ("b", back), ("a", wire.tcp("10.0.1.2", 5, "10.0.2.2", 80, SYN, 1)))
