"""A store of plain dicts that runs reconcilers until nothing changes: the smallest cluster they can live in."""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Iterable, Sequence
from ipaddress import IPv4Network
from typing import Any

from emulator.api.objects.meta import Object
from emulator.api.store.index import Index
from emulator.kube.admission.admission import ClusterAdmission
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import (
    Change,
    Create,
    Delete,
    Key,
    Moment,
    Reconciler,
    Replace,
    Requeue,
    UpdateStatus,
)

MAX_ROUNDS = 10_000


class Cluster:
    """Objects by key; every write goes to all reconcilers, in an order that `seed` draws."""

    def __init__(self, reconcilers: Sequence[Reconciler] = (), seed: int = 0) -> None:
        self.objects: dict[Key, Object] = {}
        self.reconcilers = reconcilers
        self.admission = ClusterAdmission(IPv4Network("10.96.0.0/16"))
        self.wall = "2026-01-01T00:00:00Z"
        self.now = 0.0
        self.requeues: list[Requeue] = []
        self.writes = 0
        self._random = random.Random(seed)
        self._revision = itertools.count(1)
        self._queue: dict[tuple[int, Key], None] = {}

    # emulator.kube.reconciler.Reader
    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return self.objects.get(Key(kind, namespace, name))

    def list(self, kind: str, namespace: str | None = None) -> Iterable[Object]:
        return [obj for key, obj in self.objects.items() if key.kind == kind and namespace in (None, key.namespace)]

    def kinds(self) -> Iterable[str]:
        return {key.kind for key in self.objects}

    def find(self, index: Index, value: Hashable) -> Sequence[Object]:
        return [obj for obj in self.list(index.kind) if value in index.values(obj)]

    def count(self, index: Index, value: Hashable) -> int:
        return len(self.find(index, value))

    def put(self, obj: Object) -> Object:
        """Store as a user's apply does: admitted, with its bookkeeping, and its status kept."""
        key = key_of(obj)
        old = self.objects.get(key)
        admitted = self.admission.admit(self, obj, old)
        revision = next(self._revision)
        metadata = {"uid": f"uid-{revision}", "creationTimestamp": self.wall} | (old or {}).get("metadata", {})
        metadata |= admitted["metadata"] | {"resourceVersion": str(revision)}
        changed = old is None or old.get("spec") != admitted.get("spec")
        metadata["generation"] = metadata.get("generation", 0) + changed
        stored = admitted | {"metadata": metadata}
        if old is not None and "status" in old:
            stored["status"] = old["status"]
        self._store(key, stored)
        return stored

    def set_status(self, key: Key, status: Object) -> None:
        self._store(key, self.objects[key] | {"status": status})

    def delete(self, key: Key, *, grace: bool = False) -> None:
        obj = self.objects[key]
        if grace:
            self._store(key, obj | {"metadata": obj["metadata"] | {"deletionTimestamp": self.wall}})
            return
        del self.objects[key]
        self.writes += 1
        self._notify(obj)

    def settle(self) -> None:
        """Run reconcilers, in a drawn order, until none has anything to change."""
        for _ in range(MAX_ROUNDS):
            if not self._queue:
                return
            index, key = self._random.choice(list(self._queue))
            del self._queue[index, key]
            moment = Moment(self.wall, self.now, self._random.getrandbits(64))
            for change in self.reconcilers[index].reconcile(self, key, moment):
                self.apply(change)
        raise AssertionError("the reconcilers do not come to rest")

    def apply(self, change: Change) -> None:
        match change:
            case Create(obj):
                if key_of(obj) not in self.objects:
                    self.put(obj)
            case Replace(obj):
                if key_of(obj) in self.objects:
                    self.put(obj)
            case UpdateStatus(key, status):
                if key in self.objects:
                    self.set_status(key, dict(status))
            case Delete(key, grace):
                if key in self.objects:
                    self.delete(key, grace=bool(grace))
            case Requeue():
                self.requeues.append(change)

    def _store(self, key: Key, obj: Object) -> None:
        old = self.objects.get(key)
        if old == obj:
            return
        self.objects[key] = obj
        self.writes += 1
        self._notify(obj)
        if old is not None:  # what it left must look again too
            self._notify(old)

    def _notify(self, obj: Object) -> None:
        for index, reconciler in enumerate(self.reconcilers):
            if obj["kind"] in reconciler.watches:
                for key in reconciler.keys(self, obj):
                    self._queue[index, key] = None


def node(name: str, *, ready: bool = True, zone: str = "", **spec: Any) -> Object:
    labels = {"kubernetes.io/hostname": name} | ({"topology.kubernetes.io/zone": zone} if zone else {})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}]},
    }


def deployment(name: str = "web", replicas: int = 3, image: str = "nginx", **spec: Any) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": image, "ports": [{"containerPort": 80}]}]},
            },
            **spec,
        },
    }


def service(name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]} | spec,
    }


def make_ready(cluster: Cluster, pod: Object, ip: str, *, ready: bool = True, since: str = "") -> None:
    """Say of a pod what its kubelet would."""
    status = {
        "phase": "Running",
        "podIP": ip,
        "conditions": [
            {
                "type": "Ready",
                "status": "True" if ready else "False",
                "lastTransitionTime": since or cluster.wall,
            }
        ],
    }
    cluster.set_status(key_of(pod), status)
