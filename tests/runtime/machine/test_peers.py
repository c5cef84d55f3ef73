"""What a node takes over from Node objects and the cloud's Lease: whatever a user writes there, the node lives."""

import logging
from typing import Any

import pytest

from emulator.api.objects import Node
from emulator.api.objects.view import view
from emulator.kube.cloud_lease import cloud_lease
from emulator.runtime.machine.peers import cloud_peers, node_peers


def node(underlay: str, mac: str = "02:00:00:00:00:01") -> Node:
    annotations = {"podwire/underlay": underlay, "podwire/mac": mac}
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "annotations": annotations}}
    return view(obj, Node)


@pytest.mark.parametrize(
    ("underlay", "mac"),
    [
        ("127.0.0.1:99999", "02:00:00:00:00:01"),
        ("node.example:53", "02:00:00:00:00:01"),
        ("192.0.2.1:53", "02:00:00:00:00:01"),
        ("127.0.0.1:5", "02:00"),
    ],
)
def test_annotations_that_make_no_peer_are_logged(underlay: str, mac: str, caplog: pytest.LogCaptureFixture) -> None:
    assert node_peers([node(underlay, mac)], logging.getLogger("node")) == []
    assert [record.getMessage() for record in caplog.records] == ["the annotations of a machine are unusable"]


def test_peers_are_the_nodes_that_have_registered() -> None:
    (peer,) = node_peers([node("127.0.0.1:4789")], logging.getLogger("node"))
    assert (peer.name, peer.address, peer.mac) == ("n", ("127.0.0.1", 4789), 0x020000000001)


def test_the_cloud_has_all_the_macs_that_are_behind_its_nic() -> None:
    lease = cloud_lease("cloud-1", "127.0.0.1:4790", ("02:00:00:00:00:02", "02:00:00:00:00:03"))
    (peer,) = cloud_peers([lease], logging.getLogger("node"))
    assert (peer.name, peer.address, peer.macs) == ("cloud", ("127.0.0.1", 4790), (0x020000000002, 0x020000000003))


def test_leases_of_others_and_spoilt_ones_make_no_peer(caplog: pytest.LogCaptureFixture) -> None:
    other = cloud_lease("x", "127.0.0.1:1", ("02:00:00:00:00:02",))
    other["metadata"]["name"] = "kube-scheduler"
    spoilt = cloud_lease("x", "127.0.0.1:1", ("02:00",))
    assert cloud_peers([other, spoilt], logging.getLogger("node")) == []
    assert len(caplog.records) == 1
