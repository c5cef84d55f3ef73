"""Deployments to pods to slices: whatever the order of events, the end is what the specs say."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.kube.deployment import DeploymentController
from emulator.kube.endpointslice import EndpointSliceController
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import Key, Requeue
from emulator.kube.replicaset import ReplicaSetController
from emulator.kube.scheduler import NOT_REGISTERED, Scheduler

from .harness import Cluster, deployment, make_ready, node, service

WEB = Key("Deployment", "default", "web")


def workloads(seed: int = 0) -> Cluster:
    cluster = Cluster([DeploymentController(), ReplicaSetController(), Scheduler(), EndpointSliceController()], seed)
    for name in ("node-a", "node-b", "node-c"):
        cluster.put(node(name, zone=name[-1]))
    return cluster


def run_pods(cluster: Cluster, addresses: itertools.count[int]) -> None:
    """Act as the kubelets: pods become ready, deleted ones go."""
    for _ in range(50):
        before = cluster.writes
        for pod in cluster.list("Pod"):
            if pod["metadata"].get("deletionTimestamp"):
                cluster.delete(key_of(pod))
            elif "podIP" not in pod.get("status", {}) and pod["spec"].get("nodeName"):
                make_ready(cluster, pod, f"10.244.0.{next(addresses)}")
        cluster.settle()
        if cluster.writes == before:
            return
    raise AssertionError("the rollout does not end")


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_any_order_of_events_ends_in_ready_spread_pods(seed: int) -> None:
    cluster = workloads(seed)
    cluster.put(service())
    cluster.put(deployment())
    cluster.settle()
    run_pods(cluster, itertools.count(1))
    pods = list(cluster.list("Pod"))
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-a", "node-b", "node-c"}
    status = cluster.objects[WEB]["status"]
    assert status["readyReplicas"] == status["availableReplicas"] == status["updatedReplicas"] == 3
    (slice_,) = cluster.list("EndpointSlice")
    assert {endpoint["addresses"][0] for endpoint in slice_["endpoints"]} == {pod["status"]["podIP"] for pod in pods}
    assert all(endpoint["conditions"]["ready"] and endpoint["zone"] for endpoint in slice_["endpoints"])


@given(seed=st.integers(0, 2**32), surge=st.integers(0, 3), unavailable=st.integers(0, 3), size=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_a_rolling_update_keeps_its_limits_at_every_step(seed: int, surge: int, unavailable: int, size: int) -> None:
    cluster = workloads(seed)
    limits = {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    }
    cluster.put(deployment(replicas=size, **limits))
    cluster.settle()
    addresses = itertools.count(1)
    run_pods(cluster, addresses)
    cluster.put(deployment(replicas=size, image="nginx:2", **limits))
    cluster.settle()
    floor = size - (min(size, unavailable) or (0 if surge else 1))
    for _ in range(100):
        pods = [pod for pod in cluster.list("Pod") if not pod["metadata"].get("deletionTimestamp")]
        ready = [pod for pod in pods if "podIP" in pod.get("status", {})]
        assert len(pods) <= size + surge
        assert len(ready) >= floor
        waiting = [pod for pod in cluster.list("Pod") if pod not in ready]
        if not waiting:
            break
        pod = waiting[0]
        if pod["metadata"].get("deletionTimestamp"):
            cluster.delete(key_of(pod))
        else:
            make_ready(cluster, pod, f"10.244.1.{next(addresses)}")
        cluster.settle()
    images = {pod["spec"]["containers"][0]["image"] for pod in cluster.list("Pod")}
    assert images == {"nginx:2"}
    assert len(list(cluster.list("Pod"))) == size


def test_recreate_waits_until_the_old_pods_are_gone() -> None:
    cluster = workloads()
    cluster.put(deployment(strategy={"type": "Recreate"}))
    cluster.settle()
    addresses = itertools.count(1)
    run_pods(cluster, addresses)
    cluster.put(deployment(image="nginx:2", strategy={"type": "Recreate"}))
    cluster.settle()
    assert all(pod["metadata"].get("deletionTimestamp") for pod in cluster.list("Pod"))
    run_pods(cluster, addresses)
    assert [pod["spec"]["containers"][0]["image"] for pod in cluster.list("Pod")] == ["nginx:2"] * 3


def test_scaling_down_takes_the_unready_first() -> None:
    cluster = workloads()
    cluster.put(deployment())
    cluster.settle()
    run_pods(cluster, itertools.count(1))
    unready = next(iter(cluster.list("Pod")))
    make_ready(cluster, unready, unready["status"]["podIP"], ready=False)
    cluster.put(deployment(replicas=2))
    cluster.settle()
    run_pods(cluster, itertools.count(50))
    assert unready["metadata"]["name"] not in {pod["metadata"]["name"] for pod in cluster.list("Pod")}
    assert len(list(cluster.list("Pod"))) == 2


def test_min_ready_seconds_delays_availability_and_asks_again() -> None:
    cluster = workloads()
    cluster.put(deployment(replicas=1, minReadySeconds=30))
    cluster.settle()
    run_pods(cluster, itertools.count(1))
    assert cluster.objects[WEB]["status"]["availableReplicas"] == 0
    assert any(isinstance(entry, Requeue) and entry.after == 30 for entry in cluster.requeues)
    cluster.wall = "2026-01-01T00:00:30Z"
    replica_set = next(iter(cluster.list("ReplicaSet")))
    cluster.set_status(key_of(replica_set), {})
    cluster.settle()
    assert cluster.objects[WEB]["status"]["availableReplicas"] == 1


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "no nodes available to schedule pods"),
        ([node("a", ready=False)], "0/1 nodes are available: 1 node(s) had untolerated taint(s)."),
        (
            [node("a", unschedulable=True), node("b", taints=[{"key": "gpu", "effect": "NoSchedule"}])],
            "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable.",
        ),
    ],
)
def test_a_pod_that_fits_nowhere_says_why(nodes: list[dict[str, object]], message: str) -> None:
    cluster = Cluster([Scheduler()])
    for entry in nodes:
        cluster.put(entry)
    cluster.put({"kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": []}})
    cluster.settle()
    pod = cluster.objects[Key("Pod", "default", "p")]
    assert pod["status"]["conditions"][0]["message"] == message
    cluster.put(node("late"))
    cluster.settle()
    assert cluster.objects[Key("Pod", "default", "p")]["spec"]["nodeName"] == "late"


def test_pods_wait_a_little_for_nodes_that_start_with_the_cluster() -> None:
    cluster = Cluster([Scheduler()])
    late = node("late", ready=False)
    late["status"]["conditions"][0]["reason"] = NOT_REGISTERED
    cluster.put(node("early"))
    cluster.put(late)
    cluster.put({"kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": []}})
    cluster.settle()
    key = Key("Pod", "default", "p")
    assert "nodeName" not in cluster.objects[key]["spec"]
    assert [entry.after for entry in cluster.requeues] == [5.0, 5.0][: len(cluster.requeues)]
    cluster.wall = "2026-01-01T00:00:05Z"
    cluster.set_status(key_of(late), late["status"] | {"addresses": []})
    cluster.settle()
    assert cluster.objects[key]["spec"]["nodeName"] == "early"


def test_named_target_ports_that_differ_make_two_slices() -> None:
    cluster = workloads()
    cluster.put(service(ports=[{"name": "http", "port": 80, "targetPort": "web"}]))
    for number, port in ((1, 8080), (2, 9090)):
        pod = cluster.put(
            {
                "kind": "Pod",
                "metadata": {"name": f"p{number}", "namespace": "default", "labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "ports": [{"name": "web", "containerPort": port}]}]},
            }
        )
        make_ready(cluster, pod, f"10.244.0.{number}")
    cluster.settle()
    found = {
        (slice_["ports"][0]["port"], slice_["endpoints"][0]["addresses"][0]) for slice_ in cluster.list("EndpointSlice")
    }
    assert found == {(8080, "10.244.0.1"), (9090, "10.244.0.2")}


def test_a_pod_that_leaves_the_selector_or_terminates_leaves_the_ready_endpoints() -> None:
    cluster = workloads()
    cluster.put(service())
    cluster.put(deployment(replicas=2))
    cluster.settle()
    run_pods(cluster, itertools.count(1))
    one, other = cluster.list("Pod")
    cluster.delete(key_of(one), grace=True)
    relabelled = other | {"metadata": other["metadata"] | {"labels": {"app": "other"}}}
    cluster._store(key_of(other), relabelled)
    cluster.settle()
    (slice_,) = cluster.list("EndpointSlice")
    (endpoint,) = [entry for entry in slice_["endpoints"] if entry["targetRef"]["name"] == one["metadata"]["name"]]
    assert endpoint["conditions"] == {"ready": False, "serving": True, "terminating": True}
    assert other["metadata"]["name"] not in {entry["targetRef"]["name"] for entry in slice_["endpoints"]}


def test_slices_that_users_wrote_are_left_alone() -> None:
    cluster = workloads()
    own = {
        "kind": "EndpointSlice",
        "metadata": {"name": "mine", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [],
        "endpoints": [],
    }
    cluster.put(service(selector=None))
    cluster.put(own)
    cluster.settle()
    assert [slice_["metadata"]["name"] for slice_ in cluster.list("EndpointSlice")] == ["mine"]
