"""Packets through a node: where they come in, every way that chance leaves, and what is told of their ends."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from emulator.bundle.save import saved_files, write_files
from emulator.kernel.netns import Netns
from emulator.packet.address import ipv4_to_int
from emulator.reachability import check
from emulator.reachability.check import FlowResult, check_flows
from emulator.reachability.cluster import ClusterModel, NodeModel
from emulator.reachability.flow import Expectation, Flow
from emulator.reachability.node import make_node
from emulator.reachability.objects import read_objects
from emulator.reachability.probe import Outcome, Probe
from tests.reachability.test_objects import endpoint_slice, objects, service

NODE = NodeModel("n", ("172.18.0.2", "172.18.1.2"), "10.244.0.0/24")


def flow(source: str, destination: str = "203.0.113.9", port: int = 80, protocol: str = "TCP") -> Flow:
    return Flow(f"{source} to {destination}", ipv4_to_int(source), ipv4_to_int(destination), port, protocol)


def probe(directory: Path, rules: str = "", model: NodeModel = NODE) -> Probe:
    netns: Netns = make_node(model, [], Random(0))
    netns.netfilter.restore(rules)
    write_files(directory, saved_files(netns))
    return Probe(directory, model)


@pytest.mark.parametrize(
    ("source", "entry"),
    [
        ("172.18.0.2", "local"),
        ("172.18.1.2", "local"),
        ("127.0.0.1", "local"),
        ("127.9.9.9", "local"),
        ("10.244.0.7", "cbr0"),
        ("10.244.1.7", "eth0"),
        ("172.18.0.3", "eth0"),
        ("203.0.113.1", "eth0"),
    ],
)
def test_the_source_says_where_a_flow_comes_from(source: str, entry: str, tmp_path: Path) -> None:
    assert probe(tmp_path).entry(flow(source)) == entry


def test_every_end_of_a_packet(tmp_path: Path) -> None:
    rules = """*filter
-A FORWARD -d 203.0.113.1 -j DROP
-A FORWARD -d 203.0.113.2 -j REJECT
-A INPUT -p udp --dport 53 -j DROP
COMMIT
*nat
-A PREROUTING -d 203.0.113.3 -p tcp -j DNAT --to-destination 10.244.0.9:8080
-A PREROUTING -d 203.0.113.4 -p tcp -j DNAT --to-destination 172.18.0.2:6443
-A POSTROUTING -s 10.244.0.0/24 ! -d 10.244.0.0/24 -j MASQUERADE
COMMIT
"""
    node = probe(tmp_path, rules)
    ends = [
        (flow("172.18.0.3", "203.0.113.1"), Outcome("DROP", rules=("filter:FORWARD:rule:1",))),
        (flow("172.18.0.3", "203.0.113.2", protocol="SCTP"), Outcome("REJECT", rules=("filter:FORWARD:rule:2",))),
        (flow("172.18.0.3", "203.0.113.3"), Outcome("DNAT", "10.244.0.9:8080", rules=("nat:PREROUTING:rule:1",))),
        (flow("172.18.0.3", "203.0.113.4"), Outcome("DNAT", "172.18.0.2:6443", rules=("nat:PREROUTING:rule:2",))),
        (flow("10.244.0.7", "203.0.113.5"), Outcome("ACCEPT", "", True, ("nat:POSTROUTING:rule:1",))),
        (flow("172.18.0.2", "203.0.113.5", protocol="UDP"), Outcome("ACCEPT")),
        (flow("203.0.113.1", "172.18.0.2"), Outcome("ACCEPT")),
        (flow("203.0.113.1", "172.18.0.2", 53, "UDP"), Outcome("DROP", rules=("filter:INPUT:rule:1",))),
        (flow("203.0.113.1", "127.0.0.1"), Outcome("DROP", reason="IP_LOCALNET")),
    ]
    assert [list(node.outcomes(each)) for each, _ in ends] == [[end] for _, end in ends]


def test_a_verdict_that_is_left_to_chance_is_not_hidden(tmp_path: Path) -> None:
    node = probe(tmp_path, "*filter\n-A FORWARD -m statistic --mode random --probability 0.01 -j DROP\nCOMMIT\n")
    wanted = Flow("f", 0x0AF40007, 0xCB007101, 80, expect={"": Expectation("ACCEPT")})
    result = check._result(wanted, "iptables", list(node.outcomes(wanted)))
    assert (result.verdict, result.other_verdicts) == ("ACCEPT", ("DROP",))
    assert result.failures == ("verdict ACCEPT or DROP, expected ACCEPT",)
    assert result.to_json()["otherVerdicts"] == ["DROP"]


def results(endpoints: int, affinity: str = "None") -> list[FlowResult]:
    found = endpoint_slice("s", "s")
    found["ports"] = [{"port": 80}]
    found["endpoints"] = [{"addresses": [f"10.{n >> 8}.{n & 255}.1"]} for n in range(endpoints)]
    cluster = ClusterModel({"n": NODE})
    taken = objects(service("s", clusterIP="10.96.0.1", sessionAffinity=affinity), found)
    return list(check_flows([flow("10.244.0.7", "10.96.0.1")], ["iptables"], cluster, "n", taken))


@pytest.mark.parametrize("affinity", ["None", "ClientIP"])
def test_all_of_many_endpoints(affinity: str) -> None:
    (result,) = results(600, affinity)
    assert result.endpoints == tuple(sorted(f"10.{n >> 8}.{n & 255}.1:80" for n in range(600)))
    assert result.verdicts == "DNAT"


def test_hairpins_are_told_apart() -> None:
    outcomes = [Outcome("DNAT", "10.0.0.1:80", True), Outcome("DNAT", "10.0.0.2:80")]
    mixed = check._result(flow("10.0.0.1"), "iptables", outcomes)
    assert (mixed.masquerade, mixed.masqueraded) == (False, ("10.0.0.1:80",))
    alone = check._result(flow("10.0.0.1"), "iptables", outcomes[:1])
    assert (alone.masquerade, alone.masqueraded) == (True, ("10.0.0.1:80",))
    assert "masqueraded" not in alone.to_json()


def test_a_node_without_an_address_cannot_be_reached() -> None:
    from emulator.errors import PodwireError

    with pytest.raises(PodwireError, match="node n has no address, so nothing can reach it: give it nodeIPs"):
        list(check_flows([flow("10.0.0.1")], ["iptables"], ClusterModel({"n": NodeModel("n")}), "n", read_objects([])))
