"""Mirrors Endpoints objects that users write into EndpointSlices: kube-proxy and the DNS read nothing else.

Only those of Services without a selector count; `endpointslice.py` makes those of the others.
Source: pkg/controller/endpointslicemirroring (reconciler.go, utils.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from emulator.api.objects.endpointslice import SERVICE_NAME_LABEL
from emulator.api.objects.meta import Object
from emulator.kube.controllers.endpointslice import HEADLESS_LABEL, MANAGED_BY_LABEL, slice_name
from emulator.kube.indexes import SLICES_BY_SERVICE
from emulator.kube.ownership import controller_reference, key_of
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, Replace

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"
"""Endpoints that are the lock of an election of old, and lead nowhere."""
MAX_PER_SUBSET = 1000
"""Addresses that are mirrored; Kubernetes' default (`--mirroring-max-endpoints-per-subset`)."""


class EndpointsMirror:
    """Keeps the mirrored slices of each Endpoints object true to it."""

    watches = frozenset({"Endpoints", "Service", "EndpointSlice"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the Endpoints that the event may concern; they have their Service's name."""
        metadata = event["metadata"]
        namespace = metadata.get("namespace", "")
        if event["kind"] == "EndpointSlice":
            labels = metadata.get("labels") or {}
            if labels.get(MANAGED_BY_LABEL) == MANAGER and labels.get(SERVICE_NAME_LABEL):
                yield Key("Endpoints", namespace, labels[SERVICE_NAME_LABEL])
        elif event["kind"] == "Endpoints" or reader.get("Endpoints", namespace, metadata["name"]) is not None:
            yield Key("Endpoints", namespace, metadata["name"])

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the slices to make, rewrite or delete."""
        del moment
        existing = {slice_["metadata"]["name"]: slice_ for slice_ in _mirrored(reader, key)}
        wanted = {slice_["metadata"]["name"]: slice_ for slice_ in _wanted(reader, key)}
        changes: list[Change] = []
        for name, slice_ in wanted.items():
            old = existing.get(name)
            if old is None:
                changes.append(Create(slice_))
            elif _content(old) != _content(slice_):
                metadata = old["metadata"] | {"labels": slice_["metadata"]["labels"]}
                changes.append(Replace(slice_ | {"metadata": metadata}))
        return changes + [Delete(key_of(slice_)) for name, slice_ in existing.items() if name not in wanted]


def _mirrored(reader: Reader, key: Key) -> Iterator[Object]:
    for slice_ in reader.find(SLICES_BY_SERVICE, (key.namespace, key.name)):
        if slice_["metadata"]["labels"].get(MANAGED_BY_LABEL) == MANAGER:
            yield slice_


def _content(slice_: Object) -> tuple[object, ...]:
    return slice_.get("endpoints"), slice_.get("ports"), slice_["metadata"].get("labels")


def _wanted(reader: Reader, key: Key) -> Iterator[Object]:
    endpoints = reader.get("Endpoints", key.namespace, key.name)
    service = reader.get("Service", key.namespace, key.name)
    if endpoints is None or service is None or service["spec"].get("selector"):
        return
    metadata = endpoints["metadata"]
    if (metadata.get("labels") or {}).get(SKIP_LABEL) == "true":
        return
    if LEADER_ANNOTATION in (metadata.get("annotations") or {}):
        return
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        mirrored = [*_endpoints(subset)][:MAX_PER_SUBSET]
        if mirrored:
            yield _slice(endpoints, index, subset, mirrored)


def _endpoints(subset: Object) -> Iterator[Object]:
    """Yield the subset's IPv4 addresses, the ready ones first."""
    for field, ready in (("addresses", True), ("notReadyAddresses", False)):
        for address in subset.get(field) or ():
            try:
                IPv4Address(address.get("ip", ""))
            except ValueError:
                continue  # the other family's, which this cluster has not
            endpoint: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
            named = {"hostname": "hostname", "nodeName": "nodeName", "targetRef": "targetRef"}
            yield endpoint | {new: address[old] for old, new in named.items() if address.get(old)}


def _slice(endpoints: Object, index: int, subset: Object, mirrored: list[Object]) -> Object:
    metadata = endpoints["metadata"]
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HEADLESS_LABEL}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": slice_name(metadata["name"], f"{metadata['uid']}/{index}"),
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": labels | {SERVICE_NAME_LABEL: metadata["name"], MANAGED_BY_LABEL: MANAGER},
            "ownerReferences": [controller_reference(endpoints)],
        },
        "addressType": "IPv4",
        "ports": [_port(port) for port in subset.get("ports") or ()],
        "endpoints": mirrored,
    }


def _port(port: Object) -> Object:
    mirrored: Object = {"name": port.get("name", ""), "port": port["port"], "protocol": port.get("protocol", "TCP")}
    return mirrored | ({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {})
