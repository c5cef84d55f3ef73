"""The StatefulSet controller: pods with ordinals and steady names, one after the other.

Source: pkg/controller/statefulset/stateful_set_control.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.api.objects.workload import StatefulSet
from emulator.kube.ownership import key_of, owned, owner_key, pod_from_template, template_hash
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, UpdateStatus

REVISION_LABEL = "controller-revision-hash"


class StatefulSetController:
    """Creates NAME-0, NAME-1, … in order, and takes them away from the end."""

    watches = frozenset({"StatefulSet", "Pod"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the StatefulSet itself, or the one that owns the pod."""
        del reader
        return [key_of(event)] if event["kind"] == "StatefulSet" else owner_key(event, "StatefulSet")

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the next pod to make or delete (all at once with Parallel), and the status."""
        del moment
        obj = reader.get(key.kind, key.namespace, key.name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return []
        stateful_set = view(obj, StatefulSet)
        revision = f"{key.name}-{template_hash(obj['spec']['template'])}"
        pods = {pod.metadata.name: pod for _, pod in owned(reader, "Pod", stateful_set.metadata, Pod)}
        parallel = stateful_set.spec.pod_management_policy == "Parallel"
        changes = list(_pod_changes(obj, stateful_set, pods, revision))
        return [*(changes if parallel else changes[:1]), *_status(key, obj, stateful_set, pods, revision)]


def _pod_changes(obj: Object, stateful_set: StatefulSet, pods: dict[str, Pod], revision: str) -> Iterable[Change]:
    """Yield every change that is due, in the order in which OrderedReady makes them one by one."""
    name, parallel = stateful_set.metadata.name, stateful_set.spec.pod_management_policy == "Parallel"
    wanted = [f"{name}-{ordinal}" for ordinal in range(stateful_set.spec.replicas)]
    for pod_name in wanted:
        pod = pods.get(pod_name)
        if pod is None:
            ordinal = pod_name.rpartition("-")[2]
            labels = {
                "statefulset.kubernetes.io/pod-name": pod_name,
                "apps.kubernetes.io/pod-index": ordinal,
                REVISION_LABEL: revision,
            }
            made = pod_from_template(obj, pod_name, labels)
            made["spec"] |= {"hostname": pod_name, "subdomain": stateful_set.spec.service_name}
            yield Create(made)
        elif not parallel and (not pod.status.is_ready or pod.metadata.deletion_timestamp):
            return  # the next one waits until this one is ready
    surplus = [pod for pod_name, pod in pods.items() if pod_name not in wanted]
    outdated = [
        pods[pod_name]
        for pod_name in wanted
        if pod_name in pods and pods[pod_name].metadata.labels.get(REVISION_LABEL) != revision
    ]
    for pod in sorted((*surplus, *outdated), key=_ordinal, reverse=True):
        if pod.metadata.deletion_timestamp:
            if not parallel:
                return
            continue
        grace = pod.spec.termination_grace_period_seconds
        yield Delete(Key("Pod", pod.metadata.namespace, pod.metadata.name), grace)


def _ordinal(pod: Pod) -> int:
    return int(pod.metadata.name.rpartition("-")[2])


def _status(key: Key, obj: Object, stateful_set: StatefulSet, pods: dict[str, Pod], revision: str) -> Iterable[Change]:
    ready = sum(pod.status.is_ready for pod in pods.values())
    updated = sum(pod.metadata.labels.get(REVISION_LABEL) == revision for pod in pods.values())
    status = {
        "observedGeneration": stateful_set.metadata.generation,
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "currentReplicas": updated,
        "updatedReplicas": updated,
        "updateRevision": revision,
    }
    if obj.get("status") != status:
        yield UpdateStatus(key, status)
