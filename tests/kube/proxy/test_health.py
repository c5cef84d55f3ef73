"""What load balancers and probes are told of a node's kube-proxy."""

from __future__ import annotations

import json

import pytest

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.meta import Object
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kube.proxy.health import TIMEOUT, TO_BE_DELETED_TAINT, ProxyHealth, ServiceChecks
from emulator.kube.proxy.tracker import ServiceTracker

WEB = ("default", "web")


def service(number: int = 30100, **spec: object) -> Service:
    local: Object = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "healthCheckNodePort": number,
        "clusterIP": "10.96.0.9",
        "ports": [{"name": "http", "port": 80}, {"name": "ask", "port": 81, "protocol": "UDP"}],
    }
    return view({"metadata": {"namespace": "default", "name": "web"}, "spec": local | spec}, Service)


def endpoint(ip: str, node: str = "node-a", **conditions: bool) -> Object:
    return {"addresses": [ip], "nodeName": node, "conditions": conditions}


def endpoint_slice(*endpoints: Object, name: str = "web-1") -> EndpointSlice:
    labels = {"kubernetes.io/service-name": "web"}
    return view(
        {
            "metadata": {"namespace": "default", "name": name, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}, {"name": "ask", "port": 8081, "protocol": "UDP"}],
            "endpoints": list(endpoints),
        },
        EndpointSlice,
    )


class Node:
    """A node's tracker and its checks."""

    def __init__(self) -> None:
        self.tracker = ServiceTracker()
        self.checks = ServiceChecks("node-a")

    def sync(self) -> bool:
        return self.checks.update(self.tracker.take_changes(), self.tracker)

    def status(self, *, healthy: bool = True) -> int:
        return self.checks.answer(WEB, healthy=healthy).status


def test_ready_endpoints_of_the_node_count_each_address_once() -> None:
    node = Node()
    node.tracker.put_service(service())
    node.tracker.put_slice(
        endpoint_slice(
            endpoint("10.244.0.1", ready=True),
            endpoint("10.244.0.2", ready=True),
            endpoint("10.244.0.3", ready=False, serving=True, terminating=True),
            endpoint("10.244.0.4", ready=False),
            endpoint("10.244.1.1", node="node-b", ready=True),
        )
    )
    assert node.sync()
    answer = node.checks.answer(WEB, healthy=True)
    assert answer.status == 200
    assert dict(answer.headers) == {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": "2",
    }
    assert answer.body == (
        '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n'
        '\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}'
    )
    assert node.status(healthy=False) == 503


def test_a_node_fails_the_check_as_soon_as_its_last_endpoint_terminates() -> None:
    node = Node()
    node.tracker.put_service(service())
    node.tracker.put_slice(endpoint_slice(endpoint("10.244.0.1", ready=True)))
    node.sync()
    assert node.status() == 200
    node.tracker.put_slice(endpoint_slice(endpoint("10.244.0.1", ready=False, serving=True, terminating=True)))
    assert not node.sync()
    assert node.status() == 503
    node.tracker.remove_slice("default", "web-1")
    node.sync()
    assert node.status() == 503


def test_ports_come_change_and_go_with_their_services() -> None:
    node = Node()
    node.tracker.put_service(service())
    assert node.sync()
    assert node.checks.ports == {WEB: 30100}
    assert not node.sync()
    node.tracker.put_service(service(30200))
    assert node.sync()
    assert node.checks.ports == {WEB: 30200}
    node.tracker.put_service(service(0, externalTrafficPolicy="Cluster"))
    assert node.sync()
    assert node.checks.ports == {}
    node.tracker.put_service(service(30200))
    node.sync()
    node.tracker.remove_service(*WEB)
    assert node.sync()
    assert node.checks.ports == {}


class Clock:
    now = 1_767_225_600.0

    def __call__(self) -> float:
        return self.now


def answered(health: ProxyHealth, path: str) -> tuple[int, Object]:
    answer = health.answer(path)
    assert answer is not None
    return answer.status, json.loads(answer.body)


def test_a_change_that_waits_too_long_makes_kube_proxy_unhealthy() -> None:
    clock = Clock()
    health = ProxyHealth(clock)
    assert answered(health, "/healthz") == (
        200,
        {
            "lastUpdated": "2026-01-01T00:00:00Z",
            "currentTime": "2026-01-01T00:00:00Z",
            "nodeEligible": True,
            "healthy": True,
        },
    )
    health.synced()
    health.queued()
    clock.now += TIMEOUT - 1
    health.queued()  # the oldest one counts
    assert health.healthy
    clock.now += 1
    assert not health.healthy
    for path in ("/healthz", "/livez"):
        status, body = answered(health, path)
        assert status == 503
        assert body["lastUpdated"] == "2026-01-01T00:00:00Z"
        assert body["currentTime"] == "2026-01-01T00:01:00Z"
        assert body["status"] == {"IPv4": {"lastUpdated": "2026-01-01T00:00:00Z", "healthy": False}}
        assert ("nodeEligible" in body) is (path == "/healthz")
    health.synced()
    assert answered(health, "/healthz")[0] == 200


@pytest.mark.parametrize(
    "node",
    [
        None,
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"metadata": {}, "spec": {"taints": [{"key": TO_BE_DELETED_TAINT, "effect": "NoSchedule"}]}},
    ],
)
def test_a_node_that_goes_is_alive_but_not_eligible(node: Object | None) -> None:
    health = ProxyHealth(Clock())
    health.take_node(node)
    assert answered(health, "/healthz")[0] == 503
    assert answered(health, "/livez")[0] == 200
    health.take_node({"metadata": {}, "spec": {"taints": [{"key": "other", "effect": "NoSchedule"}]}})
    assert answered(health, "/healthz")[0] == 200
    assert health.answer("/other") is None
