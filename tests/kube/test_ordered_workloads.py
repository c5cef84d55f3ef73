"""StatefulSets one after the other, DaemonSets one a node."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.api.objects.meta import Object
from emulator.kube.controllers.daemonset import DaemonSetController
from emulator.kube.controllers.statefulset import StatefulSetController
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import Moment
from emulator.kube.scheduler.scheduler import Scheduler

from .harness import Cluster, deployment, make_ready, node


def workload(kind: str, name: str, image: str = "redis", **spec: Any) -> Object:
    obj = deployment(name, image=image) | {"kind": kind}
    obj["spec"] = {key: obj["spec"][key] for key in ("selector", "template")} | spec
    return obj


def names(cluster: Cluster) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in cluster.list("Pod"))


def stateful(**spec: Any) -> Cluster:
    cluster = Cluster([StatefulSetController(), Scheduler()])
    cluster.put(node("node-a"))
    cluster.put(workload("StatefulSet", "db", replicas=3, serviceName="db", **spec))
    cluster.settle()
    return cluster


def ready_all(cluster: Cluster) -> None:
    for _ in range(10):
        for pod in cluster.list("Pod"):
            if pod["metadata"].get("deletionTimestamp"):
                cluster.delete(key_of(pod))
            elif "podIP" not in pod.get("status", {}):
                make_ready(cluster, pod, "10.244.0.9")
        cluster.settle()


def test_ordered_pods_wait_for_the_one_before() -> None:
    cluster = stateful()
    assert names(cluster) == ["db-0"]
    first = next(iter(cluster.list("Pod")))
    assert (first["spec"]["hostname"], first["spec"]["subdomain"]) == ("db-0", "db")
    make_ready(cluster, first, "10.244.0.1")
    cluster.settle()
    assert names(cluster) == ["db-0", "db-1"]
    ready_all(cluster)
    assert names(cluster) == ["db-0", "db-1", "db-2"]
    assert next(iter(cluster.list("StatefulSet")))["status"]["readyReplicas"] == 3


def test_parallel_pods_come_at_once() -> None:
    assert names(stateful(podManagementPolicy="Parallel")) == ["db-0", "db-1", "db-2"]


def test_scaling_down_takes_the_last_and_updates_go_from_the_end() -> None:
    cluster = stateful()
    ready_all(cluster)
    cluster.put(workload("StatefulSet", "db", replicas=2, serviceName="db"))
    cluster.settle()
    leaving = [pod["metadata"]["name"] for pod in cluster.list("Pod") if pod["metadata"].get("deletionTimestamp")]
    assert leaving == ["db-2"]
    ready_all(cluster)
    cluster.put(workload("StatefulSet", "db", image="redis:8", replicas=2, serviceName="db"))
    cluster.settle()
    leaving = [pod["metadata"]["name"] for pod in cluster.list("Pod") if pod["metadata"].get("deletionTimestamp")]
    assert leaving == ["db-1"]
    ready_all(cluster)
    assert {pod["spec"]["containers"][0]["image"] for pod in cluster.list("Pod")} == {"redis:8"}
    assert names(cluster) == ["db-0", "db-1"]


def test_a_daemon_set_has_one_pod_on_each_fitting_node() -> None:
    cluster = Cluster([DaemonSetController()])
    for entry in (node("a"), node("b"), node("tainted", taints=[{"key": "x", "effect": "NoSchedule"}])):
        cluster.put(entry)
    cluster.put(workload("DaemonSet", "agent"))
    cluster.settle()
    assert sorted(pod["spec"]["nodeName"] for pod in cluster.list("Pod")) == ["a", "b"]
    ready_all(cluster)
    cluster.put(node("c"))
    cluster.set_status(key_of(node("b")), node("b", ready=False)["status"])
    cluster.settle()
    assert sorted(pod["spec"]["nodeName"] for pod in cluster.list("Pod")) == ["a", "b", "c"]
    ready_all(cluster)
    cluster.put(workload("DaemonSet", "agent", image="redis:8"))
    cluster.settle()
    assert len([pod for pod in cluster.list("Pod") if pod["metadata"].get("deletionTimestamp")]) == 1
    ready_all(cluster)
    ready_all(cluster)
    assert {pod["spec"]["containers"][0]["image"] for pod in cluster.list("Pod")} == {"redis:8"}


def leaving(cluster: Cluster) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in cluster.list("Pod") if pod["metadata"].get("deletionTimestamp"))


def test_parallel_sets_are_updated_one_by_one_all_the_same() -> None:
    cluster = stateful(podManagementPolicy="Parallel")
    ready_all(cluster)
    changed = {"replicas": 3, "serviceName": "db", "podManagementPolicy": "Parallel"}
    cluster.put(workload("StatefulSet", "db", image="redis:8", **changed))
    cluster.settle()
    assert leaving(cluster) == ["db-2"]
    ready_all(cluster)
    assert {pod["spec"]["containers"][0]["image"] for pod in cluster.list("Pod")} == {"redis:8"}


@pytest.mark.parametrize(
    ("strategy", "updated"),
    [
        ({"type": "OnDelete"}, set()),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, {"db-2"}),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 9}}, set()),
        ({}, {"db-0", "db-1", "db-2"}),
    ],
)
def test_update_strategies(strategy: dict[str, Any], updated: set[str]) -> None:
    cluster = stateful(updateStrategy=strategy)
    ready_all(cluster)
    cluster.put(workload("StatefulSet", "db", "redis:8", replicas=3, serviceName="db", updateStrategy=strategy))
    cluster.settle()
    ready_all(cluster)
    images = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in cluster.list("Pod")}
    assert {name for name, image in images.items() if image == "redis:8"} == updated
    status = next(iter(cluster.list("StatefulSet")))["status"]
    assert status["updatedReplicas"] == len(updated)
    assert (status["currentRevision"] == status["updateRevision"]) is (len(updated) == 3)


def test_ordinals_may_start_elsewhere() -> None:
    assert names(stateful(ordinals={"start": 5}, podManagementPolicy="Parallel")) == ["db-5", "db-6", "db-7"]


def test_a_pod_that_failed_is_made_again() -> None:
    cluster = stateful()
    (first,) = cluster.list("Pod")
    cluster.set_status(key_of(first), {"phase": "Failed"})
    cluster.settle()
    assert leaving(cluster) == ["db-0"]
    ready_all(cluster)
    assert names(cluster) == ["db-0", "db-1", "db-2"]


def test_a_set_waits_for_min_ready_seconds() -> None:
    cluster = stateful(minReadySeconds=10)
    make_ready(cluster, next(iter(cluster.list("Pod"))), "10.244.0.1")
    cluster.settle()
    assert names(cluster) == ["db-0"]
    assert [requeue.after for requeue in cluster.requeues][-1] == 10


def test_a_huge_set_is_made_in_portions() -> None:
    cluster = Cluster([StatefulSetController()])
    cluster.put(workload("StatefulSet", "db", replicas=2_000_000_000, podManagementPolicy="Parallel", serviceName="db"))
    (key,) = (key_of(obj) for obj in cluster.list("StatefulSet"))
    changes = StatefulSetController().reconcile(cluster, key, Moment(cluster.wall, 0.0, 1))
    assert len(changes) <= 510


def daemons(*nodes: Object, **spec: Any) -> Cluster:
    cluster = Cluster([DaemonSetController()])
    for entry in nodes:
        cluster.put(entry)
    cluster.put(workload("DaemonSet", "agent", **spec))
    cluster.settle()
    return cluster


def placed(cluster: Cluster) -> list[str]:
    pods = (pod for pod in cluster.list("Pod") if not pod["metadata"].get("deletionTimestamp"))
    return sorted(pod["spec"]["nodeName"] for pod in pods)


def test_daemon_pods_come_and_stay_on_nodes_that_are_cordoned_or_not_ready() -> None:
    cluster = daemons(node("a", unschedulable=True), node("b", ready=False), node("c"))
    assert placed(cluster) == ["a", "b", "c"]
    cluster.put(node("c", unschedulable=True))
    cluster.settle()
    assert placed(cluster) == ["a", "b", "c"]
    tolerations = next(iter(cluster.list("Pod")))["spec"]["tolerations"]
    assert {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"} in tolerations


@pytest.mark.parametrize(("effect", "stays"), [("NoSchedule", True), ("NoExecute", False), ("PreferNoSchedule", True)])
def test_a_new_taint_drives_out_only_with_no_execute(effect: str, stays: bool) -> None:
    cluster = daemons(node("a"))
    cluster.put(node("a", taints=[{"key": "x", "effect": effect}]))
    cluster.settle()
    assert placed(cluster) == (["a"] if stays else [])


def test_pods_that_do_not_serve_are_updated_at_once() -> None:
    cluster = daemons(node("a"), node("b"), node("c"))
    serving, *_ = cluster.list("Pod")
    make_ready(cluster, serving, "10.244.0.1")
    cluster.put(workload("DaemonSet", "agent", image="redis:8"))
    cluster.settle()
    assert serving["metadata"]["name"] not in leaving(cluster)
    assert len(leaving(cluster)) == 2


@pytest.mark.parametrize(
    ("strategy", "count"),
    [
        ({"type": "OnDelete"}, 0),
        ({}, 1),
        ({"rollingUpdate": {"maxUnavailable": 2}}, 2),
        ({"rollingUpdate": {"maxUnavailable": "34%"}}, 2),
    ],
)
def test_an_update_leaves_enough_daemons(strategy: dict[str, Any], count: int) -> None:
    cluster = daemons(node("a"), node("b"), node("c"), updateStrategy=strategy)
    ready_all(cluster)
    cluster.put(workload("DaemonSet", "agent", image="redis:8", updateStrategy=strategy))
    cluster.settle()
    assert len(leaving(cluster)) == count


def test_a_failed_daemon_pod_is_replaced() -> None:
    cluster = daemons(node("a"))
    (pod,) = cluster.list("Pod")
    cluster.set_status(key_of(pod), {"phase": "Failed"})
    cluster.settle()
    assert leaving(cluster) == [pod["metadata"]["name"]]
