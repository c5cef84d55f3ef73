"""The StatefulSet controller: pods with ordinals and steady names, one after the other.

Source: pkg/controller/statefulset/stateful_set_control.go (`updateStatefulSet`), stateful_set_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.api.objects.workload import StatefulSet
from emulator.kube.controllers.availability import available_in
from emulator.kube.ownership import key_of, owned, owner_key, pod_from_template, template_hash
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, Requeue, UpdateStatus

REVISION_LABEL = "controller-revision-hash"
BURST = 500
"""Changes in one go, with Parallel; the events that they make bring the rest."""
_ENDED = {"Succeeded", "Failed"}


class StatefulSetController:
    """Creates NAME-0, NAME-1, … in order, and takes them away from the end; updates go from the end too."""

    watches = frozenset({"StatefulSet", "Pod"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the StatefulSet itself, or the one that owns the pod."""
        del reader
        return [key_of(event)] if event["kind"] == "StatefulSet" else owner_key(event, "StatefulSet")

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the next pod to make or delete (all at once with Parallel), and the status."""
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return []
        stateful_set = view(obj, StatefulSet)
        revision = f"{key.name}-{template_hash(obj['spec']['template'])}"
        pods = {pod.metadata.name: pod for _, pod in owned(reader, "Pod", stateful_set.metadata, Pod)}
        waits = {
            name: available_in(pod, stateful_set.spec.min_ready_seconds, moment.wall) for name, pod in pods.items()
        }
        healthy = {name for name, wait in waits.items() if wait == 0 and not pods[name].metadata.deletion_timestamp}
        changes: list[Change] = [*islice(_pod_changes(obj, stateful_set, pods, healthy, revision), BURST)]
        changes += _status(key, obj, stateful_set, pods, waits, revision)
        pending = [wait for wait in waits.values() if wait]
        return [*changes, Requeue(key, min(pending))] if pending else changes


def _pod_changes(
    obj: Object, stateful_set: StatefulSet, pods: Mapping[str, Pod], healthy: set[str], revision: str
) -> Iterator[Change]:
    """Yield what is due: pods that are missing, then surplus ones, then, one at a time, those of an older template."""
    spec, name = stateful_set.spec, stateful_set.metadata.name
    in_order = spec.pod_management_policy != "Parallel"
    wanted = range(spec.ordinals.start, spec.ordinals.start + spec.replicas)
    for ordinal in wanted:
        pod_name = f"{name}-{ordinal}"
        pod = pods.get(pod_name)
        if pod is None:
            yield Create(_pod(obj, stateful_set, pod_name, revision))
        elif pod.status.phase in _ENDED and not pod.metadata.deletion_timestamp:
            yield _deleted(pod)
        if in_order and pod_name not in healthy:
            return  # the next one waits until this one is available
    surplus = sorted((pod for pod in pods.values() if _ordinal(pod) not in wanted), key=_ordinal, reverse=True)
    for pod in surplus:
        if not pod.metadata.deletion_timestamp:
            yield _deleted(pod)
        if in_order:
            return
    if spec.update_strategy.type != "RollingUpdate":
        return
    for ordinal in reversed(wanted[spec.update_strategy.rolling_update.partition :]):
        pod_name = f"{name}-{ordinal}"
        pod = pods.get(pod_name)
        if pod is None:
            return
        if pod.metadata.labels.get(REVISION_LABEL) != revision and not pod.metadata.deletion_timestamp:
            yield _deleted(pod)
            return
        if pod_name not in healthy:
            return


def _pod(obj: Object, stateful_set: StatefulSet, pod_name: str, revision: str) -> Object:
    labels = {
        "statefulset.kubernetes.io/pod-name": pod_name,
        "apps.kubernetes.io/pod-index": pod_name.rpartition("-")[2],
        REVISION_LABEL: revision,
    }
    made = pod_from_template(obj, pod_name, labels)
    made["spec"] |= {"hostname": pod_name, "subdomain": stateful_set.spec.service_name}
    return made


def _deleted(pod: Pod) -> Delete:
    return Delete(Key("Pod", pod.metadata.namespace, pod.metadata.name), pod.spec.termination_grace_period_seconds)


def _ordinal(pod: Pod) -> int:
    return int(pod.metadata.name.rpartition("-")[2])


def _status(
    key: Key,
    obj: Object,
    stateful_set: StatefulSet,
    pods: Mapping[str, Pod],
    waits: Mapping[str, float | None],
    revision: str,
) -> Iterable[Change]:
    revisions = [pod.metadata.labels.get(REVISION_LABEL) for pod in pods.values()]
    updated = revisions.count(revision)
    ready = sum(pod.status.is_ready for pod in pods.values())
    current = (obj.get("status") or {}).get("currentRevision") or revision
    if updated == ready == len(pods) == stateful_set.spec.replicas:
        current = revision  # the update is complete
    status = {
        "observedGeneration": stateful_set.metadata.generation,
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": sum(wait == 0 for wait in waits.values()),
        "currentReplicas": revisions.count(current),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": revision,
    }
    if obj.get("status") != status:
        yield UpdateStatus(key, status)
