"""Whole packets through a namespace: what goes in, what comes out, and what the tables say then."""

from __future__ import annotations

import pytest

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.ipvs.error import IpvsRunError
from emulator.kernel.trace import StepKind
from tests.kernel.netfilter import wire
from tests.kernel.netfilter.ipvs.balancer import CLIENT, MASQUERADE, VIP, Balancer, service

GATEWAY = "10.0.2.1"


def test_a_request_is_sent_to_a_real_server_and_its_answer_comes_from_the_service() -> None:
    balancer = Balancer(service("rr", 1))
    ((link, out),) = balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    assert (link, wire.ends(out)) == ("b", (CLIENT, 4000, "10.0.2.2", 8080))
    assert out[8] == 63  # the TTL: IPVS is a router too
    ((link, back),) = balancer.send("b", wire.tcp("10.0.2.2", 8080, CLIENT, 4000, wire.SYN | wire.ACK, 9, 2))
    assert (link, wire.ends(back)) == ("a", (VIP, 80, CLIENT, 4000))
    assert balancer.table() == [f"{CLIENT}:4000 {VIP}:80 10.0.2.2:8080 3"]


@pytest.mark.parametrize("conntrack", [True, False])
def test_masquerading_needs_conntrack(*, conntrack: bool) -> None:
    balancer = Balancer(service("rr", 1), MASQUERADE, conntrack=conntrack)
    ((_, out),) = balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    source = GATEWAY if conntrack else CLIENT
    assert wire.ends(out) == (source, 4000, "10.0.2.2", 8080)
    ((link, back),) = balancer.send("b", wire.tcp("10.0.2.2", 8080, source, 4000, wire.SYN | wire.ACK, 9, 2))
    assert (link, wire.ends(back)) == ("a", (VIP, 80, CLIENT, 4000))
    entries = balancer.entries()
    if not conntrack:
        assert entries == []
        return
    (entry,) = entries
    assert f"src={CLIENT} dst={VIP} sport=4000 dport=80 src=10.0.2.2 dst={GATEWAY} sport=8080 dport=4000" in entry
    assert "SYN_RECV" in entry


def test_udp_and_sctp_are_balanced_too() -> None:
    balancer = Balancer(
        f"-A -u {VIP}:53 -s rr\n-a -u {VIP}:53 -r 10.0.2.2:5353 -m\n"
        f"-A --sctp-service {VIP}:90 -s rr\n-a --sctp-service {VIP}:90 -r 10.0.3.2:91 -m\n"
    )
    ((link, out),) = balancer.send("a", wire.udp(CLIENT, 4000, VIP, 53))
    assert (link, wire.ends(out)) == ("b", (CLIENT, 4000, "10.0.2.2", 5353))
    ((link, back),) = balancer.send("b", wire.udp("10.0.2.2", 5353, CLIENT, 4000))
    assert (link, wire.ends(back)) == ("a", (VIP, 53, CLIENT, 4000))
    init = wire.sctp(CLIENT, 4000, VIP, 90, 0, wire.chunk(1, value=bytes(16)))
    ((link, out),) = balancer.send("a", init)
    assert link == "c"
    assert out[16:20] == bytes((10, 0, 3, 2))


def test_a_service_without_a_real_server_refuses() -> None:
    balancer = Balancer(service("rr", 0))
    ((link, out),) = balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1))
    assert (link, out[9], out[20], out[21]) == ("a", 1, 3, 3)  # ICMP port unreachable, also for TCP
    assert balancer.ns.drops[DropReason.IPVS_NO_SERVER] == 1
    assert balancer.table() == []


def test_the_trace_tells_what_was_chosen() -> None:
    balancer = Balancer(service("rr", 1), MASQUERADE)
    balancer.send("a", wire.tcp(CLIENT, 4000, VIP, 80, wire.SYN, 1), traced=True)
    steps = [(step.kind, step.detail) for step in balancer.steps()]
    (ipvs,) = [detail for kind, detail in steps if kind is StepKind.IPVS]
    assert ipvs == {
        "what": "schedule", "service": f"TCP {VIP}:80", "scheduler": "rr", "server": "10.0.2.2:8080", "state": "NONE",
    }  # fmt: skip
    rewrites = [detail["kind"] for kind, detail in steps if kind is StepKind.NAT]
    assert rewrites == ["IPVS DNAT", "SNAT"]


def test_an_error_names_its_line_and_what_stood_before_it_is_done() -> None:
    balancer = Balancer()
    with pytest.raises(IpvsRunError) as caught:
        balancer.run(f"# a comment\n\n-A -t {VIP}:80 -s rr\nipvsadm -A -t {VIP}:80 -s rr\n-A -t {VIP}:81 -s rr")
    assert str(caught.value) == "ipvsadm: line 4: Service already exists"
    assert [str(each.key) for each in balancer.ipvs.services] == [f"TCP {VIP}:80"]
