"""Pods of lost nodes: not ready at once, replaced when their toleration ends."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.api.objects.meta import Object
from emulator.kube.controllers.node_lifecycle import NodeLifecycleController
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import Delete, Key, Moment, Requeue

from .harness import Cluster, make_ready, node

POD = Key("Pod", "default", "p")
LOST = {"conditions": [{"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}


def lost_node(**spec: Any) -> Cluster:
    cluster = Cluster([NodeLifecycleController()])
    cluster.put(node("a"))
    metadata = {"name": "p", "namespace": "default"}
    containers = [{"name": "c", "image": "x"}]
    spec = {"containers": containers, "nodeName": "a"} | spec
    pod = cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    make_ready(cluster, pod, "10.244.0.1")
    cluster.set_status(key_of(node("a")), LOST)
    cluster.settle()
    return cluster


def ready(cluster: Cluster) -> Object:
    conditions: list[Object] = cluster.objects[POD]["status"]["conditions"]
    return next(entry for entry in conditions if entry["type"] == "Ready")


def test_its_pods_are_not_ready_at_once() -> None:
    assert ready(lost_node())["status"] == "False"


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 300),
        ([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 20}], 20),
        ([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoSchedule"}], 300),
        ([{"operator": "Exists"}], None),
        ([{"operator": "Exists"}, {"operator": "Exists", "tolerationSeconds": 7}], 7),
    ],
)
def test_they_are_replaced_when_their_toleration_ends(tolerations: list[Object], seconds: float | None) -> None:
    cluster = lost_node(tolerations=tolerations)
    assert [requeue.after for requeue in cluster.requeues][-1:] == ([] if seconds is None else [seconds])
    later = NodeLifecycleController().reconcile(cluster, POD, Moment("2026-01-01T00:06:00Z", 0.0, 0))
    assert any(isinstance(change, Delete) for change in later) is (seconds is not None)
    assert not any(isinstance(change, Requeue) for change in later)


def test_pods_of_a_node_that_was_deleted_go() -> None:
    cluster = lost_node()
    cluster.delete(key_of(node("a")))
    cluster.settle()
    assert POD not in cluster.objects
