"""Fragments against the real kernel: drawn cuts in any order with repetitions, overlaps, DF, ECN and options."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.kernel_oracle.harness import Testbed, echo, ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

A_MAC, B_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
CLIENT_MAC, SERVER_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02"
CLIENT, SERVER, HERE = "10.1.0.2", "10.2.0.2", "10.1.0.1"
MORE, DONT = 0x2000, 0x4000
OPTIONS = (b"", bytes((0x94, 4, 0, 0)), bytes((0x1E, 4, 9, 9)), bytes((0x94, 4, 0, 0, 0x1E, 4, 9, 9)))
COUNT = "*raw\n-A PREROUTING -p udp -m udp --dport 2000\n-A PREROUTING -p udp\nCOMMIT\n"
TRACKED = """*filter
-A FORWARD -p udp -m conntrack --ctstate NEW,ESTABLISHED -m udp --dport 2000 -j ACCEPT
-A FORWARD -p udp -j ACCEPT
COMMIT
"""
NAT = """*nat
-A PREROUTING -d 10.96.0.10/32 -p udp -m udp --dport 80 -j DNAT --to-destination 10.2.0.2:2000
-A POSTROUTING -o b -j MASQUERADE
COMMIT
"""


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        testbed.add_link("a", A_MAC)
        testbed.add_link("b", B_MAC)
        testbed.add_address("a", "10.1.0.1/24")
        testbed.add_address("b", "10.2.0.1/24")
        testbed.set_sysctl("net.ipv4.ip_forward", 1)
        testbed.set_sysctl("net.ipv4.icmp_ratemask", 0)
        testbed.add_neighbour("a", CLIENT, CLIENT_MAC)
        testbed.add_neighbour("b", SERVER, SERVER_MAC)
        yield testbed


def draw(
    source: random.Random, destination: str, protocol: int, message: bytes, number: int
) -> list[tuple[str, bytes]]:
    """Cut a message at drawn places; send the pieces in a drawn order, some twice, some spoilt."""
    drawn = source.sample(range(8, len(message), 8), source.randrange(1, 6))
    places = sorted({*drawn, *range(1400, len(message), 1400)})
    spans = list(zip([0, *places], [*places, len(message)], strict=True))
    options = source.choice(OPTIONS)
    same = source.random() < 0.7  # headers; an AF_PACKET socket leaves no room to give a piece another's options
    dont = DONT if source.random() < 0.3 else 0
    tos = source.choice([0, 0, 0x10, 1, 2, 3])
    frames = []
    for start, end in spans:
        ends = end == len(message)
        field = start >> 3 | (0 if ends else MORE)
        field |= dont if same or source.random() < 0.5 else 0
        piece = ipv4(
            CLIENT, destination, protocol, message[start:end], fragment=field, identification=number,
            tos=tos if same else source.choice([0, 1, 2, 3]), options=options if same else b"",
        )  # fmt: skip
        frames.append(("a", ethernet(A_MAC, CLIENT_MAC, piece)))
    source.shuffle(frames)
    fate = source.random()
    if fate < 0.25:
        frames.insert(source.randrange(len(frames)), source.choice(frames))
    elif fate < 0.4:
        start = source.randrange(0, len(message) - 16, 8)
        end = min(start + source.randrange(8, 200, 8), len(message))
        field = start >> 3 | (MORE if end < len(message) else 0)
        piece = ipv4(CLIENT, destination, protocol, message[start:end], fragment=field, identification=number)
        frames.insert(source.randrange(len(frames)), ("a", ethernet(A_MAC, CLIENT_MAC, piece)))
    elif fate < 0.5:
        del frames[source.randrange(len(frames))]
    return frames


def message(source: random.Random, destination: str, dport: int) -> bytes:
    return udp(CLIENT, destination, 1000, dport, source.randbytes(source.randrange(100, 2800)))


@pytest.mark.parametrize("seed", range(3))
def test_drawn_pieces_for_this_machine(bed: Testbed, seed: int) -> None:
    source = random.Random(seed)
    answered = 0
    for number in range(60):
        payload = echo(payload=source.randbytes(source.randrange(100, 2800)))
        observed = bed.compare(draw(source, HERE, 1, payload, number))
        answered += bool(observed.emulated["a"])
    assert 20 < answered < 60


@pytest.mark.parametrize("mtu", [1500, 700, 256])
@pytest.mark.parametrize("rules", ["", TRACKED, COUNT + TRACKED])
def test_drawn_pieces_through_a_router(bed: Testbed, rules: str, mtu: int) -> None:
    """Without connection tracking each piece goes on as it is, with it they are put together and cut again."""
    bed.add_route("10.3.0.0/24", via=SERVER, mtu=mtu)
    if rules:
        bed.restore(rules)
    source = random.Random(mtu)
    for number in range(40):
        bed.compare(draw(source, "10.3.0.9", 17, message(source, "10.3.0.9", 2000), number))
    if rules:
        assert counters(bed.execute("iptables-save", "-c")) == counters(bed.ns.netfilter.save(counters=True))


def counters(text: str) -> list[str]:
    return sorted(line for line in text.splitlines() if line.startswith("["))


def test_drawn_pieces_through_nat(bed: Testbed) -> None:
    bed.restore(NAT)
    source = random.Random(9)
    sent = 0
    for number in range(40):
        observed = bed.compare(draw(source, "10.96.0.10", 17, message(source, "10.96.0.10", 80), number))
        sent += bool(observed.emulated["b"])
    assert sent > 10


@pytest.mark.parametrize("distance", [0, 1, 4])
def test_a_sender_whose_other_packets_come_in_between(bed: Testbed, distance: int) -> None:
    """More than ipfrag_max_dist other fragments of the sender: what waits is taken for an older packet's."""
    bed.set_sysctl("net.ipv4.ipfrag_max_dist", distance)
    payload = echo(payload=bytes(200))
    for between in range(7):
        pieces = [
            to_here(payload[:80], MORE, 100 + between),
            *(to_here(bytes(80), MORE, 1000 + 10 * between + other) for other in range(between)),
            to_here(payload[80:], 10, 100 + between),
            to_here(payload[:80], MORE, 100 + between),
        ]
        bed.compare([("a", piece) for piece in pieces])


