"""StatefulSets one after the other, DaemonSets one a node."""

from __future__ import annotations

from typing import Any

from emulator.api.objects.meta import Object
from emulator.kube.daemonset import DaemonSetController
from emulator.kube.ownership import key_of
from emulator.kube.scheduler import Scheduler
from emulator.kube.statefulset import StatefulSetController

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
