"""What of the objects in manifests kube-proxy looks at, and what a reader has to know of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from emulator.api.manifest import ManifestObject
from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.node import Node
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.errors import ManifestError
from emulator.kube.proxy.service_port import HEADLESS_LABEL, PROXY_NAME_LABEL

READ = ("Service", "EndpointSlice", "Node")
_WORKLOADS = frozenset(
    {"Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController"}
)


class ClusterObjects(Struct, frozen=True):
    """The Services, EndpointSlices and Nodes; `notes` are lines for whoever wrote the manifests."""

    services: tuple[Service, ...]
    slices: tuple[EndpointSlice, ...]
    nodes: tuple[Node, ...]
    notes: tuple[str, ...]


def read_objects(objects: Sequence[ManifestObject]) -> ClusterObjects:
    """Take what kube-proxy looks at. Raises ManifestError where two objects have one name."""
    _check_names(objects)
    by_kind = {kind: [item.object for item in objects if item.object["kind"] == kind] for kind in READ}
    services = tuple(view(obj, Service) for obj in by_kind["Service"])
    slices = tuple(view(obj, EndpointSlice) for obj in by_kind["EndpointSlice"])
    nodes = tuple(view(obj, Node) for obj in by_kind["Node"])
    notes = (*_service_notes(services, slices), *_slice_notes(services, slices), *_ignored(objects))
    return ClusterObjects(services, slices, nodes, notes)


def _check_names(objects: Iterable[ManifestObject]) -> None:
    first: dict[tuple[str, str, str], str] = {}
    problems = []
    for item in objects:
        metadata = item.object["metadata"]
        key = (item.object["kind"], metadata.get("namespace", ""), metadata["name"])
        if key in first:
            problems.append(
                f'{item.place}: {key[0]} "{"/".join(filter(None, key[1:]))}" is at {first[key]} too; leave one out'
            )
        first.setdefault(key, item.place)
    if problems:
        raise ManifestError(problems)


def _service_notes(services: Iterable[Service], slices: Iterable[EndpointSlice]) -> Iterator[str]:
    """Say which Services kube-proxy leaves out though their author may not know it, and which have no endpoints."""
    with_endpoints = {(each.metadata.namespace, each.service_name) for each in slices}
    for service in services:
        place = (service.metadata.namespace, service.metadata.name)
        name = f"service {'/'.join(place)}"
        if service.spec.type == "ExternalName" or service.spec.is_headless:
            continue
        if PROXY_NAME_LABEL in service.metadata.labels:
            yield f"{name}: left out, since its label {PROXY_NAME_LABEL} names another proxy"
        elif HEADLESS_LABEL in service.metadata.labels:
            yield f"{name}: left out, since it has the label {HEADLESS_LABEL}"
        elif not service.spec.cluster_ip and not service.spec.cluster_ips:
            yield (
                f"{name}: left out, since it has no spec.clusterIP; the API server would have given it one: add it, or"
                " give what `kubectl get service -o yaml` prints"
            )
        elif place not in with_endpoints:
            yield f"{name}: no EndpointSlice is for it, so it has no endpoints"


def _slice_notes(services: Iterable[Service], slices: Iterable[EndpointSlice]) -> Iterator[str]:
    known = {(service.metadata.namespace, service.metadata.name) for service in services}
    for each in slices:
        name = f"endpointslice {each.metadata.namespace}/{each.metadata.name}"
        if not each.service_name:
            yield f"{name}: ignored, since it has no label kubernetes.io/service-name"
        elif each.address_type != "IPv4":
            yield f"{name}: ignored, since its addressType is {each.address_type}; IPv4 only is emulated"
        elif (each.metadata.namespace, each.service_name) not in known:
            yield f"{name}: ignored, since there is no service {each.metadata.namespace}/{each.service_name}"


def _ignored(objects: Iterable[ManifestObject]) -> Iterator[str]:
    """Say in one line what kinds kube-proxy does not look at."""
    others = Counter(item.object["kind"] for item in objects if item.object["kind"] not in READ)
    if not others:
        return
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
    why = "kube-proxy looks at Services, EndpointSlices and its Node only"
    if _WORKLOADS & others.keys():
        why += "; endpoints come from EndpointSlices, which controllers make of pods in a cluster that runs"
    yield f"ignored: {listed}: {why}"
