"""The scheduler: a node for each pod that has none. It filters as Kubernetes does and then spreads.

Source: pkg/scheduler/framework/plugins (nodeaffinity, nodeports, tainttoleration, nodeunschedulable,
podtopologyspread).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from emulator.api.objects.meta import Object
from emulator.api.objects.node import Node, Taint
from emulator.api.objects.pod import Pod, PodSpec, Toleration
from emulator.api.objects.view import view
from emulator.kube.indexes import BY_CONTROLLER, PODS_BY_NODE
from emulator.kube.ownership import key_of, with_condition
from emulator.kube.reconciler import Change, Key, Moment, Reader, Replace, Requeue, UpdateStatus
from emulator.kube.scheduler.node_affinity import matches_affinity
from emulator.kube.scheduler.node_ports import NOT_FREE, are_free, host_ports

NOT_REGISTERED = "NodeNotRegistered"
"""Reason of the Ready condition of a node whose process has never been there."""
ARRIVAL_SECONDS = 5.0
"""How long a new pod waits for such nodes."""
_UNSCHEDULABLE = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class Scheduler:
    """Binds pods to nodes: fewest taints to avoid, fewest pods of the same owner, fewest pods, then by name."""

    watches = frozenset({"Pod", "Node"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the pod, or every pod that waits for a node: after a node's change, or that of one with host ports."""
        if event["kind"] == "Node" or (event["spec"].get("nodeName") and host_ports(event["spec"])):
            return [key_of(pod) for pod in reader.find(PODS_BY_NODE, "") if _waits(pod)]
        return [key_of(event)] if _waits(event) else []

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the binding, or the condition that tells why there is none."""
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None or not _waits(obj):
            return []
        if obj["spec"].get("schedulingGates"):
            return _gated(key, obj, moment)
        pod = view(obj, Pod)
        nodes = [view(node, Node) for node in reader.list("Node")]
        refusals = {node.metadata.name: refusal(pod, node) for node in nodes}
        if ports := host_ports(obj["spec"]):
            for name, reason in refusals.items():
                if not reason and not are_free(reader, name, ports):
                    refusals[name] = NOT_FREE
        wait = _still_to_come(pod, nodes, moment)
        if wait > 0:
            return [Requeue(key, wait)]
        fitting = [node for node in nodes if not refusals[node.metadata.name]]
        if not fitting:
            return _unschedulable(key, obj, refusals.values(), moment)
        chosen = _best(reader, pod, fitting)
        scheduled = {"type": "PodScheduled", "status": "True"}
        status = dict(obj.get("status") or {})
        status["conditions"] = with_condition(status.get("conditions", []), scheduled, moment.wall)
        return [Replace(obj | {"spec": obj["spec"] | {"nodeName": chosen}}), UpdateStatus(key, status)]


def refusal(pod: Pod, node: Node) -> str:
    """Return why `node` may not run `pod`, in kube-scheduler's words; empty if it may."""
    if node.spec.unschedulable and not _tolerated(_UNSCHEDULABLE, pod.spec.tolerations):
        return "node(s) were unschedulable"
    if not node.status.is_ready:
        return "node(s) had untolerated taint(s)"  # Kubernetes taints nodes that are not ready
    if any(taint.effect in {"NoSchedule", "NoExecute"} for taint in untolerated(node, pod.spec.tolerations)):
        return "node(s) had untolerated taint(s)"
    return "" if fits(pod.spec, node) else "node(s) didn't match Pod's node affinity/selector"


def fits(spec: PodSpec, node: Node) -> bool:
    """Whether the labels of `node` are those that a pod wants by `nodeSelector` and node affinity."""
    return spec.node_selector.items() <= node.metadata.labels.items() and matches_affinity(spec.affinity, node)


def untolerated(node: Node, tolerations: Sequence[Toleration]) -> Iterator[Taint]:
    """Yield the taints of `node` that `tolerations` do not put up with."""
    return (taint for taint in node.spec.taints if not _tolerated(taint, tolerations))


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


def _best(reader: Reader, pod: Pod, fitting: Sequence[Node]) -> str:
    owner = pod.metadata.controller
    siblings = reader.find(BY_CONTROLLER["Pod"], owner.uid) if owner else ()
    with_sibling = Counter(other["spec"].get("nodeName", "") for other in siblings)

    def rank(node: Node) -> tuple[int, int, int, str]:
        name = node.metadata.name
        avoided = sum(taint.effect == "PreferNoSchedule" for taint in untolerated(node, pod.spec.tolerations))
        return (avoided, with_sibling[name], reader.count(PODS_BY_NODE, name), name)

    return min(fitting, key=rank).metadata.name


def _gated(key: Key, obj: Object, moment: Moment) -> list[Change]:
    message = "Scheduling is blocked due to non-empty scheduling gates"
    return _not_scheduled(key, obj, "SchedulingGated", message, moment)


def _unschedulable(key: Key, obj: Object, refusals: Iterable[str], moment: Moment) -> list[Change]:
    counts = Counter(refusals)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    message = f"0/{counts.total()} nodes are available: {reasons}." if counts else "no nodes available to schedule pods"
    return _not_scheduled(key, obj, "Unschedulable", message, moment)


def _not_scheduled(key: Key, obj: Object, reason: str, message: str, moment: Moment) -> list[Change]:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    status = dict(obj.get("status") or {}) | {"phase": "Pending"}
    status["conditions"] = with_condition(status.get("conditions", []), condition, moment.wall)
    return [UpdateStatus(key, status)] if status != obj.get("status") else []
