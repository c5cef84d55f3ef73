"""Pods of a node that gave no sign of life: not ready, so that no endpoint leads to them; replaced if it stays away.

Source: pkg/controller/nodelifecycle (MarkPodsNotReady), pkg/controller/tainteviction, pkg/controller/podgc.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from emulator.api.objects.meta import Object
from emulator.kube.indexes import PODS_BY_NODE
from emulator.kube.ownership import key_of, owner_key, with_condition
from emulator.kube.reconciler import Change, Delete, Key, Moment, Reader, Requeue, UpdateStatus

EVICTION_DELAY = 300
"""Seconds until pods of a lost node are replaced, unless they tolerate another time (DefaultTolerationSeconds)."""

UNREACHABLE = "node.kubernetes.io/unreachable"
REASON = "NodeNotReady"
_DEFAULT_GRACE = 30
_ENDED = {"Succeeded", "Failed"}


class NodeLifecycleController:
    """Answers for the pods whose kubelet cannot."""

    watches = frozenset({"Node", "Pod"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the pod, or the pods on the node."""
        if event["kind"] == "Pod":
            return [key_of(event)] if event["spec"].get("nodeName") else []
        name = event["metadata"]["name"]
        return [key_of(pod) for pod in reader.find(PODS_BY_NODE, name)]

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the pod's status as its node's state makes it, and its end when the node stays away."""
        pod = reader.get(key.kind, key.namespace, key.name)
        if pod is None or not pod["spec"].get("nodeName") or pod.get("status", {}).get("phase") in _ENDED:
            return []
        node = reader.get("Node", "", pod["spec"]["nodeName"])
        if node is None:
            return [Delete(key)]  # no kubelet will ever confirm
        condition = _condition(node, "Ready")
        if condition.get("status") == "True":
            return _restored(key, pod, moment)
        return [*_not_ready(key, pod, moment), *_evicted(key, pod, condition, moment)]


def _condition(obj: Object, kind: str) -> Object:
    conditions: list[Object] = obj.get("status", {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == kind), {})


def _with_ready(key: Key, pod: Object, ready: Object, moment: Moment) -> UpdateStatus:
    status = pod["status"]
    return UpdateStatus(key, status | {"conditions": with_condition(status["conditions"], ready, moment.wall)})


def _not_ready(key: Key, pod: Object, moment: Moment) -> Iterable[Change]:
    if _condition(pod, "Ready").get("status") == "True":
        message = f"node {pod['spec']['nodeName']} gives no sign of life"
        ready = {"type": "Ready", "status": "False", "reason": REASON, "message": message}
        yield _with_ready(key, pod, ready, moment)


def _restored(key: Key, pod: Object, moment: Moment) -> list[Change]:
    """Undo what was said of the pod meanwhile; its kubelet, whose word `ContainersReady` is, reports what differs."""
    ready = _condition(pod, "Ready")
    if ready.get("reason") != REASON or _condition(pod, "ContainersReady").get("status") != "True":
        return []
    return [_with_ready(key, pod, {"type": "Ready", "status": "True"}, moment)]


def _evicted(key: Key, pod: Object, condition: Object, moment: Moment) -> Iterable[Change]:
    delay = _toleration(pod)
    lost_at = condition.get("lastTransitionTime")
    if pod["metadata"].get("deletionTimestamp") or delay is None or condition.get("status") != "Unknown" or not lost_at:
        return
    left = datetime.fromisoformat(lost_at) + timedelta(seconds=delay) - datetime.fromisoformat(moment.wall)
    if left > timedelta(0):
        yield Requeue(key, left.total_seconds())
    else:
        yield Delete(key, pod["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE))


def _toleration(pod: Object) -> float | None:
    """Return how many seconds a pod stays bound to a lost node; None: for ever, as those of a DaemonSet do."""
    if any(True for _ in owner_key(pod, "DaemonSet")):
        return None
    times: list[float | None] = [
        toleration.get("tolerationSeconds")
        for toleration in pod["spec"].get("tolerations") or ()
        if toleration.get("key", "") in ("", UNREACHABLE) and toleration.get("effect") in (None, "", "NoExecute")
    ]
    if not times:
        return EVICTION_DELAY
    return min((seconds for seconds in times if seconds is not None), default=None)
