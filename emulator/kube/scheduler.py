"""The scheduler: a node for each pod that has none. It filters as Kubernetes does and then spreads.

Source: pkg/scheduler/framework/plugins (nodeaffinity, tainttoleration, nodeunschedulable, podtopologyspread).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from emulator.api.objects.meta import Object
from emulator.api.objects.node import Node, Taint
from emulator.api.objects.pod import Pod, Toleration
from emulator.api.objects.view import view
from emulator.kube.node_affinity import matches_affinity
from emulator.kube.ownership import key_of, with_condition
from emulator.kube.reconciler import Change, Key, Moment, Reader, Replace, Requeue, UpdateStatus

NOT_REGISTERED = "NodeNotRegistered"
"""Reason of the Ready condition of a node whose process has never been there."""
ARRIVAL_SECONDS = 5.0
"""How long a new pod waits for such nodes."""


class Scheduler:
    """Binds pods to nodes: fewest pods of the same owner, then fewest pods, then by name."""

    watches = frozenset({"Pod", "Node"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the pod, or after a node's change every pod that waits for a node."""
        if event["kind"] == "Node":
            return [key_of(pod) for pod in reader.list("Pod") if _waits(pod)]
        return [key_of(event)] if _waits(event) else []

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the binding, or the condition that tells why there is none."""
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None or not _waits(obj):
            return []
        pod = view(obj, Pod)
        nodes = [view(node, Node) for node in reader.list("Node")]
        refusals = {node.metadata.name: refusal(pod, node) for node in nodes}
        wait = _still_to_come(pod, nodes, moment)
        if wait > 0:
            return [Requeue(key, wait)]
        fitting = [node for node in nodes if not refusals[node.metadata.name]]
        if not fitting:
            return _unschedulable(key, obj, refusals.values(), moment)
        chosen = _least_loaded(reader, obj, fitting)
        scheduled = {"type": "PodScheduled", "status": "True"}
        status = dict(obj.get("status") or {})
        status["conditions"] = with_condition(status.get("conditions", []), scheduled, moment.wall)
        return [Replace(obj | {"spec": obj["spec"] | {"nodeName": chosen}}), UpdateStatus(key, status)]


def refusal(pod: Pod, node: Node) -> str:
    """Return why `node` may not run `pod`, in kube-scheduler's words; empty if it may."""
    if node.spec.unschedulable:
        return "node(s) were unschedulable"
    if not node.status.is_ready:
        return "node(s) had untolerated taint(s)"  # Kubernetes taints nodes that are not ready
    for taint in node.spec.taints:
        if taint.effect in {"NoSchedule", "NoExecute"} and not _tolerated(taint, pod.spec.tolerations):
            return "node(s) had untolerated taint(s)"
    labels = node.metadata.labels
    if not pod.spec.node_selector.items() <= labels.items() or not matches_affinity(pod.spec.affinity, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return ""


def _still_to_come(pod: Pod, nodes: Sequence[Node], moment: Moment) -> float:
    """Return the seconds for which a pod should wait for nodes that start with the cluster but are not there yet.

    Without it the first node to come would get every pod of a cluster that starts.
    """
    expected = any(
        condition.type == "Ready" and condition.reason == NOT_REGISTERED
        for node in nodes
        for condition in node.status.conditions
    )
    if not expected or pod.metadata.creation_timestamp is None:
        return 0.0
    age = datetime.fromisoformat(moment.wall) - datetime.fromisoformat(pod.metadata.creation_timestamp)
    return ARRIVAL_SECONDS - age.total_seconds()


def _waits(obj: Object) -> bool:
    return not obj["spec"].get("nodeName") and not obj["metadata"].get("deletionTimestamp")


def _tolerated(taint: Taint, tolerations: Sequence[Toleration]) -> bool:
    return any(
        toleration.effect in ("", taint.effect)
        and (toleration.key == taint.key or (not toleration.key and toleration.operator == "Exists"))
        and (toleration.operator == "Exists" or toleration.value == taint.value)
        for toleration in tolerations
    )


def _least_loaded(reader: Reader, obj: Object, fitting: Sequence[Node]) -> str:
    owners = {reference.get("uid") for reference in obj["metadata"].get("ownerReferences", ())}
    pods: Counter[str] = Counter()
    siblings: Counter[str] = Counter()
    for other in reader.list("Pod"):
        node = other["spec"].get("nodeName", "")
        pods[node] += 1
        if owners & {reference.get("uid") for reference in other["metadata"].get("ownerReferences", ())}:
            siblings[node] += 1
    names = [node.metadata.name for node in fitting]
    return min(names, key=lambda name: (siblings[name], pods[name], name))


def _unschedulable(key: Key, obj: Object, refusals: Iterable[str], moment: Moment) -> list[Change]:
    counts = Counter(refusals)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    message = f"0/{counts.total()} nodes are available: {reasons}." if counts else "no nodes available to schedule pods"
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = dict(obj.get("status") or {}) | {"phase": "Pending"}
    status["conditions"] = with_condition(status.get("conditions", []), condition, moment.wall)
    return [UpdateStatus(key, status)] if status != obj.get("status") else []
