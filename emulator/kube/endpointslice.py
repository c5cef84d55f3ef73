"""The EndpointSlice controller: which addresses stand behind each Service that has a selector.

Pods whose named target ports have different numbers come into different slices, so that each slice has one set of
ports. Source: pkg/controller/endpointslice, staging/src/k8s.io/endpointslice.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from emulator.api.objects.endpointslice import SERVICE_NAME_LABEL
from emulator.api.objects.meta import Object
from emulator.api.objects.node import ZONE_LABEL
from emulator.api.objects.pod import Pod
from emulator.api.objects.service import Service, ServicePort
from emulator.api.objects.view import view
from emulator.kube.ownership import SAFE_ALPHABET, controller_reference, key_of
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, Replace

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
MAX_ENDPOINTS = 100
"""Endpoints a slice; Kubernetes' default (`--max-endpoints-per-slice`)."""


class EndpointSliceController:
    """Keeps each Service's slices equal to what its selector finds; slices that users wrote are left alone."""

    watches = frozenset({"Service", "Pod", "EndpointSlice"})

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the Services that the event may concern."""
        namespace = event["metadata"].get("namespace", "")
        if event["kind"] == "Service":
            yield key_of(event)
        elif event["kind"] == "EndpointSlice":
            labels = event["metadata"].get("labels") or {}
            if labels.get(MANAGED_BY_LABEL) == MANAGER and labels.get(SERVICE_NAME_LABEL):
                yield Key("Service", namespace, labels[SERVICE_NAME_LABEL])
        else:
            # By its slices too: after a label change the selector no longer tells where the pod was.
            labels = (event["metadata"].get("labels") or {}).items()
            for service in reader.list("Service", namespace):
                selector = service["spec"].get("selector")
                if selector and selector.items() <= labels:
                    yield key_of(service)
            yield from _holders(reader, event)

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the slices to make, rewrite or delete."""
        del moment
        existing = {str(slice_["metadata"]["name"]): slice_ for slice_ in _slices(reader, key)}
        obj = reader.get(key.kind, key.namespace, key.name)
        wanted = {}
        if obj is not None and not obj["metadata"].get("deletionTimestamp"):
            service = view(obj, Service)
            if service.spec.selector and service.spec.type != "ExternalName":
                wanted = {str(slice_["metadata"]["name"]): slice_ for slice_ in _wanted(reader, obj, service)}
            elif not existing:
                return []
        changes: list[Change] = []
        for name, slice_ in wanted.items():
            old = existing.get(name)
            if old is None:
                changes.append(Create(slice_))
            elif any(old.get(part) != slice_[part] for part in ("endpoints", "ports")):
                changes.append(Replace(old | {"endpoints": slice_["endpoints"], "ports": slice_["ports"]}))
        changes += [Delete(key_of(slice_)) for name, slice_ in existing.items() if name not in wanted]
        return changes


def _slices(reader: Reader, key: Key) -> Iterator[Object]:
    for slice_ in reader.list("EndpointSlice", key.namespace):
        labels = slice_["metadata"].get("labels") or {}
        if labels.get(SERVICE_NAME_LABEL) == key.name and labels.get(MANAGED_BY_LABEL) == MANAGER:
            yield slice_


def _holders(reader: Reader, pod: Object) -> Iterator[Key]:
    """Yield the Services whose slices name this pod."""
    namespace, name = pod["metadata"].get("namespace", ""), pod["metadata"]["name"]
    for slice_ in reader.list("EndpointSlice", namespace):
        labels = slice_["metadata"].get("labels") or {}
        if labels.get(MANAGED_BY_LABEL) == MANAGER and any(
            (endpoint.get("targetRef") or {}).get("name") == name for endpoint in slice_.get("endpoints") or ()
        ):
            yield Key("Service", namespace, labels[SERVICE_NAME_LABEL])


def _wanted(reader: Reader, obj: Object, service: Service) -> Iterator[Object]:
    zones = {
        node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get(ZONE_LABEL, "")
        for node in reader.list("Node")
    }
    groups: dict[str, list[Object]] = defaultdict(list)
    for pod in _selected(reader, service):
        ports = json.dumps(_ports(service.spec.ports, pod))
        groups[ports].append(_endpoint(pod, service, zones.get(pod.spec.node_name, "")))
    if not groups:
        groups[json.dumps(_ports(service.spec.ports, None))] = []
    for ports, endpoints in groups.items():
        for start in range(0, max(1, len(endpoints)), MAX_ENDPOINTS):
            part = endpoints[start : start + MAX_ENDPOINTS]
            yield _slice(obj, service, json.loads(ports), part, f"{ports}/{start}")


def _selected(reader: Reader, service: Service) -> Iterator[Pod]:
    pods = []
    for obj in reader.list("Pod", service.metadata.namespace):
        if service.spec.selector.items() <= (obj["metadata"].get("labels") or {}).items():
            pod = view(obj, Pod)
            if pod.status.pod_ip and pod.status.phase not in {"Succeeded", "Failed"}:
                pods.append(pod)
    yield from sorted(pods, key=lambda pod: pod.metadata.name)


def _ports(ports: Sequence[ServicePort], pod: Pod | None) -> list[Object]:
    """Resolve the Service's target ports in `pod`; a name that it has not is left out, as Kubernetes does."""
    resolved: list[Object] = []
    for port in ports:
        number = _target(port, pod)
        if number is not None:
            entry: Object = {"name": port.name, "port": number, "protocol": port.protocol}
            if port.app_protocol:
                entry["appProtocol"] = port.app_protocol
            resolved.append(entry)
    return resolved


def _target(port: ServicePort, pod: Pod | None) -> int | None:
    if isinstance(port.target_port, int):
        return port.target_port
    for container in pod.spec.containers if pod else ():
        for declared in container.ports:
            if declared.name == port.target_port and declared.protocol == port.protocol:
                return declared.container_port
    return None


def _endpoint(pod: Pod, service: Service, zone: str) -> Object:
    terminating = pod.metadata.deletion_timestamp is not None
    serving = pod.status.is_ready
    published = service.spec.publish_not_ready_addresses
    endpoint: Object = {
        "addresses": [pod.status.pod_ip],
        "conditions": {
            "ready": published or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "nodeName": pod.spec.node_name,
        "targetRef": {
            "kind": "Pod",
            "namespace": pod.metadata.namespace,
            "name": pod.metadata.name,
            "uid": pod.metadata.uid,
        },
    }
    if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
        endpoint["hostname"] = pod.spec.hostname
    if zone:
        endpoint["zone"] = zone
    return endpoint


def _slice(obj: Object, service: Service, ports: list[Object], endpoints: list[Object], identity: str) -> Object:
    number = int.from_bytes(hashlib.sha256(f"{service.metadata.uid}/{identity}".encode()).digest()[:4])
    suffix = ""
    for _ in range(5):
        number, digit = divmod(number, len(SAFE_ALPHABET))
        suffix += SAFE_ALPHABET[digit]
    labels = dict(service.metadata.labels) | {
        SERVICE_NAME_LABEL: service.metadata.name,
        MANAGED_BY_LABEL: MANAGER,
    }
    if service.spec.is_headless:
        labels["service.kubernetes.io/headless"] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service.metadata.name}-{suffix}",
            "generateName": f"{service.metadata.name}-",
            "namespace": service.metadata.namespace,
            "labels": labels,
            "ownerReferences": [controller_reference(obj)],
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
    }
