"""Forwarding against the real kernel: TTL, ICMP errors with what they quote, MTU, redirects, martians."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel_oracle.harness import Testbed, arp, echo, ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

A_MAC, B_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
CLIENT_MAC, SERVER_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02"
CLIENT, SERVER = "10.1.0.2", "10.2.0.2"


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        testbed.add_link("a", A_MAC)
        testbed.add_link("b", B_MAC)
        testbed.add_address("a", "10.1.0.1/24")
        testbed.add_address("b", "10.2.0.1/24")
        testbed.set_sysctl("net.ipv4.ip_forward", 1)
        testbed.add_neighbour("a", CLIENT, CLIENT_MAC)
        testbed.add_neighbour("b", SERVER, SERVER_MAC)
        yield testbed


def datagram(source: str = CLIENT, destination: str = SERVER, size: int = 10, **header: int | bytes) -> bytes:
    packet = ipv4(source, destination, 17, udp(source, destination, 1000, 2000, bytes(size)), **header)  # type: ignore[arg-type]
    return ethernet(A_MAC, CLIENT_MAC, packet)


def test_a_packet_is_forwarded_with_one_hop_less(bed: Testbed) -> None:
    observed = bed.compare([("a", datagram()), ("a", datagram(ttl=2)), ("a", datagram(tos=0x1C))])
    assert len(observed.emulated["b"]) == 3


def test_the_checksum_carries_when_the_ttl_is_lowered(bed: Testbed) -> None:
    frames = [("a", datagram(identification=number)) for number in range(0, 0x10000, 251)]
    assert len(bed.compare(frames).emulated["b"]) == len(frames)


@pytest.mark.parametrize("size", [1, 500, 1400])
def test_an_expired_ttl_is_reported_with_the_quoted_packet(bed: Testbed, size: int) -> None:
    observed = bed.compare([("a", datagram(ttl=1, size=size, tos=0x2E))])
    assert len(observed.emulated["a"]) == 1


def test_ttl_errors_are_limited_to_six_at_once_and_one_a_second(bed: Testbed) -> None:
    observed = bed.exchange([("a", datagram(ttl=1))] * 12)
    assert len(observed.emulated["a"]) == len(observed.real["a"]) == 6
    bed.assert_equal(bed.advance(1.1))
    observed = bed.exchange([("a", datagram(ttl=1))] * 3)
    assert len(observed.emulated["a"]) == len(observed.real["a"]) == 1


def test_destinations_without_a_route_are_reported(bed: Testbed) -> None:
    observed = bed.compare([("a", datagram(destination="192.0.2.1"))])
    assert len(observed.emulated["a"]) == 1
    observed = bed.exchange([("a", datagram(destination="192.0.2.1"))] * 8)
    assert len(observed.emulated["a"]) == len(observed.real["a"])


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_each_kind_of_route_that_goes_nowhere_answers_in_its_own_way(bed: Testbed, kind: str) -> None:
    bed.add_route("198.51.100.0/24", kind=kind)
    observed = bed.compare([("a", datagram(destination="198.51.100.7"))])
    assert len(observed.emulated["a"]) == (0 if kind == "blackhole" else 1)


def test_with_forwarding_off_nothing_is_said(bed: Testbed) -> None:
    bed.set_sysctl("net.ipv4.ip_forward", 0)
    observed = bed.compare([("a", datagram()), ("a", datagram(destination="192.0.2.1"))])
    assert observed.emulated == {"a": [], "b": []}


def test_a_small_mtu_fragments_or_is_reported(bed: Testbed) -> None:
    bed.add_route("10.3.0.0/24", via=SERVER, mtu=600)
    big = datagram(destination="10.3.0.9", size=1300)
    observed = bed.compare([("a", big), ("a", datagram(destination="10.3.0.9", size=1300, fragment=0x4000))])
    assert len(observed.emulated["b"]) == 3
    assert len(observed.emulated["a"]) == 1


@pytest.mark.parametrize("fragment", [0, 0x2000, 0x2000 | 25, 25])
def test_fragments_are_cut_again_with_their_options(bed: Testbed, fragment: int) -> None:
    bed.add_route("10.3.0.0/24", via=SERVER, mtu=300)
    options = bytes((0x1E, 8, 9, 1, 0, 0, 0, 0)) + bytes((0x94, 4, 0, 0))  # one that is not copied; router alert
    packet = ipv4(CLIENT, "10.3.0.9", 17, bytes(1000), fragment=fragment, options=options)
    bed.compare([("a", ethernet(A_MAC, CLIENT_MAC, packet))])


def test_a_detour_is_reported_with_a_redirect_ever_more_seldom(bed: Testbed) -> None:
    bed.add_route("10.9.0.0/24", via="10.1.0.99")
    bed.add_neighbour("a", "10.1.0.99", "02:00:00:00:01:99")
    bed.compare([("a", datagram(destination="10.9.0.1")), ("a", datagram(destination="10.9.0.1"))])
    bed.assert_equal(bed.advance(0.1))
    bed.compare([("a", datagram(destination="10.9.0.1"))])


MARTIANS = [
    ("127.0.0.1", SERVER),
    (CLIENT, "127.0.0.1"),
    ("0.0.0.0", SERVER),
    ("0.0.0.9", SERVER),
    (CLIENT, "0.0.0.9"),
    (CLIENT, "0.0.0.0"),
    ("224.0.0.5", SERVER),
    ("255.255.255.255", SERVER),
    (CLIENT, "240.0.0.1"),
    ("10.1.0.1", SERVER),
    ("10.2.0.77", SERVER),
    (CLIENT, "10.2.0.255"),
    (CLIENT, "255.255.255.255"),
    (CLIENT, "224.0.0.251"),
]


@pytest.mark.parametrize("rp_filter", [0, 1, 2])
def test_martians_end_as_in_linux(bed: Testbed, rp_filter: int) -> None:
    bed.set_sysctl("net.ipv4.conf.a.rp_filter", rp_filter)
    for source, destination in MARTIANS:
        bed.compare([("a", ethernet(A_MAC, CLIENT_MAC, ipv4(source, destination, 17, udp(source, destination, 5, 6))))])


def test_reverse_path_filter_drops_what_would_go_back_elsewhere(bed: Testbed) -> None:
    bed.set_sysctl("net.ipv4.conf.all.rp_filter", 1)
    observed = bed.compare(
        [("a", datagram(source="10.2.0.50")), ("a", datagram(source="192.0.2.9")), ("a", datagram())]
    )
    assert len(observed.emulated["b"]) == 1


@pytest.mark.parametrize(
    "options",
    [
        bytes((1, 1, 1, 0)),
        bytes((0x83, 7, 4, 10, 2, 0, 2, 0)),  # loose source route
        bytes((0x89, 7, 4, 10, 2, 0, 2, 0)),  # strict source route
        bytes((0x94, 4, 0, 0)),  # router alert
        bytes((0x5E, 4, 0, 0)),  # experimental
        bytes((0x5E, 1, 0, 0)),  # too short
        bytes((0x5E, 9, 0, 0)),  # too long
        bytes((1, 1, 1, 0x5E)),  # no length
    ],
)
def test_ip_options_pass_or_are_refused(bed: Testbed, options: bytes) -> None:
    bed.compare([("a", datagram(options=options))])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p[:19],
        lambda p: bytes((0x55,)) + p[1:],
        lambda p: bytes((0x44,)) + p[1:],
        lambda p: p[:10] + bytes((p[10] ^ 1,)) + p[11:],
        lambda p: p[:-3],
        lambda p: p + bytes(20),
    ],
)
def test_malformed_headers_are_dropped_and_padding_is_cut(bed: Testbed, spoil: object) -> None:
    assert callable(spoil)
    packet = ipv4(CLIENT, SERVER, 17, udp(CLIENT, SERVER, 5, 6))
    bed.compare([("a", ethernet(A_MAC, CLIENT_MAC, spoil(packet)))])


def test_errors_are_not_answered_with_errors(bed: Testbed) -> None:
    error = echo(kind=3, payload=ipv4(CLIENT, SERVER, 17, bytes(8)))
    frames = [
        ("a", ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, SERVER, 1, message, ttl=1))) for message in (error, echo())
    ]
    observed = bed.compare(frames)
    assert len(observed.emulated["a"]) == 1


def test_later_fragments_and_frames_to_groups_are_not_answered(bed: Testbed) -> None:
    broadcast = ethernet("ff:ff:ff:ff:ff:ff", CLIENT_MAC, ipv4(CLIENT, SERVER, 17, bytes(20), ttl=1))
    bed.compare([("a", datagram(ttl=1, fragment=100)), ("a", broadcast), ("a", datagram(ttl=1, fragment=0x2000))])


def test_frames_for_other_stations_are_not_taken(bed: Testbed) -> None:
    packet = ipv4(CLIENT, SERVER, 17, udp(CLIENT, SERVER, 5, 6))
    bed.compare([("a", ethernet("02:00:00:00:77:77", CLIENT_MAC, packet)), ("a", ethernet(A_MAC, CLIENT_MAC, arp(
        1, CLIENT_MAC, CLIENT, "00:00:00:00:00:00", "10.1.0.1"), 0x86DD))])  # fmt: skip
