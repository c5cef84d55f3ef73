"""The Deployment controller: one ReplicaSet a pod template, and the way from the old ones to the new one.

Source: pkg/controller/deployment (sync.go, rolling.go, recreate.go, progress.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.api.objects.workload import Deployment, ReplicaSet
from emulator.kube.controllers.rollout import Limits, new_replicas, old_replicas
from emulator.kube.ownership import controller_reference, key_of, owned, owner_key, template_hash, with_condition
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, Replace, UpdateStatus

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"

_Owned = tuple[Object, ReplicaSet]


class DeploymentController:
    """Makes and resizes ReplicaSets, and tells how far the rollout is."""

    watches = frozenset({"Deployment", "ReplicaSet", "Pod"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the Deployment itself, or the one behind the ReplicaSet or the pod."""
        if event["kind"] == "Deployment":
            yield key_of(event)
        elif event["kind"] == "ReplicaSet":
            yield from owner_key(event, "Deployment")
        else:
            for key in owner_key(event, "ReplicaSet"):
                replica_set = reader.get(key.kind, key.namespace, key.name)
                if replica_set is not None:
                    yield from owner_key(replica_set, "Deployment")

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the ReplicaSets to make or resize, and the status."""
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return []
        deployment = view(obj, Deployment)
        replica_sets = owned(reader, "ReplicaSet", deployment.metadata, ReplicaSet)
        suffix = template_hash(obj["spec"]["template"])
        new = next((entry for entry in replica_sets if entry[1].metadata.labels.get(HASH_LABEL) == suffix), None)
        old = [entry for entry in replica_sets if entry is not new]
        changes: list[Change] = []
        if deployment.spec.paused:
            changes += _scale_only(deployment, replica_sets)
        else:
            waits = deployment.spec.strategy.type == "Recreate" and _any_pods(reader, old)
            changes += self._scale_new(obj, deployment, new, old, suffix, waits=waits)
            if new is not None:
                changes += self._scale_old(deployment, new[1], old)
                changes += self._forget_history(deployment, new[1], old)
        return [*changes, *self._status(key, obj, deployment, new, old, moment)]

    def _scale_new(
        self,
        obj: Object,
        deployment: Deployment,
        new: _Owned | None,
        old: Sequence[_Owned],
        suffix: str,
        *,
        waits: bool,
    ) -> Iterable[Change]:
        everything = sum(replica_set.spec.replicas for _, replica_set in old)
        everything += new[1].spec.replicas if new else 0
        replicas = new_replicas(deployment, new[1] if new else None, everything)
        if waits:
            replicas = new[1].spec.replicas if new else 0
        revision = 1 + max((_revision(replica_set) for _, replica_set in old), default=0)
        if new is None:
            yield Create(_replica_set(obj, suffix, replicas, revision))
            return
        target, current = new
        annotations = target["metadata"].get("annotations") or {}
        if current.spec.replicas != replicas or _revision(current) < revision:
            yield Replace(_resized(target, replicas, annotations | {REVISION: str(max(revision, _revision(current)))}))
        if obj["metadata"].get("annotations", {}).get(REVISION) != str(max(revision, _revision(current))):
            stamped = dict(obj["metadata"].get("annotations") or {})
            stamped[REVISION] = str(max(revision, _revision(current)))
            yield Replace(obj | {"metadata": obj["metadata"] | {"annotations": stamped}})

    def _scale_old(self, deployment: Deployment, new: ReplicaSet, old: Sequence[_Owned]) -> Iterable[Change]:
        sizes = old_replicas(deployment, new, [replica_set for _, replica_set in old])
        for target, replica_set in old:
            if replica_set.metadata.name in sizes:
                annotations = target["metadata"].get("annotations") or {}
                yield Replace(_resized(target, sizes[replica_set.metadata.name], annotations))

    def _forget_history(self, deployment: Deployment, new: ReplicaSet, old: Sequence[_Owned]) -> Iterable[Change]:
        if new.status.available_replicas < deployment.spec.replicas:
            return
        empty = sorted(
            (
                replica_set
                for _, replica_set in old
                if not replica_set.spec.replicas and not replica_set.status.replicas
            ),
            key=_revision,
        )
        for replica_set in empty[: max(0, len(empty) - deployment.spec.revision_history_limit)]:
            yield Delete(Key("ReplicaSet", replica_set.metadata.namespace, replica_set.metadata.name))

    def _status(
        self,
        key: Key,
        obj: Object,
        deployment: Deployment,
        new: _Owned | None,
        old: Sequence[_Owned],
        moment: Moment,
    ) -> Iterable[Change]:
        every = [replica_set for _, replica_set in (*old, *([new] if new else []))]
        available = sum(replica_set.status.available_replicas for replica_set in every)
        total = sum(replica_set.status.replicas for replica_set in every)
        updated = new[1].status.replicas if new else 0
        status: Object = {
            "observedGeneration": deployment.metadata.generation,
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": sum(replica_set.status.ready_replicas for replica_set in every),
            "availableReplicas": available,
            "unavailableReplicas": max(0, deployment.spec.replicas - available),
        }
        conditions = (obj.get("status") or {}).get("conditions", [])
        for condition in (
            _available_condition(deployment, available),
            _progressing_condition(deployment, new[1] if new else None, total, updated, available),
        ):
            conditions = with_condition(conditions, condition, moment.wall)
        status["conditions"] = conditions
        if obj.get("status") != status:
            yield UpdateStatus(key, status)


def _scale_only(deployment: Deployment, replica_sets: Sequence[_Owned]) -> Iterable[Change]:
    """Resize the one ReplicaSet of a Deployment that is paused; while several have pods, the pause holds them so."""
    latest_first = sorted(replica_sets, key=lambda entry: _revision(entry[1]), reverse=True)
    active = [entry for entry in latest_first if entry[1].spec.replicas] or latest_first[:1]
    if len(active) == 1:
        target, replica_set = active[0]
        if replica_set.spec.replicas != deployment.spec.replicas:
            annotations = target["metadata"].get("annotations") or {}
            yield Replace(_resized(target, deployment.spec.replicas, annotations))


def _any_pods(reader: Reader, old: Sequence[_Owned]) -> bool:
    """Whether an old ReplicaSet still has pods, terminating ones too: Recreate waits until they are gone."""
    return any(owned(reader, "Pod", replica_set.metadata, Pod) for _, replica_set in old)


def _replica_set(obj: Object, suffix: str, replicas: int, revision: int) -> Object:
    template = obj["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = dict(metadata.get("labels") or {}) | {HASH_LABEL: suffix}
    selector = dict(obj["spec"]["selector"])
    selector["matchLabels"] = dict(selector.get("matchLabels") or {}) | {HASH_LABEL: suffix}
    spec: Object = {
        "replicas": replicas,
        "selector": selector,
        "template": {**template, "metadata": {**metadata, "labels": labels}},
    }
    if obj["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = obj["spec"]["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{obj['metadata']['name']}-{suffix}",
            "namespace": obj["metadata"]["namespace"],
            "labels": labels,
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [controller_reference(obj)],
        },
        "spec": spec,
    }


def _resized(target: Object, replicas: int, annotations: Object) -> Object:
    return target | {
        "metadata": target["metadata"] | {"annotations": annotations},
        "spec": target["spec"] | {"replicas": replicas},
    }


def _revision(replica_set: ReplicaSet) -> int:
    text = replica_set.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def _available_condition(deployment: Deployment, available: int) -> Object:
    minimum = deployment.spec.replicas - Limits.of(deployment).unavailable
    if deployment.spec.strategy.type == "Recreate":
        minimum = deployment.spec.replicas
    if available >= minimum:
        return {
            "type": "Available",
            "status": "True",
            "reason": "MinimumReplicasAvailable",
            "message": "Deployment has minimum availability.",
        }
    return {
        "type": "Available",
        "status": "False",
        "reason": "MinimumReplicasUnavailable",
        "message": "Deployment does not have minimum availability.",
    }


def _progressing_condition(
    deployment: Deployment, new: ReplicaSet | None, total: int, updated: int, available: int
) -> Object:
    if deployment.spec.paused:
        return {
            "type": "Progressing",
            "status": "Unknown",
            "reason": "DeploymentPaused",
            "message": "Deployment is paused",
        }
    name = deployment.metadata.name if new is None else new.metadata.name
    complete = updated == total == available == deployment.spec.replicas
    return {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated",
        "message": f'ReplicaSet "{name}" ' + ("has successfully progressed." if complete else "is progressing."),
    }
