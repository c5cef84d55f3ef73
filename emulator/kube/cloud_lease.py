"""How nodes learn of what is outside them: the Lease `podwire-cloud` of kube-system, held by the cloud's process.

Control planes announce their components by Leases (kube-scheduler, kube-apiserver); this one has what a Node object has
of its node's process: where it receives underlay datagrams, and which MACs are there.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.api.messages import MAC_ANNOTATION, UNDERLAY_ANNOTATION
from emulator.api.objects.meta import Object

NAMESPACE = "kube-system"
NAME = "podwire-cloud"


def cloud_lease(holder: str, underlay: str, macs: tuple[str, ...]) -> Object:
    """Return the Lease of a process; `underlay` is HOST:PORT."""
    annotations = {UNDERLAY_ANNOTATION: underlay, MAC_ANNOTATION: ",".join(macs)}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "annotations": annotations},
        "spec": {"holderIdentity": holder},
    }


def is_cloud_lease(lease: Object) -> bool:
    """Whether a Lease is this one."""
    metadata = lease["metadata"]
    return (metadata.get("namespace"), metadata["name"]) == (NAMESPACE, NAME)


def is_held(leases: Iterable[Object]) -> bool:
    """Whether this Lease is among others, so that a process has it."""
    return any(map(is_cloud_lease, leases))
