"""The DaemonSet controller: one pod on each node that may run it.

Source: pkg/controller/daemon/daemon_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.api.objects.meta import Object
from emulator.api.objects.node import Node
from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.api.objects.workload import DaemonSet
from emulator.kube.ownership import key_of, owned, owner_key, pod_from_template, template_hash
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, UpdateStatus
from emulator.kube.scheduler import refusal

HASH_LABEL = "controller-revision-hash"


class DaemonSetController:
    """Binds its pods to nodes itself; a template that changed replaces one pod after the other."""

    watches = frozenset({"DaemonSet", "Node", "Pod"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the DaemonSet itself, the one that owns the pod, or all of them after a node's change."""
        if event["kind"] == "DaemonSet":
            return [key_of(event)]
        if event["kind"] == "Node":
            return [key_of(obj) for obj in reader.list("DaemonSet")]
        return owner_key(event, "DaemonSet")

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the pods to make or delete, and the status."""
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return []
        daemon_set = view(obj, DaemonSet)
        suffix = template_hash(obj["spec"]["template"])
        pods = [pod for _, pod in owned(reader, "Pod", daemon_set.metadata, Pod)]
        template = Pod(metadata=daemon_set.spec.template.metadata, spec=daemon_set.spec.template.spec)
        nodes = [view(node, Node) for node in reader.list("Node")]
        eligible = {node.metadata.name for node in nodes if not refusal(template, node)}
        # A node that is away for a moment keeps its pod: only one that may never run it again loses it.
        away = {node.metadata.name for node in nodes if not node.status.is_ready}
        changes: list[Change] = []
        held = {pod.spec.node_name for pod in pods}
        for index, node_name in enumerate(sorted(eligible - held)):
            pod = pod_from_template(obj, f"{key.name}-{moment.suffix(index)}", {HASH_LABEL: suffix})
            pod["spec"]["nodeName"] = node_name
            changes.append(Create(pod))
        unwanted = [pod for pod in pods if pod.spec.node_name not in eligible | away]
        outdated = [pod for pod in pods if pod.metadata.labels.get(HASH_LABEL) != suffix and pod not in unwanted]
        if all(pod.status.is_ready for pod in pods) and not any(pod.metadata.deletion_timestamp for pod in pods):
            unwanted += outdated[:1]
        changes += [
            Delete(Key("Pod", key.namespace, pod.metadata.name), pod.spec.termination_grace_period_seconds)
            for pod in unwanted
            if not pod.metadata.deletion_timestamp
        ]
        return [*changes, *_status(key, obj, daemon_set, pods, len(eligible), suffix)]


def _status(
    key: Key, obj: Object, daemon_set: DaemonSet, pods: list[Pod], desired: int, suffix: str
) -> Iterable[Change]:
    ready = sum(pod.status.is_ready for pod in pods)
    status = {
        "observedGeneration": daemon_set.metadata.generation,
        "desiredNumberScheduled": desired,
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "numberReady": ready,
        "numberAvailable": ready,
        "updatedNumberScheduled": sum(pod.metadata.labels.get(HASH_LABEL) == suffix for pod in pods),
    }
    if obj.get("status") != status:
        yield UpdateStatus(key, status)
