"""The arithmetic of a rolling update: how many pods the new and the old ReplicaSets may have next.

Source: pkg/controller/deployment/rolling.go, pkg/controller/deployment/util/deployment_util.go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from emulator.api.objects.meta import IntOrString
from emulator.api.objects.workload import Deployment, ReplicaSet


class Limits(Struct, frozen=True):
    """How far an update may go above and below the wanted number of pods."""

    surge: int
    unavailable: int

    @classmethod
    def of(cls, deployment: Deployment) -> Limits:
        """Resolve percentages as Kubernetes does: surge rounds up, unavailable down, and not both are zero."""
        replicas = deployment.spec.replicas
        rolling = deployment.spec.strategy.rolling_update
        surge = resolve(rolling.max_surge, replicas, up=True)
        unavailable = resolve(rolling.max_unavailable, replicas, up=False)
        if surge == 0 and unavailable == 0:
            unavailable = 1
        return cls(surge, min(unavailable, replicas))


def new_replicas(deployment: Deployment, new: ReplicaSet | None, everything: int) -> int:
    """Return the size of the new ReplicaSet, when all ReplicaSets together want `everything` pods."""
    wanted = deployment.spec.replicas
    current = new.spec.replicas if new else 0
    if deployment.spec.strategy.type == "Recreate" or current >= wanted:
        return wanted
    room = wanted + Limits.of(deployment).surge - everything
    return current + max(0, min(room, wanted - current))


def old_replicas(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Mapping[str, int]:
    """Return the old ReplicaSets that should shrink, by name, with the size to shrink to.

    First pods that serve nobody go, then as many available ones as `maxUnavailable` lets go.
    """
    if deployment.spec.strategy.type == "Recreate":
        return {replica_set.metadata.name: 0 for replica_set in old if replica_set.spec.replicas}
    minimum = deployment.spec.replicas - Limits.of(deployment).unavailable
    everything = new.spec.replicas + sum(replica_set.spec.replicas for replica_set in old)
    not_yet = new.spec.replicas - new.status.available_replicas
    spare = max(0, everything - minimum - not_yet)
    sizes = {replica_set.metadata.name: replica_set.spec.replicas for replica_set in old}
    oldest_first = sorted(old, key=lambda replica_set: replica_set.metadata.creation_timestamp or "")
    for replica_set in oldest_first:
        unhealthy = max(0, replica_set.spec.replicas - replica_set.status.available_replicas)
        step = min(spare, unhealthy)
        sizes[replica_set.metadata.name] -= step
        spare -= step
    available = new.status.available_replicas + sum(
        min(replica_set.status.available_replicas, sizes[replica_set.metadata.name]) for replica_set in old
    )
    spare = max(0, available - minimum)
    for replica_set in oldest_first:
        step = min(spare, sizes[replica_set.metadata.name])
        sizes[replica_set.metadata.name] -= step
        spare -= step
    return {
        replica_set.metadata.name: sizes[replica_set.metadata.name]
        for replica_set in old
        if sizes[replica_set.metadata.name] != replica_set.spec.replicas
    }


def resolve(value: IntOrString, total: int, *, up: bool) -> int:
    """Return a number of pods; a percentage is one of `total`, rounded up or down."""
    if isinstance(value, int):
        return value
    share = int(value.rstrip("%")) * total / 100
    return math.ceil(share) if up else math.floor(share)
