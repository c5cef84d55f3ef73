"""br_netfilter with NAT against the real kernel: a pod behind a VIP on the client's own bridge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel_oracle.harness import Observed, Testbed, arp, ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

BRIDGE_MAC, UPLINK_MAC = "02:00:00:00:00:b0", "02:00:00:00:00:e0"
ONE_MAC, TWO_MAC, FAR_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:99"
BROADCAST, ZERO = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
ONE, TWO, FAR, GATEWAY, VIP = "10.1.0.11", "10.1.0.12", "10.2.0.9", "10.1.0.1", "10.96.0.10"

RULES = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 10.96.0.10/32 -p udp --dport 80 -j DNAT --to-destination {endpoint}:8080
{more}
COMMIT
"""
FILTER = """*filter
:FORWARD ACCEPT [0:0]
{rules}
COMMIT
"""


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        testbed.add_link("p1", "02:00:00:00:00:01")
        testbed.add_link("p2", "02:00:00:00:00:02")
        testbed.add_link("up", UPLINK_MAC)
        testbed.add_bridge("br0", BRIDGE_MAC, ["p1", "p2"])
        testbed.add_address("br0", f"{GATEWAY}/24")
        testbed.add_address("up", "10.2.0.1/24")
        testbed.add_neighbour("up", FAR, FAR_MAC)
        testbed.set_sysctl("net.ipv4.ip_forward", 1)
        testbed.compare([("p1", ethernet(BROADCAST, ONE_MAC, bytes(46), 0x88B5))])
        testbed.compare([("p2", ethernet(BROADCAST, TWO_MAC, bytes(46), 0x88B5))])
        yield testbed


def learn(bed: Testbed) -> None:
    bed.add_neighbour("br0", ONE, ONE_MAC)
    bed.add_neighbour("br0", TWO, TWO_MAC)


def request(destination: str = VIP, dport: int = 80, payload: bytes = b"hello") -> bytes:
    return ethernet(BRIDGE_MAC, ONE_MAC, ipv4(ONE, destination, 17, udp(ONE, destination, 4000, dport, payload)))


def answer(payload: bytes = b"hello") -> bytes:
    return ethernet(ONE_MAC, TWO_MAC, ipv4(TWO, ONE, 17, udp(TWO, ONE, 8080, 4000, payload)))


def sent(observed: Observed) -> dict[str, int]:
    return {link: len(frames) for link, frames in observed.emulated.items() if frames}


def test_point_11_a_vip_whose_endpoint_is_on_the_same_bridge(bed: Testbed) -> None:
    learn(bed)
    bed.restore(RULES.format(endpoint=TWO, more=""))
    assert sent(bed.compare([("p1", request())])) == {"p2": 1}
    assert sent(bed.compare([("p2", answer())])) == {"p1": 1}
    assert sent(bed.compare([("p1", request())])) == {"p2": 1}


def test_point_11_without_br_netfilter_the_answer_takes_the_short_way_as_it_is(bed: Testbed) -> None:
    learn(bed)
    bed.set_sysctl("net.bridge.bridge-nf-call-iptables", 0)
    bed.restore(RULES.format(endpoint=TWO, more=""))
    bed.compare([("p1", request())])
    assert sent(bed.compare([("p2", answer())])) == {"p1": 1}


def test_the_endpoint_is_asked_for_by_arp_first(bed: Testbed) -> None:
    bed.restore(RULES.format(endpoint=TWO, more=""))
    asked = bed.compare([("p1", request())])
    assert sent(asked) == {"p1": 1, "p2": 1}
    found = ethernet(BRIDGE_MAC, TWO_MAC, arp(2, TWO_MAC, TWO, BRIDGE_MAC, GATEWAY), 0x0806)
    assert sent(bed.compare([("p2", found)])) == {"p2": 1}


def test_an_endpoint_elsewhere_is_routed(bed: Testbed) -> None:
    learn(bed)
    bed.restore(RULES.format(endpoint=FAR, more=""))
    assert sent(bed.compare([("p1", request())])) == {"up": 1}
    back = ethernet(UPLINK_MAC, FAR_MAC, ipv4(FAR, ONE, 17, udp(FAR, ONE, 8080, 4000)))
    assert sent(bed.compare([("up", back)])) == {"p1": 1}


