"""The bridge against the real kernel: learning, flooding, reserved groups, hairpin, what goes up, br_netfilter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel_oracle.harness import Testbed, arp, echo, ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

BRIDGE_MAC = "02:00:00:00:00:b0"
PORT_MACS = {"p1": "02:00:00:00:00:01", "p2": "02:00:00:00:00:02", "p3": "02:00:00:00:00:03"}
POD_MACS = {"p1": "02:00:00:00:01:01", "p2": "02:00:00:00:01:02", "p3": "02:00:00:00:01:03"}
BROADCAST, ZERO = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
ONE, TWO, THREE = "10.1.0.11", "10.1.0.12", "10.1.0.13"


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        for name, mac in PORT_MACS.items():
            testbed.add_link(name, mac)
        testbed.add_bridge("br0", BRIDGE_MAC, list(PORT_MACS))
        testbed.add_address("br0", "10.1.0.1/24")
        yield testbed


def frame(source: str, destination: str, ethertype: int = 0x88B5) -> bytes:
    return ethernet(destination, source, b"what the bridge does not read".ljust(50, b"."), ethertype)


def test_unknown_destinations_are_flooded_and_known_ones_are_not(bed: Testbed) -> None:
    first = bed.compare([("p1", frame(POD_MACS["p1"], POD_MACS["p2"]))])
    assert [len(first.emulated[port]) for port in PORT_MACS] == [0, 1, 1]
    second = bed.compare([("p2", frame(POD_MACS["p2"], POD_MACS["p1"]))])
    assert [len(second.emulated[port]) for port in PORT_MACS] == [1, 0, 0]


def test_a_station_that_moves_is_found_at_its_new_port(bed: Testbed) -> None:
    bed.compare([("p1", frame(POD_MACS["p1"], BROADCAST)), ("p2", frame(POD_MACS["p1"], BROADCAST))])
    moved = bed.compare([("p3", frame(POD_MACS["p3"], POD_MACS["p1"]))])
    assert [len(moved.emulated[port]) for port in PORT_MACS] == [0, 1, 0]


def test_groups_are_flooded_but_reserved_ones_are_not(bed: Testbed) -> None:
    for last in range(0x12):
        bed.compare([("p1", frame(POD_MACS["p1"], f"01:80:c2:00:00:{last:02x}"))])
    bed.compare([("p1", frame(POD_MACS["p1"], "01:00:5e:00:00:fb")), ("p1", frame(POD_MACS["p1"], BROADCAST))])


def test_odd_senders(bed: Testbed) -> None:
    for source in (ZERO, BROADCAST, "01:00:5e:00:00:01", BRIDGE_MAC, PORT_MACS["p1"], PORT_MACS["p2"]):
        bed.compare([("p1", frame(source, POD_MACS["p2"]))])
    bed.compare([("p3", frame(POD_MACS["p3"], BRIDGE_MAC)), ("p3", frame(POD_MACS["p3"], PORT_MACS["p1"]))])


def test_a_frame_is_not_sent_back_unless_the_port_is_a_hairpin(bed: Testbed) -> None:
    bed.compare([("p1", frame(POD_MACS["p1"], BROADCAST))])
    assert bed.compare([("p1", frame(POD_MACS["p2"], POD_MACS["p1"]))]).emulated["p1"] == []
    bed.set_hairpin("p1")
    assert len(bed.compare([("p1", frame(POD_MACS["p2"], POD_MACS["p1"]))]).emulated["p1"]) == 1
    assert len(bed.compare([("p1", frame(POD_MACS["p1"], BROADCAST))]).emulated["p1"]) == 1


def test_tagged_frames_pass_as_they_are(bed: Testbed) -> None:
    tagged = ethernet(POD_MACS["p2"], POD_MACS["p1"], b"\0\x05\x08\0" + ipv4(ONE, TWO, 17, udp(ONE, TWO, 1, 2)), 0x8100)
    bed.compare([("p1", tagged)])


def test_what_is_too_long_for_a_port_stays_behind(bed: Testbed) -> None:
    bed.ip("link set dev p2 mtu 1000")
    bed.ns.links["p2"].set_mtu(1000)
    sizes = (900, 1000, 1004, 1005, 1400)
    frames = [("p1", ethernet(BROADCAST, POD_MACS["p1"], bytes(size), 0x88B5)) for size in sizes]
    observed = bed.compare(frames)
    assert [len(sent) - 14 for sent in observed.emulated["p3"]] == list(sizes)


def test_the_machine_answers_on_its_bridge(bed: Testbed) -> None:
    asked = ethernet(BROADCAST, POD_MACS["p1"], arp(1, POD_MACS["p1"], ONE, ZERO, "10.1.0.1"), 0x0806)
    ping = ethernet(BRIDGE_MAC, POD_MACS["p1"], ipv4(ONE, "10.1.0.1", 1, echo()))
    observed = bed.compare([("p1", asked), ("p1", ping)])
    assert [len(observed.emulated[port]) for port in PORT_MACS] == [2, 1, 1]


def learn(bed: Testbed) -> None:
    """Let the bridge and the neighbour table know the three pods."""
    addresses = {"p1": ONE, "p2": TWO, "p3": THREE}
    for port, mac in POD_MACS.items():
        bed.compare([(port, frame(mac, BROADCAST))])
        bed.add_neighbour("br0", addresses[port], mac)


def test_bridged_ipv4_is_checked_by_br_netfilter(bed: Testbed) -> None:
    learn(bed)
    good = ipv4(ONE, TWO, 17, udp(ONE, TWO, 1, 2))
    spoilt = [good[:10] + b"\0\0" + good[12:], bytes((0x35,)) + good[1:], good[:-2], good + b"padding", good[:19]]
    for call in (1, 0):
        bed.set_sysctl("net.bridge.bridge-nf-call-iptables", call)
        for content in (good, *spoilt):
            bed.compare([("p1", ethernet(POD_MACS["p2"], POD_MACS["p1"], content))])


def test_bridged_fragments_without_conntrack_pass_as_they_are(bed: Testbed) -> None:
    learn(bed)
    whole = udp(ONE, TWO, 1, 2, bytes(2000))
    pieces = [ipv4(ONE, TWO, 17, whole[:1480], fragment=0x2000), ipv4(ONE, TWO, 17, whole[1480:], fragment=185)]
    bed.compare([("p1", ethernet(POD_MACS["p2"], POD_MACS["p1"], piece)) for piece in pieces])
