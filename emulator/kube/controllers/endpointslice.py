"""The EndpointSlice controller: which addresses stand behind each Service that has a selector.

Pods whose named target ports have different numbers come into different slices, so that each slice has one set of
ports. Source: pkg/controller/endpointslice, staging/src/k8s.io/endpointslice.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from emulator.api.objects.endpointslice import SERVICE_NAME_LABEL
from emulator.api.objects.meta import Object
from emulator.api.objects.node import ZONE_LABEL
from emulator.api.objects.pod import Pod
from emulator.api.objects.service import Service, ServicePort
from emulator.api.objects.view import view
from emulator.kube.indexes import PODS_BY_LABEL, SERVICES_BY_SELECTOR, SLICES_BY_SERVICE
from emulator.kube.ownership import SAFE_ALPHABET, controller_reference, key_of
from emulator.kube.reconciler import Change, Create, Delete, Key, Moment, Reader, Replace
from emulator.kube.view_cache import ViewCache

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS_LABEL = "service.kubernetes.io/headless"
MAX_ENDPOINTS = 100
"""Endpoints a slice; Kubernetes' default (`--max-endpoints-per-slice`)."""


class EndpointSliceController:
    """Keeps each Service's slices equal to what its selector finds; slices that users wrote are left alone."""

    watches = frozenset({"Service", "Pod", "EndpointSlice"})

    def __init__(self, views: ViewCache | None = None) -> None:
        self._views = views if views is not None else ViewCache()

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return the Services that the event may concern."""
        namespace = event["metadata"].get("namespace", "")
        if event["kind"] == "Service":
            yield key_of(event)
        elif event["kind"] == "EndpointSlice":
            labels = _labels(event)
            if labels.get(MANAGED_BY_LABEL) == MANAGER and labels.get(SERVICE_NAME_LABEL):
                yield Key("Service", namespace, labels[SERVICE_NAME_LABEL])
        else:
            # Where a pod was before its labels changed is asked by its form before.
            pairs = _labels(event).items()
            for key, value in pairs:
                for service in reader.find(SERVICES_BY_SELECTOR, (namespace, key, value)):
                    if service["spec"]["selector"].items() <= pairs:
                        yield key_of(service)

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the slices to make, rewrite or delete."""
        del moment
        existing = {str(slice_["metadata"]["name"]): slice_ for slice_ in _slices(reader, key)}
        obj = reader.get(key.kind, key.namespace, key.name)
        wanted = {}
        if obj is not None and not obj["metadata"].get("deletionTimestamp"):
            service = view(obj, Service)
            if service.spec.selector and service.spec.type != "ExternalName":
                wanted = {
                    str(slice_["metadata"]["name"]): slice_ for slice_ in _wanted(reader, obj, service, self._views)
                }
            elif not existing:
                return []
        changes: list[Change] = []
        for name, slice_ in wanted.items():
            old = existing.get(name)
            if old is None:
                changes.append(Create(slice_))
            elif _content(old) != _content(slice_):
                changes.append(Replace(slice_ | {"metadata": old["metadata"] | {"labels": _labels(slice_)}}))
        changes += [Delete(key_of(slice_)) for name, slice_ in existing.items() if name not in wanted]
        return changes


def _slices(reader: Reader, key: Key) -> Iterator[Object]:
    for slice_ in reader.find(SLICES_BY_SERVICE, (key.namespace, key.name)):
        if _labels(slice_).get(MANAGED_BY_LABEL) == MANAGER:
            yield slice_


def _content(slice_: Object) -> tuple[Any, ...]:
    return (slice_.get("endpoints"), slice_.get("ports"), _labels(slice_))


def _labels(obj: Object) -> Object:
    return obj["metadata"].get("labels") or {}


def _wanted(reader: Reader, obj: Object, service: Service, views: ViewCache) -> Iterator[Object]:
    groups: dict[str, list[Object]] = defaultdict(list)
    for pod in _selected(reader, service, views):
        ports = json.dumps(_ports(service.spec.ports, pod))
        node = reader.get("Node", "", pod.spec.node_name)
        groups[ports].append(_endpoint(pod, service, _labels(node).get(ZONE_LABEL, "") if node else ""))
    _add_hints(service.spec.traffic_distribution, [endpoint for group in groups.values() for endpoint in group])
    if not groups:
        groups[json.dumps(_ports(service.spec.ports, None))] = []
    for ports, endpoints in groups.items():
        for start in range(0, max(1, len(endpoints)), MAX_ENDPOINTS):
            part = endpoints[start : start + MAX_ENDPOINTS]
            yield _slice(obj, service, json.loads(ports), part, f"{ports}/{start}")


def _selected(reader: Reader, service: Service, views: ViewCache) -> Iterator[Pod]:
    pods = []
    selector = service.spec.selector
    pairs = [(service.metadata.namespace, key, value) for key, value in selector.items()]
    rarest = min(pairs, key=lambda pair: reader.count(PODS_BY_LABEL, pair))
    for obj in reader.find(PODS_BY_LABEL, rarest):
        if selector.items() <= _labels(obj).items():
            pod = views.view(obj, Pod)
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
    sidecars = [entry for entry in pod.spec.init_containers if entry.restart_policy == "Always"] if pod else []
    for container in (*pod.spec.containers, *sidecars) if pod else ():
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


def _add_hints(distribution: str, endpoints: Sequence[Object]) -> None:
    """Say for whom each endpoint is (`trafficDistribution`), if all that are ready tell where they are."""
    by_zone = distribution in {"PreferClose", "PreferSameZone", "PreferSameNode"}
    ready = [endpoint for endpoint in endpoints if endpoint["conditions"]["ready"]]
    if not by_zone or not all(endpoint.get("zone") for endpoint in ready):
        return
    for endpoint in ready:
        endpoint["hints"] = {"forZones": [{"name": endpoint["zone"]}]}
        if distribution == "PreferSameNode":
            endpoint["hints"]["forNodes"] = [{"name": endpoint["nodeName"]}]


def slice_name(base: str, identity: str) -> str:
    """Return `base` and five characters that follow from `identity`; Kubernetes draws them."""
    number = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:4])
    suffix = ""
    for _ in range(5):
        number, digit = divmod(number, len(SAFE_ALPHABET))
        suffix += SAFE_ALPHABET[digit]
    return f"{base}-{suffix}"


def _slice(obj: Object, service: Service, ports: list[Object], endpoints: list[Object], identity: str) -> Object:
    labels = dict(service.metadata.labels)
    labels.pop(HEADLESS_LABEL, None)
    labels |= {
        SERVICE_NAME_LABEL: service.metadata.name,
        MANAGED_BY_LABEL: MANAGER,
    }
    if service.spec.is_headless:
        labels[HEADLESS_LABEL] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": slice_name(service.metadata.name, f"{service.metadata.uid}/{identity}"),
            "generateName": f"{service.metadata.name}-",
            "namespace": service.metadata.namespace,
            "labels": labels,
            "ownerReferences": [controller_reference(obj)],
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
    }