def test_point_12_a_pod_that_reaches_itself_through_a_vip(bed: Testbed) -> None:
    learn(bed)
    bed.restore(RULES.format(endpoint=ONE, more=f"-A POSTROUTING -s {ONE}/32 -d {ONE}/32 -j MASQUERADE"))
    assert bed.compare([("p1", request())]).emulated["p1"] == []
    bed.set_hairpin("p1")
    assert sent(bed.compare([("p1", request())])) == {"p1": 1}
    reply = ethernet(BRIDGE_MAC, ONE_MAC, ipv4(ONE, GATEWAY, 17, udp(ONE, GATEWAY, 8080, 4000)))
    assert sent(bed.compare([("p1", reply)])) == {"p1": 1}


def test_masquerade_of_routed_and_bridged_packets(bed: Testbed) -> None:
    learn(bed)
    bed.restore(RULES.format(endpoint=TWO, more="-A POSTROUTING -p udp -j MASQUERADE"))
    assert sent(bed.compare([("p1", request())])) == {"p2": 1}
    assert sent(bed.compare([("p1", request(FAR, 53))])) == {"up": 1}
    direct = ethernet(TWO_MAC, ONE_MAC, ipv4(ONE, TWO, 17, udp(ONE, TWO, 4001, 9)))
    assert sent(bed.compare([("p1", direct)])) == {"p2": 1}


def test_a_redirect_to_the_machine_itself(bed: Testbed) -> None:
    learn(bed)
    bed.restore(RULES.format(endpoint=TWO, more="-A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5353"))
    bed.compare([("p1", ethernet(TWO_MAC, ONE_MAC, ipv4(ONE, TWO, 17, udp(ONE, TWO, 4001, 53))))])


@pytest.mark.parametrize(
    "rule",
    [
        "-A FORWARD -i br0 -o br0 -j DROP",
        "-A FORWARD -i br0 ! -o br0 -j DROP",
        "-A FORWARD -m physdev --physdev-in p1 --physdev-is-bridged -j DROP",
        "-A FORWARD -m physdev --physdev-out p1 --physdev-is-bridged -j DROP",
        "-A FORWARD -m physdev --physdev-in p2 -j REJECT",
        "-A FORWARD -i p1 -j DROP",
    ],
)
def test_the_links_that_forward_rules_see(bed: Testbed, rule: str) -> None:
    learn(bed)
    bed.restore(FILTER.format(rules=rule))
    direct = ethernet(TWO_MAC, ONE_MAC, ipv4(ONE, TWO, 17, udp(ONE, TWO, 4001, 9)))
    back = ethernet(ONE_MAC, TWO_MAC, ipv4(TWO, ONE, 17, udp(TWO, ONE, 9, 4001)))
    bed.compare([("p1", direct)])
    bed.compare([("p2", back)])
    bed.compare([("p1", request(FAR, 53))])


def test_a_frame_that_goes_up_passes_prerouting_once(bed: Testbed) -> None:
    learn(bed)
    bed.restore("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp\nCOMMIT\n")
    bed.compare([("p1", request(FAR, 53))])
    bed.compare([("p1", ethernet(TWO_MAC, ONE_MAC, ipv4(ONE, TWO, 17, udp(ONE, TWO, 4001, 9))))])
    assert "[2:" in bed.execute("iptables-save", "-c", "-t", "raw")
    assert "[2:" in bed.ns.netfilter.save("raw", counters=True)


def test_fragments_are_put_together_for_nat_and_cut_again(bed: Testbed) -> None:
    learn(bed)
    bed.restore(RULES.format(endpoint=TWO, more=""))
    whole = udp(ONE, VIP, 4000, 80, bytes(2000))
    pieces = [ipv4(ONE, VIP, 17, whole[:1480], fragment=0x2000), ipv4(ONE, VIP, 17, whole[1480:], fragment=185)]
    assert sent(bed.compare([("p1", ethernet(BRIDGE_MAC, ONE_MAC, piece)) for piece in pieces])) == {"p2": 2}
    pieces = [ipv4(ONE, FAR, 17, whole[:800], fragment=0x2000), ipv4(ONE, FAR, 17, whole[800:], fragment=100)]
    assert sent(bed.compare([("p1", ethernet(BRIDGE_MAC, ONE_MAC, piece)) for piece in pieces])) == {"up": 2}


def test_broadcasts_with_connection_tracking(bed: Testbed) -> None:
    learn(bed)
    bed.restore(RULES.format(endpoint=TWO, more=""))
    for destination in ("255.255.255.255", "10.1.0.255"):
        bed.compare([("p1", ethernet(BROADCAST, ONE_MAC, ipv4(ONE, destination, 17, udp(ONE, destination, 68, 67))))])
