"""Local delivery against the real kernel: echo, unknown protocols and ports, reassembly, ARP and its timers."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from emulator.packet.checksum import checksum
from tests.kernel_oracle.harness import Testbed, arp, echo, ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

A_MAC, B_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
CLIENT_MAC, OTHER_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02"
BROADCAST, ZERO = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
CLIENT, HERE = "10.1.0.2", "10.1.0.1"


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        testbed.add_link("a", A_MAC)
        testbed.add_link("b", B_MAC)
        testbed.add_address("a", "10.1.0.1/24")
        testbed.add_address("b", "10.2.0.1/24")
        yield testbed


@pytest.fixture
def known(bed: Testbed) -> Testbed:
    bed.add_neighbour("a", CLIENT, CLIENT_MAC)
    return bed


def to_here(protocol: int, payload: bytes, destination: str = HERE, **header: int | bytes) -> bytes:
    return ethernet(A_MAC, CLIENT_MAC, ipv4(CLIENT, destination, protocol, payload, **header))  # type: ignore[arg-type]


def test_echo_is_answered_from_the_address_that_was_asked(known: Testbed) -> None:
    frames = [to_here(1, echo()), to_here(1, echo(payload=bytes(1400)), tos=0x3F), to_here(1, echo(), "10.2.0.1")]
    assert len(known.compare([("a", frame) for frame in frames]).emulated["a"]) == 3


def test_echo_to_a_broadcast_or_with_a_bad_checksum_is_not_answered(known: Testbed) -> None:
    bad = bytearray(echo())
    bad[2] ^= 1
    to_all = ethernet(BROADCAST, CLIENT_MAC, ipv4(CLIENT, "10.1.0.255", 1, echo()))
    assert known.compare([("a", to_here(1, bytes(bad))), ("a", to_all)]).emulated["a"] == []
    known.set_sysctl("net.ipv4.icmp_echo_ignore_broadcasts", 0)
    assert len(known.compare([("a", to_all)]).emulated["a"]) == 1


def test_unknown_protocols_and_ports_are_reported(known: Testbed) -> None:
    frames = [to_here(200, bytes(30)), to_here(17, udp(CLIENT, HERE, 5, 6)), to_here(17, udp(CLIENT, HERE, 5, 6)[:-1])]
    known.compare([("a", frame) for frame in frames])


def test_a_segment_for_no_socket_is_reset(known: Testbed) -> None:
    for flags in (0x02, 0x10, 0x18, 0x01, 0x04):
        segment = bytearray(struct.pack("!HHIIBBHHH", 4000, 80, 1000, 2000, 5 << 4, flags, 1000, 0, 0)) + b"abc"
        pseudo = 0x0A010002 + 0x0A010001 + 6 + len(segment)
        segment[16:18] = checksum(segment, pseudo).to_bytes(2, "big")
        known.compare([("a", to_here(6, bytes(segment)))])


def test_an_echo_in_pieces_is_put_together_and_answered_in_pieces(known: Testbed) -> None:
    message = echo(payload=bytes(range(256)) * 12)
    cuts = [(0, 1480), (1480, 2960), (2960, len(message))]
    pieces = [
        ("a", to_here(1, message[start:end], fragment=start >> 3 | (0x2000 if end < len(message) else 0)))
        for start, end in cuts
    ]
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 0, 1, 1, 2)):
        observed = known.compare([pieces[index] for index in order])
        assert len(observed.emulated["a"]) == 3


ODD_CUTS = [
    [(0, 80, True), (40, 160, True), (160, 203, False)],  # overlap
    [(0, 80, True), (80, 160, True), (40, 80, True), (160, 203, False)],  # duplicate part
    [(0, 80, True), (160, 203, False), (80, 240, True)],  # beyond the end
    [(0, 80, True), (160, 203, False), (80, 160, False)],  # two ends
    [(0, 83, True), (80, 203, False)],  # not a multiple of eight
    [(0, 0, True), (0, 203, False)],
    [(0, 80, True), (160, 308, False), (160, 304, False), (80, 160, True)],  # two ends, then what was missing
    [(0, 80, True), (160, 308, False), (304, 304, True), (80, 160, True)],  # an empty one, then what was missing
    [(160, 240, True), (0, 80, True), (80, 160, True), (80, 240, True), (240, 308, False)],  # over two runs
    [(80, 240, True), (0, 80, True), (160, 240, True), (240, 308, False)],  # inside of a run
]


@pytest.mark.parametrize("cuts", ODD_CUTS)
def test_odd_fragments_end_as_in_linux(known: Testbed, cuts: list[tuple[int, int, bool]]) -> None:
    message = echo(payload=bytes(300))
    frames = [
        to_here(
            1, message[start:end], fragment=start >> 3 | (0x2000 if more else 0), identification=ODD_CUTS.index(cuts)
        )
        for start, end, more in cuts
    ]
    known.compare([("a", frame) for frame in frames])


def test_arp_is_answered_for_every_local_address(bed: Testbed) -> None:
    for target in (HERE, "10.2.0.1", "10.1.0.77", "127.0.0.1", "10.1.0.255"):
        bed.compare([("a", ethernet(BROADCAST, CLIENT_MAC, arp(1, CLIENT_MAC, CLIENT, ZERO, target), 0x0806))])
    probe = arp(1, CLIENT_MAC, "0.0.0.0", ZERO, HERE)
    assert len(bed.compare([("a", ethernet(BROADCAST, CLIENT_MAC, probe, 0x0806))]).emulated["a"]) == 1


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 8])
def test_arp_ignore(bed: Testbed, mode: int) -> None:
    bed.set_sysctl("net.ipv4.conf.a.arp_ignore", mode)
    frames = [
        ("a", ethernet(BROADCAST, CLIENT_MAC, arp(1, CLIENT_MAC, sender, ZERO, target), 0x0806))
        for sender in (CLIENT, "10.9.0.9")
        for target in (HERE, "10.2.0.1")
    ]
    bed.compare(frames)


def test_proxy_arp_answers_for_what_is_routed_elsewhere(bed: Testbed) -> None:
    bed.set_sysctl("net.ipv4.ip_forward", 1)
    bed.set_sysctl("net.ipv4.conf.a.proxy_arp", 1)
    bed.execute("sysctl", "-qw", "net.ipv4.neigh.a.proxy_delay=0")
    request = arp(1, CLIENT_MAC, CLIENT, ZERO, "10.2.0.9")
    assert len(bed.compare([("a", ethernet(BROADCAST, CLIENT_MAC, request, 0x0806))]).emulated["a"]) == 1


def test_a_malformed_arp_is_ignored(bed: Testbed) -> None:
    good = arp(1, CLIENT_MAC, CLIENT, ZERO, HERE)
    for packet in (good[:20], good[:4] + b"\x08" + good[5:], b"\0\x09" + good[2:], good[:7] + b"\x03" + good[8:]):
        bed.compare([("a", ethernet(BROADCAST, CLIENT_MAC, packet, 0x0806))])


def test_an_unknown_sender_is_asked_for_three_times_then_reported(bed: Testbed) -> None:
    bed.set_sysctl("net.ipv4.ip_forward", 1)
    packet = ipv4(CLIENT, "10.2.0.9", 17, udp(CLIENT, "10.2.0.9", 5, 6))
    bed.add_neighbour("a", CLIENT, CLIENT_MAC)
    bed.set_neighbour_sysctl("b", "retrans_time_ms", 200)
    observed = bed.compare([("a", ethernet(A_MAC, CLIENT_MAC, packet))] * 3)
    assert len(observed.emulated["b"]) == 1
    observed = bed.advance(0.9)
    bed.assert_equal(observed)
    assert len(observed.emulated["b"]) == 2
    assert len(observed.emulated["a"]) == 3
    assert str(list(bed.ns.neighbours)[1]).split()[-1] == "FAILED"


def test_an_answer_releases_what_waits_and_a_request_teaches(bed: Testbed) -> None:
    bed.compare([("a", to_here(1, echo()))])
    answer = ethernet(A_MAC, CLIENT_MAC, arp(2, CLIENT_MAC, CLIENT, A_MAC, HERE), 0x0806)
    assert len(bed.compare([("a", answer)]).emulated["a"]) == 1
    assert len(bed.compare([("a", to_here(1, echo()))]).emulated["a"]) == 1


def test_an_entry_goes_stale_is_probed_by_unicast_and_fails(bed: Testbed) -> None:
    asked = ethernet(BROADCAST, CLIENT_MAC, arp(1, CLIENT_MAC, CLIENT, ZERO, HERE), 0x0806)
    bed.set_neighbour_sysctl("a", "delay_first_probe_time", 1)
    bed.set_neighbour_sysctl("a", "retrans_time_ms", 200)
    bed.compare([("a", asked), ("a", to_here(1, echo()))])
    assert bed.ip("neigh show dev a").split()[-1] == str(next(iter(bed.ns.neighbours))).split()[-1] == "DELAY"
    observed = bed.advance(1.9)
    bed.assert_equal(observed)
    assert len(observed.emulated["a"]) == 3
    assert bed.ip("neigh show dev a").split()[-1] == str(next(iter(bed.ns.neighbours))).split()[-1] == "FAILED"


def test_a_gratuitous_arp_moves_an_address(bed: Testbed) -> None:
    asked = ethernet(BROADCAST, CLIENT_MAC, arp(1, CLIENT_MAC, CLIENT, ZERO, HERE), 0x0806)
    moved = ethernet(BROADCAST, OTHER_MAC, arp(1, OTHER_MAC, CLIENT, ZERO, CLIENT), 0x0806)
    bed.compare([("a", asked), ("a", moved), ("a", to_here(1, echo()))])
    assert OTHER_MAC in bed.ip("neigh show dev a")
    assert OTHER_MAC in str(next(iter(bed.ns.neighbours)))


def test_the_first_of_two_answers_wins(bed: Testbed) -> None:
    bed.compare([("a", to_here(1, echo()))])
    answers = [("a", ethernet(A_MAC, mac, arp(2, mac, CLIENT, A_MAC, HERE), 0x0806)) for mac in (CLIENT_MAC, OTHER_MAC)]
    bed.compare(answers)
    assert CLIENT_MAC in bed.ip("neigh show dev a")
    assert CLIENT_MAC in str(next(iter(bed.ns.neighbours)))


@pytest.mark.parametrize("size", [10, 200, 1400])
def test_packets_that_wait_for_arp_are_bounded(bed: Testbed, size: int) -> None:
    bed.set_sysctl("net.ipv4.ip_forward", 1)
    there = "10.2.0.2"
    frames = [
        ("b", ethernet(B_MAC, OTHER_MAC, ipv4(there, CLIENT, 17, udp(there, CLIENT, 1, number, bytes(size)))))
        for number in range(300)
    ]
    bed.exchange(frames)
    answer = ethernet(A_MAC, CLIENT_MAC, arp(2, CLIENT_MAC, CLIENT, A_MAC, HERE), 0x0806)
    observed = bed.exchange([("a", answer)])
    assert len(observed.emulated["a"]) == len(observed.real["a"])
    bed.assert_equal(observed)