def to_here(payload: bytes, field: int, number: int) -> bytes:
    return ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, HERE, 1, payload, fragment=field, identification=number))


def test_the_largest_packet_and_one_that_is_larger(bed: Testbed) -> None:
    for total in (65_507 + 8, 65_508 + 8, 65_600):
        payload = echo(payload=bytes(total - 8))
        pieces = [
            to_here(payload[at : at + 1480], at >> 3 & 0x1FFF | (MORE if at + 1480 < total else 0), total & 0xFFFF)
            for at in range(0, total, 1480)
        ]
        bed.compare([("a", piece) for piece in pieces])


def test_tiny_first_pieces(bed: Testbed) -> None:
    """Eight bytes are enough of a first fragment for UDP; its rule sees the whole packet either way."""
    bed.restore(TRACKED)
    segment = udp(CLIENT, SERVER, 1000, 2000, bytes(100))
    for first in (8, 16, 24):
        pieces = [(0, first, MORE), (first, len(segment), first >> 3)]
        packets = [
            ipv4(CLIENT, SERVER, 17, segment[start:end], fragment=field, identification=first)
            for start, end, field in pieces
        ]
        frames = [ethernet(A_MAC, CLIENT_MAC, packet) for packet in packets]
        assert len(bed.compare([("a", frame) for frame in frames]).emulated["b"]) == 2


@pytest.mark.parametrize("rules", ["", TRACKED])
def test_what_is_missing_is_reported_after_its_time_by_end_hosts_only(bed: Testbed, rules: str) -> None:
    bed.set_sysctl("net.ipv4.ipfrag_time", 1)
    if rules:
        bed.restore(rules)
    payload = echo(payload=bytes(200))
    first, later = to_here(payload[:80], MORE, 1), to_here(payload[80:160], MORE | 10, 2)
    through = ethernet(
        A_MAC, CLIENT_MAC, ipv4(CLIENT, SERVER, 17, udp(CLIENT, SERVER, 1, 2000, bytes(80)), fragment=MORE)
    )
    bed.compare([("a", first), ("a", later), ("a", through)])
    observed = bed.advance(1.6)
    bed.assert_equal(observed)
    assert len(observed.emulated["a"]) == 1
