"""Views: Kubernetes' spellings and defaults, and what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.api.manifest import read_manifests
from emulator.api.objects import (
    Deployment,
    EndpointSlice,
    Namespace,
    Node,
    Pod,
    ReplicaSet,
    Service,
    ViewError,
    view,
    without_nulls,
)

DATA = Path(__file__).parent.parent / "data" / "manifests"


def test_spellings_that_are_not_plain_camel_case() -> None:
    spec = {
        "clusterIP": "10.0.0.1",
        "clusterIPs": ["10.0.0.1"],
        "externalIPs": ["1.1.1.1"],
        "loadBalancerIP": "2.2.2.2",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}},
    }
    service = view({"spec": spec}, Service)
    assert service.spec.cluster_ip == "10.0.0.1"
    assert service.spec.cluster_ips == ("10.0.0.1",)
    assert service.spec.external_ips == ("1.1.1.1",)
    assert service.spec.load_balancer_ip == "2.2.2.2"
    assert service.spec.session_affinity_config.client_ip.timeout_seconds == 5
    pod = view({"status": {"podIP": "10.244.0.2", "podIPs": [{"ip": "10.244.0.2"}], "hostIP": "172.18.0.2"}}, Pod)
    assert (pod.status.pod_ip, pod.status.pod_ips[0].ip, pod.status.host_ip) == (
        "10.244.0.2",
        "10.244.0.2",
        "172.18.0.2",
    )
    node = view({"spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"], "providerID": "x"}}, Node)
    assert (node.spec.pod_cidr, node.spec.pod_cidrs, node.spec.provider_id) == (
        "10.244.0.0/24",
        ("10.244.0.0/24",),
        "x",
    )


def test_target_ports_default_to_the_port() -> None:
    ports = [{"port": 80}, {"port": 81, "targetPort": "http"}, {"port": 82, "targetPort": 8080, "protocol": "UDP"}]
    parsed = view({"spec": {"ports": ports}}, Service).spec.ports
    assert [(port.target_port, port.protocol) for port in parsed] == [(80, "TCP"), ("http", "TCP"), (8080, "UDP")]


def test_defaults_are_kubernetes_own() -> None:
    deployment = view({}, Deployment)
    assert deployment.spec.replicas == 1
    assert deployment.spec.strategy.rolling_update.max_surge == "25%"
    pod = view({"spec": {"containers": [{"name": "a", "readinessProbe": {"httpGet": {"port": "http"}}}]}}, Pod)
    assert (pod.spec.restart_policy, pod.spec.dns_policy, pod.spec.termination_grace_period_seconds) == (
        "Always",
        "ClusterFirst",
        30,
    )
    probe = pod.spec.containers[0].readiness_probe
    assert probe is not None
    assert probe.http_get is not None
    assert (probe.http_get.path, probe.http_get.scheme, probe.period_seconds, probe.failure_threshold) == (
        "/",
        "HTTP",
        10,
        3,
    )
    endpoint = view({"endpoints": [{"addresses": ["10.0.0.1"]}]}, EndpointSlice).endpoints[0]
    assert (endpoint.conditions.ready, endpoint.conditions.serving, endpoint.conditions.terminating) == (
        True,
        True,
        False,
    )


def test_derived_facts() -> None:
    node = view(
        {
            "metadata": {"labels": {"topology.kubernetes.io/zone": "zone-a"}},
            "status": {
                "addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "172.18.0.2"}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        },
        Node,
    )
    assert (node.zone, node.status.internal_ip, node.status.is_ready) == ("zone-a", "172.18.0.2", True)
    owners = [{"kind": "Other", "name": "x"}, {"kind": "ReplicaSet", "name": "web-1", "controller": True}]
    owner = view({"metadata": {"ownerReferences": owners}}, Pod).metadata.controller
    assert owner is not None
    assert owner.name == "web-1"
    assert view({"metadata": {}}, ReplicaSet).metadata.controller is None


def test_null_is_not_given() -> None:
    obj = {"metadata": {"name": "a", "labels": None}, "spec": {"containers": [{"name": "a", "args": None}]}}
    assert view(obj, Pod).metadata.labels == {}
    assert without_nulls(obj) == {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a"}]}}
    assert obj["metadata"]["labels"] is None  # type: ignore[index,call-overload]


def test_fields_of_another_type_are_named() -> None:
    with pytest.raises(ViewError, match=r"Pod 'a': Expected `str`, got `int` - at `\$\.spec\.nodeName`"):
        view({"kind": "Pod", "metadata": {"name": "a"}, "spec": {"nodeName": 3}}, Pod)


def test_views_are_frozen() -> None:
    with pytest.raises(AttributeError):
        view({}, Namespace).kind = "Pod"  # type: ignore[misc]


def test_real_manifests_have_views() -> None:
    types = {"Deployment": Deployment, "Service": Service}
    for item in read_manifests([DATA]):
        if item.object["kind"] in types:
            parsed = view(item.object, types[item.object["kind"]])
            assert parsed.metadata.name == item.object["metadata"]["name"]
