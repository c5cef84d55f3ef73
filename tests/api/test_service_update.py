"""A Service that changes its type loses what only the old type had."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.api.service_update import without_stale_fields

NODE_PORT = {
    "type": "NodePort",
    "clusterIP": "10.96.0.9",
    "clusterIPs": ["10.96.0.9"],
    "externalTrafficPolicy": "Cluster",
    "ports": [{"port": 80, "nodePort": 30080}],
}
BALANCER = NODE_PORT | {
    "type": "LoadBalancer",
    "externalTrafficPolicy": "Local",
    "healthCheckNodePort": 30500,
    "allocateLoadBalancerNodePorts": True,
}


def service(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


@pytest.mark.parametrize(
    ("before", "change", "gone", "ports"),
    [
        (NODE_PORT, {"type": "ClusterIP"}, {"externalTrafficPolicy"}, [{"port": 80}]),
        (NODE_PORT, {"type": "LoadBalancer"}, set(), [{"port": 80, "nodePort": 30080}]),
        (
            NODE_PORT,
            {"type": "ExternalName", "externalName": "a.b"},
            {"clusterIP", "clusterIPs", "externalTrafficPolicy"},
            [{"port": 80}],
        ),
        (
            BALANCER,
            {"type": "ClusterIP"},
            {"externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts"},
            [{"port": 80}],
        ),
        (BALANCER, {"externalTrafficPolicy": "Cluster"}, {"healthCheckNodePort"}, [{"port": 80, "nodePort": 30080}]),
        (BALANCER, {"allocateLoadBalancerNodePorts": False}, set(), [{"port": 80}]),
        (NODE_PORT, {"clusterIP": "10.96.0.10"}, {"clusterIPs"}, [{"port": 80, "nodePort": 30080}]),
    ],
)
def test_what_goes(before: dict[str, Any], change: dict[str, Any], gone: set[str], ports: list[dict[str, Any]]) -> None:
    spec = without_stale_fields(service(before | change), service(before))["spec"]
    assert (before | change).keys() - spec.keys() == gone
    assert spec["ports"] == ports


def test_what_the_update_asks_for_stays_for_validation_to_refuse() -> None:
    asked = NODE_PORT | {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30999}]}
    assert without_stale_fields(service(asked), service(NODE_PORT))["spec"]["ports"] == asked["ports"]


@pytest.mark.parametrize(
    "change",
    [{"type": []}, {"type": {}}, {"ports": "x", "type": "ClusterIP"}, {"ports": [3, None], "type": "ClusterIP"}],
)
def test_what_is_not_valid_yet_does_no_harm(change: dict[str, Any]) -> None:
    spec = without_stale_fields(service(NODE_PORT | change), service(NODE_PORT))["spec"]
    assert spec["type"] == change["type"]
    assert without_stale_fields({"kind": "Service", "spec": 3}, service(NODE_PORT))["spec"] == 3
