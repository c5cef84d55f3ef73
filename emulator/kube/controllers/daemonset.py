"""The DaemonSet controller: one pod on each node that may run it.

Source: pkg/controller/daemon/daemon_controller.go (`NodeShouldRunDaemonPod`), update.go, util/daemonset_util.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from emulator.api.objects.meta import Object
from emulator.api.objects.node import Node
from emulator.api.objects.pod import Pod, Toleration
from emulator.api.objects.view import view
from emulator.api.objects.workload import DaemonSet
from emulator.kube.controllers.availability import available_in
from emulator.kube.controllers.rollout import resolve
from emulator.kube.ownership import generated_name, key_of, owned, owner_key, pod_from_template, template_hash
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, Requeue, UpdateStatus
from emulator.kube.scheduler.scheduler import fits, untolerated

HASH_LABEL = "controller-revision-hash"
# What every daemon pod puts up with, so that it stays while its node is in trouble.
_TOLERATIONS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_NETWORK_TOLERATION = ("node.kubernetes.io/network-unavailable", "NoSchedule")


class DaemonSetController:
    """Binds its pods to nodes itself; a template that changed replaces them a few at a time."""

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
        eligible, tolerable = _nodes(reader, daemon_set)
        held = {pod.spec.node_name for pod in pods}
        changes: list[Change] = []
        for index, node_name in enumerate(sorted(eligible - held)):
            name = generated_name(obj, moment.suffix(index))
            made = pod_from_template(obj, name, {HASH_LABEL: suffix})
            made["spec"] |= {"nodeName": node_name, "tolerations": _with_tolerations(made["spec"])}
            changes.append(Create(made))
        unwanted = [
            pod for pod in pods if pod.spec.node_name not in eligible | tolerable or pod.status.phase == "Failed"
        ]
        staying = [pod for pod in pods if pod not in unwanted]
        unwanted += _outdated(daemon_set, staying, len(eligible), suffix, moment)
        changes += [
            Delete(Key("Pod", key.namespace, pod.metadata.name), pod.spec.termination_grace_period_seconds)
            for pod in unwanted
            if not pod.metadata.deletion_timestamp
        ]
        return [*changes, *_status(key, obj, daemon_set, pods, eligible, suffix, moment)]


def _nodes(reader: Reader, daemon_set: DaemonSet) -> tuple[set[str], set[str]]:
    """Return the nodes that should run the pods, and those that should not but let pods that they have stay."""
    spec = daemon_set.spec.template.spec
    tolerations = [*spec.tolerations, *(view(entry, Toleration) for entry in _own_tolerations(spec.host_network))]
    eligible, tolerable = set(), set()
    for node in (view(obj, Node) for obj in reader.list("Node")):
        if spec.node_name not in ("", node.metadata.name) or not fits(spec, node):
            continue
        effects = {taint.effect for taint in untolerated(node, tolerations)}
        if not effects & {"NoSchedule", "NoExecute"}:
            eligible.add(node.metadata.name)
        elif "NoExecute" not in effects:
            tolerable.add(node.metadata.name)
    return eligible, tolerable


def _own_tolerations(host_network: bool) -> Iterator[Object]:
    for key, effect in (*_TOLERATIONS, *((_HOST_NETWORK_TOLERATION,) if host_network else ())):
        yield {"key": key, "operator": "Exists", "effect": effect}


def _with_tolerations(spec: Object) -> list[Object]:
    given = list(spec.get("tolerations") or ())
    own = _own_tolerations(bool(spec.get("hostNetwork")))
    return [*given, *(toleration for toleration in own if toleration not in given)]


def _outdated(daemon_set: DaemonSet, pods: Sequence[Pod], desired: int, suffix: str, moment: Moment) -> Iterator[Pod]:
    """Yield the pods of an older template to replace now: those that do not serve, then up to `maxUnavailable`."""
    if daemon_set.spec.update_strategy.type != "RollingUpdate":
        return
    limit = max(1, resolve(daemon_set.spec.update_strategy.rolling_update.max_unavailable, desired, up=True))
    serving = [pod for pod in pods if _is_available(pod, daemon_set, moment)]
    room = max(0, limit - (desired - len(serving)))
    for pod in pods:
        if pod.metadata.labels.get(HASH_LABEL) == suffix:
            continue
        if pod not in serving:
            yield pod
        elif room:
            room -= 1
            yield pod


def _is_available(pod: Pod, daemon_set: DaemonSet, moment: Moment) -> bool:
    if pod.metadata.deletion_timestamp:
        return False
    return available_in(pod, daemon_set.spec.min_ready_seconds, moment.wall) == 0


def _status(
    key: Key, obj: Object, daemon_set: DaemonSet, pods: Sequence[Pod], eligible: set[str], suffix: str, moment: Moment
) -> Iterable[Change]:
    placed = [pod for pod in pods if pod.spec.node_name in eligible]
    available = sum(_is_available(pod, daemon_set, moment) for pod in placed)
    status = {
        "observedGeneration": daemon_set.metadata.generation,
        "desiredNumberScheduled": len(eligible),
        "currentNumberScheduled": len({pod.spec.node_name for pod in placed}),
        "numberMisscheduled": len({pod.spec.node_name for pod in pods} - eligible),
        "numberReady": sum(pod.status.is_ready for pod in placed),
        "numberAvailable": available,
        "numberUnavailable": max(0, len(eligible) - available),
        "updatedNumberScheduled": sum(pod.metadata.labels.get(HASH_LABEL) == suffix for pod in placed),
    }
    if obj.get("status") != status:
        yield UpdateStatus(key, status)
    waits = [available_in(pod, daemon_set.spec.min_ready_seconds, moment.wall) for pod in placed]
    if pending := [wait for wait in waits if wait]:
        yield Requeue(key, min(pending))
