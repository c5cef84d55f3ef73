"""Columns of kinds that the shared cluster has no interesting objects of."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.api.kinds import KINDS
from emulator.cli.columns import columns_of

NOW = 100.0
CREATED = "1970-01-01T00:01:00Z"  # 40 s ago


def cells(kind: str, **fields: Any) -> list[str]:
    return columns_of(kind).row({"metadata": {"name": "x", "creationTimestamp": CREATED}, **fields}, NOW)


@pytest.mark.parametrize(
    ("spec", "status", "address", "ports"),
    [
        ({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}, {}, "<none>", "80/TCP"),
        ({"externalIPs": ["1.2.3.4", "5.6.7.8"]}, {}, "1.2.3.4,5.6.7.8", "<none>"),
        (
            {"type": "NodePort", "ports": [{"port": 53, "nodePort": 30053, "protocol": "UDP"}]},
            {},
            "<none>",
            "53:30053/UDP",
        ),
        ({"type": "LoadBalancer"}, {}, "<pending>", "<none>"),
        ({"type": "LoadBalancer"}, {"ingress": [{"ip": "9.9.9.9"}]}, "9.9.9.9", "<none>"),
        ({"type": "LoadBalancer"}, {"ingress": [{"hostname": "balancer.example.com"}]}, "balancer.exam...", "<none>"),
        ({"type": "ExternalName", "externalName": "example.com"}, {}, "example.com", "<none>"),
    ],
)
def test_services(spec: dict[str, Any], status: dict[str, Any], address: str, ports: str) -> None:
    row = cells("Service", spec=spec, status={"loadBalancer": status})
    assert row[3:6] == [address, ports, "40s"]


def test_endpoint_slices_show_three_addresses() -> None:
    endpoints = [{"addresses": [f"10.0.0.{index}"]} for index in range(5)]
    row = cells("EndpointSlice", addressType="IPv4", endpoints=endpoints, ports=[{"port": 80}, {}])
    assert row == ["x", "IPv4", "80,*", "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more...", "40s"]
    assert cells("EndpointSlice", endpoints=[], ports=[])[2:4] == ["<unset>", "<unset>"]


def test_nodes() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert cells("Node", status=ready)[1] == "Ready"
    assert cells("Node", status=ready, spec={"unschedulable": True})[1] == "Ready,SchedulingDisabled"
    assert cells("Node", status={"conditions": [{"type": "Ready", "status": "Unknown"}]})[1] == "NotReady"
    assert cells("Node")[1] == "Unknown"


def test_workloads() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}}
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "t", "operator": "In", "values": ["y", "x"]}],
    }
    spec = {"replicas": 3, "template": template, "selector": selector}
    row = cells("Deployment", spec=spec, status={"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2})
    assert row == ["x", "2/3", "3", "2", "40s", "a,b", "i,j", "app=web,t in (x,y)"]
    assert cells("StatefulSet", spec=spec)[:3] == ["x", "0/3", "40s"]
    assert cells("DaemonSet", spec=spec, status={"numberReady": 2})[:8] == [
        "x",
        "0",
        "0",
        "2",
        "0",
        "0",
        "<none>",
        "40s",
    ]


@pytest.mark.parametrize("kind", sorted({kind.kind for kind in KINDS}))
def test_every_kind_can_be_shown_with_nothing_in_it(kind: str) -> None:
    columns = columns_of(kind)
    assert len(cells(kind)) == len(columns.names) + len(columns.wide)
