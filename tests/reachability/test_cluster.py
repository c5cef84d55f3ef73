"""What describes a cluster: JSON in its many spellings, a cluster file, Node objects, and which of them is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.api.objects.node import Node
from emulator.api.objects.view import view
from emulator.errors import ManifestError
from emulator.reachability.cluster import ClusterModel, NodeModel, UnknownNodeError, default_cluster
from emulator.reachability.cluster_reader import parse_cluster, read_cluster

CONFIGS = Path(__file__).parents[2] / "configs"


def parse(**values: Any) -> ClusterModel:
    return parse_cluster(json.dumps(values), "cluster.json")


def test_a_node_without_a_name_is_the_one_that_is_asked_for() -> None:
    cluster = parse(podCIDR="10.0.0.0/8", nodeIPs=["192.168.0.2", "fd00::2"], zone="a", masqueradeAll=True)
    node = cluster.node("any")
    assert (node.name, node.addresses, node.pod_cidr, node.zone) == ("any", ("192.168.0.2",), "10.0.0.0/8", "a")
    assert cluster.settings.masquerade_all
    with pytest.raises(UnknownNodeError):
        cluster.node("")


def test_nodes_by_list_or_by_name() -> None:
    listed = parse(nodes=[{"name": "a", "nodeIPs": "10.9.0.1"}, {"name": "b", "podCIDR": "10.0.1.0/24"}])
    named = parse(nodes={"a": {"addresses": ["10.9.0.1"]}, "b": {"pod_cidr": "10.0.1.0/24"}})
    assert listed == named
    assert [node.name for node in listed.others("a")] == ["b"]
    with pytest.raises(UnknownNodeError, match='no node "c"; the nodes are: a, b'):
        listed.node("c")


def test_what_stands_beside_the_nodes_is_for_the_one_asked_for() -> None:
    cluster = parse(podCIDR="10.0.0.0/8", nodes=[{"name": "a"}, {"name": "b", "podCIDR": "10.0.1.0/24"}])
    assert cluster.node("a").pod_cidr == "10.0.0.0/8"
    assert cluster.node("b").pod_cidr == "10.0.1.0/24"


@pytest.mark.parametrize(
    ("detector", "local"),
    [
        ({}, "10.0.1.0/24"),
        ({"localDetector": "NodeCIDR"}, "10.0.1.0/24"),
        ({"localDetector": True}, "10.0.1.0/24"),
        ({"localDetector": "ClusterCIDR"}, "10.0.0.0/8"),
        ({"localDetector": {"mode": "ClusterCIDR"}}, "10.0.0.0/8"),
        ({"localDetector": "10.2.0.0/16"}, "10.2.0.0/16"),
        ({"localDetector": {"cidr": "10.2.0.0/16"}}, "10.2.0.0/16"),
        ({"localDetector": None}, ""),
        ({"localDetector": "none"}, ""),
        ({"localDetector": False}, ""),
    ],
)
def test_what_counts_as_a_pod_of_the_node(detector: dict[str, Any], local: str) -> None:
    cluster = parse(podCIDR="10.0.1.0/24", clusterCIDR="10.0.0.0/8", **detector)
    assert cluster.node("n").proxy_node().pod_cidr == local
    nodes = parse(clusterCIDR="10.0.0.0/8", nodes=[{"name": "n", "podCIDR": "10.0.1.0/24", **detector}])
    assert nodes.node("n").proxy_node().pod_cidr == local


def test_all_that_is_wrong_is_told_by_name() -> None:
    with pytest.raises(ManifestError) as caught:
        parse(
            podCIDRR="x", nodeIPs=[1], masqueradeAll="yes", masqueradeBit=32, localDetector="BridgeInterface",
            nodes=[{"podCIDR": "10.0.0.0/99", "taints": []}, {"name": "a"}, {"name": "a", "labels": {"b": 1}}],
        )  # fmt: skip
    assert [line.removeprefix("cluster.json: ") for line in caught.value.problems] == [
        '$.podCIDRR: unknown key; did you mean "podCIDR"?',
        '$.localDetector: "BridgeInterface" is not known; NodeCIDR, ClusterCIDR, a network and none are',
        "$.nodeIPs: a list of strings is wanted",
        "$.nodes[0].taints: unknown key; known are name, podCIDR, nodeIPs, labels, zone, localDetector",
        '$.nodes[0].podCIDR: "10.0.0.0/99" is no network such as 10.244.0.0/24',
        "$.nodes[0].name: missing",
        "$.nodes[2].labels: an object of strings is wanted",
        "$.nodes[2].name: a is the name of $.nodes[1] too",
        '$.masqueradeAll: true or false is wanted, not "yes"',
        "$.masqueradeBit: a number from 0 to 31 is wanted, not 32",
    ]


def test_what_is_no_json_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"cluster.json:2: not valid JSON"):
        parse_cluster('{"podCIDR":\n}', "cluster.json")
    with pytest.raises(ManifestError, match="cannot be read: No such file"):
        read_cluster(str(tmp_path / "none.json"))


def test_a_cluster_file_has_the_addresses_that_start_gives() -> None:
    cluster = read_cluster(str(CONFIGS / "3node.toml"))
    first = cluster.node("node-a")
    assert (first.addresses, first.pod_cidr) == (("172.18.0.2",), "10.244.0.0/24")
    assert [(node.addresses, node.pod_cidr) for node in cluster.others("node-a")] == [
        (("172.18.0.3",), "10.244.1.0/24"),
        (("172.18.0.4",), "10.244.2.0/24"),
    ]


NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "a", "labels": {"topology.kubernetes.io/zone": "z"}},
    "spec": {"podCIDR": "fd00::/64", "podCIDRs": ["fd00::/64", "10.1.0.0/24"]},
    "status": {
        "addresses": [
            {"type": "ExternalIP", "address": "203.0.113.1"},
            {"type": "InternalIP", "address": "10.9.0.1"},
            {"type": "Hostname", "address": "a"},
        ]
    },
}


def test_node_objects_tell_what_the_file_does_not() -> None:
    node = view(NODE, Node)
    assert ClusterModel().with_nodes([node]).node("") == NodeModel(
        "a", ("10.9.0.1",), "10.1.0.0/24", {"topology.kubernetes.io/zone": "z"}
    )
    told = parse(nodes=[{"name": "a", "podCIDR": "10.2.0.0/24"}]).with_nodes([node]).node("a")
    assert (told.pod_cidr, told.addresses, told.zone) == ("10.2.0.0/24", ("10.9.0.1",), "z")
    asked = parse(nodeIPs=["10.9.0.9"]).with_nodes([node]).node("a")
    assert (asked.pod_cidr, asked.addresses) == ("10.1.0.0/24", ("10.9.0.9",))


def test_without_any_description_there_is_one_node() -> None:
    assert default_cluster("mine").node("").name == "mine"
