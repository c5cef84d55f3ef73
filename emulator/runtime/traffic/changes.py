"""The phases of traffic: changes of the cluster at their time, and when they were through."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from emulator.api.kinds import Kind, find_kind
from emulator.api.manifest import in_namespace, read_manifests
from emulator.api.messages import Object
from emulator.api.traffic.traffic import Phase, Verb
from emulator.errors import PodwireError
from emulator.runtime.cluster.cluster import Cluster

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""The annotation of a pod template that `kubectl rollout restart` sets."""

Say = Callable[[str], None]


async def change(cluster: Cluster, phase: Phase, namespace: str, say: Say) -> None:
    """Make one change; `say` hears that it is made, and of workloads when all their pods are as wanted.

    PodwireError (ControlError, ManifestError) where it cannot be made.
    """
    if phase.verb is Verb.APPLY:
        assert phase.file is not None
        items = in_namespace(read_manifests([phase.file]), None if namespace == "default" else namespace)
        await cluster.apply([item.object for item in items])
        say(f"applied {phase.file}")
        return
    kind, name = named(phase.what)
    where = namespace if kind.namespaced else ""
    shown = kind.described(name)
    if phase.verb is Verb.DELETE:
        await cluster.delete(kind.kind, name, where)
        say(f"deleted {shown}")
        return
    if phase.verb is Verb.SCALE:
        await cluster.scale(kind.kind, name, phase.replicas, where)
        say(f"scaled {shown} to {phase.replicas}")
    else:
        await restart(cluster, kind, name, where)
        say(f"restarted {shown}")
    await rolled_out(cluster, kind, name, where)
    say(f"{shown} is rolled out")


def named(what: str) -> tuple[Kind, str]:
    """Return the kind and the name of KIND/NAME. Raises PodwireError."""
    word, _, name = what.partition("/")
    kind = find_kind(word)
    if kind is None or not name:
        raise PodwireError(f"{what}: must be KIND/NAME, such as deployment/web")
    return kind, name


async def restart(cluster: Cluster, kind: Kind, name: str, namespace: str) -> None:
    """Have a workload make all of its pods anew, as `kubectl rollout restart` does. ControlError."""
    simulation = cluster.simulation
    now = time.time() if simulation is None else simulation.wall_clock()
    stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")
    template = {"metadata": {"annotations": {RESTARTED_AT: stamp}}}
    await cluster.patch(kind.kind, name, namespace, {"spec": {"template": template}})


async def rolled_out(cluster: Cluster, kind: Kind, name: str, namespace: str) -> None:
    """Wait until a workload's pods are all of its newest template, and available."""

    def is_through(objects: Sequence[Object]) -> bool:
        return any(is_rolled_out(obj) for obj in objects if obj["metadata"]["name"] == name)

    await cluster.wait_for(kind.kind, is_through, namespace)


def is_rolled_out(workload: Object) -> bool:
    """Whether `kubectl rollout status` would return (kubectl/pkg/polymorphichelpers/rollout_status.go)."""
    status = workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return False
    if workload["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(status.get("updatedNumberScheduled", 0) >= wanted and status.get("numberAvailable", 0) >= wanted)
    wanted = workload["spec"].get("replicas", 1)
    updated = status.get("updatedReplicas", 0) if workload["kind"] != "ReplicaSet" else wanted
    return bool(
        updated >= wanted and status.get("replicas", 0) == wanted and status.get("availableReplicas", 0) >= wanted
    )
