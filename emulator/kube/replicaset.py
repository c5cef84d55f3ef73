"""The ReplicaSet controller: as many pods as the ReplicaSet says, made from its template.

Source: pkg/controller/replicaset/replica_set.go, pkg/controller/controller_utils.go (`ActivePodsWithRanks`).
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.api.objects.workload import ReplicaSet
from emulator.kube.availability import available_in
from emulator.kube.ownership import key_of, owned, owner_key, pod_from_template
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, Requeue, UpdateStatus

_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


class ReplicaSetController:
    """Creates and deletes pods, and counts them."""

    watches = frozenset({"ReplicaSet", "Pod"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the ReplicaSet itself, or the one that owns the pod."""
        del reader
        return [key_of(event)] if event["kind"] == "ReplicaSet" else owner_key(event, "ReplicaSet")

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the pods to make or delete, and the status."""
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return []
        replica_set = view(obj, ReplicaSet)
        pods = [pod for _, pod in owned(reader, "Pod", replica_set.metadata, Pod)]
        active = [
            pod
            for pod in pods
            if pod.metadata.deletion_timestamp is None and pod.status.phase not in {"Succeeded", "Failed"}
        ]
        return [
            *self._scale(obj, replica_set.spec.replicas, active, {pod.metadata.name for pod in pods}, moment),
            *self._status(key, obj, replica_set, active, moment),
        ]

    def _scale(self, obj: Object, wanted: int, active: list[Pod], taken: set[str], moment: Moment) -> Iterable[Change]:
        salt = 0
        for _ in range(wanted - len(active)):
            name = f"{obj['metadata']['name']}-{moment.suffix(salt)}"
            while name in taken:
                salt += 1
                name = f"{obj['metadata']['name']}-{moment.suffix(salt)}"
            taken.add(name)
            yield Create(pod_from_template(obj, name))
        for pod in sorted(active, key=_deletion_rank)[: max(0, len(active) - wanted)]:
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


def _deletion_rank(pod: Pod) -> tuple[bool, int, bool, str, str]:
    """Pods that are least worth keeping come first: unscheduled, pending, not ready, then the youngest."""
    age = "".join(chr(0x10FFFF - ord(letter)) for letter in pod.metadata.creation_timestamp or "")
    return (
        bool(pod.spec.node_name),
        _PHASE_RANK.get(pod.status.phase, 2),
        pod.status.is_ready,
        age,
        pod.metadata.name,
    )
