"""The ReplicaSet controller: as many pods as the ReplicaSet says, made from its template; ReplicationControllers too.

Source: pkg/controller/replicaset/replica_set.go, pkg/controller/controller_utils.go (`ActivePodsWithRanks`),
pkg/controller/controller_ref_manager.go, pkg/controller/replication/conversion.go (the
latter are ReplicaSets with a plain selector).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.api.objects.workload import ReplicaSet
from emulator.api.selectors import Selector, from_label_selector
from emulator.kube.controllers.availability import available_in
from emulator.kube.indexes import PODS_BY_LABEL
from emulator.kube.ownership import (
    controller_reference,
    generated_name,
    key_of,
    owned,
    owner_key,
    pod_from_template,
)
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, Replace, Requeue, UpdateStatus
from emulator.kube.view_cache import ViewCache

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
BURST = 500
"""Pods to make or delete in one go (`BurstReplicas`); their events bring the rest."""
_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


class ReplicaSetController:
    """Creates and deletes pods, and counts them; lets go of pods whose labels left its selector, adopts orphans."""

    def __init__(self, views: ViewCache | None = None, kind: str = "ReplicaSet") -> None:
        self._views = views if views is not None else ViewCache()
        self._kind = kind
        self.watches = frozenset({kind, "Pod"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the ReplicaSet itself, the one that owns the pod, or those that might adopt it."""
        if event["kind"] == self._kind:
            return [key_of(event)]
        if any(reference.get("controller") for reference in event["metadata"].get("ownerReferences") or ()):
            return owner_key(event, self._kind)
        labels = event["metadata"].get("labels") or {}
        sets = reader.list(self._kind, event["metadata"].get("namespace", "")) if labels else ()
        return [key_of(obj) for obj in sets if _selector(_view(obj)).matches(labels)]

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the pods to make or delete, and the status."""
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return []
        replica_set = _view(obj)
        selector = _selector(replica_set)
        pods = owned(reader, "Pod", replica_set.metadata, Pod, self._views.view)
        released = [pod for pod, seen in pods if not seen.metadata.deletion_timestamp and not _fits(selector, pod)]
        adopted = [pod for pod in _orphans(reader, replica_set) if _fits(selector, pod)]
        active = [
            *(pod for entry, pod in pods if _is_active(pod) and _fits(selector, entry)),
            *(view(pod, Pod) for pod in adopted),
        ]
        taken = {pod.metadata.name for _, pod in pods}
        return [
            *(_owned_by(pod, []) for pod in released),
            *(_owned_by(pod, [controller_reference(obj)]) for pod in adopted),
            *self._scale(obj, replica_set.spec.replicas, active, taken, moment),
            *self._status(key, obj, replica_set, active, moment),
        ]

    def _scale(self, obj: Object, wanted: int, active: list[Pod], taken: set[str], moment: Moment) -> Iterable[Change]:
        salt = 0
        for _ in range(min(wanted - len(active), BURST)):
            name = generated_name(obj, moment.suffix(salt))
            while name in taken:
                salt += 1
                name = generated_name(obj, moment.suffix(salt))
            taken.add(name)
            yield Create(pod_from_template(obj, name))
        for pod in _least_worth(active)[: min(max(0, len(active) - wanted), BURST)]:
            grace = pod.spec.termination_grace_period_seconds
            yield Delete(Key("Pod", pod.metadata.namespace, pod.metadata.name), grace)

    def _status(
        self, key: Key, obj: Object, replica_set: ReplicaSet, active: list[Pod], moment: Moment
    ) -> Iterable[Change]:
        labels = replica_set.spec.template.metadata.labels.items()
        waits = [available_in(pod, replica_set.spec.min_ready_seconds, moment.wall) for pod in active]
        status = {
            "observedGeneration": replica_set.metadata.generation,
            "replicas": len(active),
            "fullyLabeledReplicas": sum(labels <= pod.metadata.labels.items() for pod in active),
            "readyReplicas": sum(pod.status.is_ready for pod in active),
            "availableReplicas": sum(wait == 0 for wait in waits),
        }
        if obj.get("status") != status:
            yield UpdateStatus(key, status)
        pending = [wait for wait in waits if wait]
        if pending:
            yield Requeue(key, min(pending))


def _view(obj: Object) -> ReplicaSet:
    """Return a ReplicaSet, or a ReplicationController as one."""
    if obj["kind"] == "ReplicationController":
        spec = obj["spec"]
        obj = obj | {"spec": spec | {"selector": {"matchLabels": spec.get("selector") or {}}}}
    return view(obj, ReplicaSet)


def _selector(replica_set: ReplicaSet) -> Selector:
    return from_label_selector(replica_set.spec.selector)


def _fits(selector: Selector, pod: Object) -> bool:
    return selector.matches(pod["metadata"].get("labels") or {})


def _is_active(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is None and pod.status.phase not in {"Succeeded", "Failed"}


def _orphans(reader: Reader, replica_set: ReplicaSet) -> Iterator[Object]:
    """Yield active pods without a controller that may fit the selector."""
    namespace, labels = replica_set.metadata.namespace, replica_set.spec.selector.match_labels
    pairs = [(namespace, key, value) for key, value in labels.items()]
    if pairs:
        rarest = min(pairs, key=lambda pair: reader.count(PODS_BY_LABEL, pair))
        pods: Iterable[Object] = reader.find(PODS_BY_LABEL, rarest)
    else:
        pods = reader.list("Pod", namespace)
    for pod in pods:
        references = pod["metadata"].get("ownerReferences") or ()
        if not any(reference.get("controller") for reference in references) and _is_active(view(pod, Pod)):
            yield pod


def _owned_by(pod: Object, controller: list[Object]) -> Replace:
    others = [entry for entry in pod["metadata"].get("ownerReferences") or () if not entry.get("controller")]
    return Replace(pod | {"metadata": pod["metadata"] | {"ownerReferences": [*others, *controller]}})


def _least_worth(active: Sequence[Pod]) -> list[Pod]:
    """Sort pods so that those least worth keeping come first.

    Unscheduled, pending, not ready, cheap to delete, many on one node, often restarted, then the youngest.
    """
    on_node = Counter(pod.spec.node_name for pod in active)

    def rank(pod: Pod) -> tuple[bool, int, bool, int, int, int, str, str]:
        age = "".join(chr(0x10FFFF - ord(letter)) for letter in pod.metadata.creation_timestamp or "")
        return (
            bool(pod.spec.node_name),
            _PHASE_RANK.get(pod.status.phase, 2),
            pod.status.is_ready,
            _deletion_cost(pod),
            -on_node[pod.spec.node_name],
            -max((status.restart_count for status in pod.status.container_statuses), default=0),
            age,
            pod.metadata.name,
        )

    return sorted(active, key=rank)


def _deletion_cost(pod: Pod) -> int:
    try:
        return int(pod.metadata.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0
