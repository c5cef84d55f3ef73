"""What a node takes over from Node objects: whatever a user writes there, the node lives."""

import logging
from typing import Any

import pytest

from emulator.api.objects import Node
from emulator.api.objects.view import view
from emulator.runtime.node.node import _peers


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
    assert _peers([node(underlay, mac)], logging.getLogger("node")) == []
    assert [record.getMessage() for record in caplog.records] == ["a node's annotations are unusable"]


def test_peers_are_the_nodes_that_have_registered() -> None:
    (peer,) = _peers([node("127.0.0.1:4789")], logging.getLogger("node"))
    assert (peer.name, peer.address, peer.mac) == ("n", ("127.0.0.1", 4789), 0x020000000001)
