"""Deployments to pods to slices: whatever the order of events, the end is what the specs say."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.api.objects.meta import Object
from emulator.kube.controllers.deployment import DeploymentController
from emulator.kube.controllers.endpointslice import EndpointSliceController
from emulator.kube.controllers.replicaset import ReplicaSetController
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import Create, Key, Moment, Requeue
from emulator.kube.scheduler.scheduler import NOT_REGISTERED, Scheduler

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


def web_pods(cluster: Cluster) -> list[Object]:
    return [pod for pod in cluster.list("Pod") if not pod["metadata"].get("deletionTimestamp")]


def relabelled(pod: Object, **labels: str) -> Object:
    return pod | {"metadata": pod["metadata"] | {"labels": labels}}


def test_a_pod_whose_labels_leave_the_selector_is_let_go_and_replaced() -> None:
    cluster = workloads()
    cluster.put(deployment(replicas=2))
    cluster.settle()
    before = web_pods(cluster)
    cluster.put(relabelled(before[0], debug="me"))
    cluster.settle()
    assert len(web_pods(cluster)) == 3
    freed = cluster.objects[key_of(before[0])]
    assert freed["metadata"]["ownerReferences"] == []


def test_a_pod_without_a_controller_that_fits_is_adopted_and_surplus_goes() -> None:
    cluster = workloads()
    cluster.put(deployment(replicas=2))
    cluster.settle()
    template = web_pods(cluster)[0]
    metadata = {"name": "stray", "namespace": "default", "labels": template["metadata"]["labels"]}
    cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}})
    cluster.settle()
    owned = [pod for pod in web_pods(cluster) if pod["metadata"].get("ownerReferences")]
    assert len(web_pods(cluster)) == len(owned) == 2


def test_scaling_down_minds_the_cost_and_the_crowd() -> None:
    cluster = workloads()
    cluster.put(deployment(replicas=4))
    cluster.settle()
    run_pods(cluster, itertools.count(1))
    pods = web_pods(cluster)
    crowded = next(node for node in ("node-a", "node-b", "node-c") if sum(_on(pod, node) for pod in pods) == 2)
    dear = next(pod for pod in pods if _on(pod, crowded))
    cost = {"controller.kubernetes.io/pod-deletion-cost": "100"}
    cluster.put(dear | {"metadata": dear["metadata"] | {"annotations": cost}})
    cluster.put(deployment(replicas=3))
    cluster.settle()
    (gone,) = [pod for pod in cluster.list("Pod") if pod["metadata"].get("deletionTimestamp")]
    assert _on(gone, crowded)
    assert gone["metadata"]["name"] != dear["metadata"]["name"]


def _on(pod: Object, node_name: str) -> bool:
    return bool(pod["spec"].get("nodeName") == node_name)


def test_a_huge_replica_set_is_made_in_portions() -> None:
    cluster = workloads()
    cluster.put(deployment(replicas=2_000_000_000))
    controller = ReplicaSetController()
    (change,) = [
        change
        for change in DeploymentController().reconcile(cluster, WEB, Moment(cluster.wall, 0.0, 1))
        if isinstance(change, Create)
    ]
    stored = cluster.put(change.object)
    assert len(controller.reconcile(cluster, key_of(stored), Moment(cluster.wall, 0.0, 1))) <= 501


def test_names_of_pods_fit_host_names() -> None:
    cluster = workloads()
    cluster.put(deployment("w" * 60, replicas=1))
    cluster.settle()
    (pod,) = web_pods(cluster)
    assert len(pod["metadata"]["name"]) == 63


def test_a_paused_deployment_is_scaled_but_not_rolled_out() -> None:
    cluster = workloads()
    cluster.put(deployment(replicas=2))
    cluster.settle()
    cluster.put(deployment(replicas=3, image="nginx:2", paused=True))
    cluster.settle()
    assert [pod["spec"]["containers"][0]["image"] for pod in web_pods(cluster)] == ["nginx"] * 3
    progressing = cluster.objects[WEB]["status"]["conditions"][-1]
    assert (progressing["status"], progressing["reason"]) == ("Unknown", "DeploymentPaused")
    cluster.put(deployment(replicas=3, image="nginx:2"))
    cluster.settle()
    run_pods(cluster, itertools.count(1))
    assert [pod["spec"]["containers"][0]["image"] for pod in web_pods(cluster)] == ["nginx:2"] * 3


def test_a_deployment_paused_from_the_start_has_no_pods() -> None:
    cluster = workloads()
    cluster.put(deployment(paused=True))
    cluster.settle()
    assert web_pods(cluster) == []


def test_gated_pods_are_not_scheduled_until_the_gates_are_gone() -> None:
    cluster = workloads()
    gated = bare_pod(schedulingGates=[{"name": "wait"}])
    cluster.put(gated)
    cluster.settle()
    (pod,) = cluster.list("Pod")
    assert "nodeName" not in pod["spec"]
    assert pod["status"]["conditions"][0]["reason"] == "SchedulingGated"
    cluster.put(bare_pod())
    cluster.settle()
    assert next(iter(cluster.list("Pod")))["spec"]["nodeName"]


def bare_pod(name: str = "p", labels: dict[str, str] | None = None, **spec: object) -> Object:
    metadata = {"name": name, "namespace": "default", "labels": labels or {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "c", "image": "x"}]} | spec,
    }


def test_taints_to_avoid_are_avoided_while_there_is_another_node() -> None:
    cluster = Cluster([Scheduler()])
    cluster.put(node("a", taints=[{"key": "x", "effect": "PreferNoSchedule"}]))
    cluster.put(node("b"))
    for number in range(3):
        cluster.put(bare_pod(f"p{number}"))
    cluster.settle()
    assert {pod["spec"]["nodeName"] for pod in cluster.list("Pod")} == {"b"}


@pytest.mark.parametrize(
    ("distribution", "hints"),
    [
        ("", None),
        ("PreferClose", {"forZones": [{"name": "a"}]}),
        ("PreferSameZone", {"forZones": [{"name": "a"}]}),
        ("PreferSameNode", {"forZones": [{"name": "a"}], "forNodes": [{"name": "node-a"}]}),
    ],
)
def test_traffic_distribution_becomes_hints(distribution: str, hints: object) -> None:
    cluster = workloads()
    cluster.put(service(trafficDistribution=distribution) if distribution else service())
    pod = cluster.put(bare_pod(labels={"app": "web"}, nodeName="node-a"))
    make_ready(cluster, pod, "10.244.0.1")
    cluster.settle()
    (slice_,) = cluster.list("EndpointSlice")
    assert slice_["endpoints"][0].get("hints") == hints


def test_no_hints_where_a_ready_endpoint_has_no_zone() -> None:
    cluster = workloads()
    cluster.put(node("node-x"))
    cluster.put(service(trafficDistribution="PreferClose"))
    for number, name in enumerate(("node-a", "node-x")):
        pod = cluster.put(bare_pod(f"p{number}", {"app": "web"}, nodeName=name))
        make_ready(cluster, pod, f"10.244.0.{number + 1}")
    cluster.settle()
    (slice_,) = cluster.list("EndpointSlice")
    assert not any("hints" in endpoint for endpoint in slice_["endpoints"])


def test_a_sidecars_port_may_be_named() -> None:
    cluster = workloads()
    cluster.put(service(ports=[{"port": 80, "targetPort": "side"}]))
    sidecar = {
        "name": "s",
        "image": "x",
        "restartPolicy": "Always",
        "ports": [{"name": "side", "containerPort": 9999, "protocol": "TCP"}],
    }
    pod = cluster.put(bare_pod(labels={"app": "web"}, nodeName="node-a", initContainers=[sidecar]))
    make_ready(cluster, pod, "10.244.0.1")
    cluster.settle()
    (slice_,) = cluster.list("EndpointSlice")
    assert slice_["ports"][0]["port"] == 9999


def test_slices_follow_the_labels_of_their_service() -> None:
    cluster = workloads()
    labelled = service()
    cluster.put(labelled)
    cluster.settle()
    cluster.put(labelled | {"metadata": labelled["metadata"] | {"labels": {"team": "a"}}})
    cluster.settle()
    (slice_,) = cluster.list("EndpointSlice")
    assert slice_["metadata"]["labels"]["team"] == "a"
