"""The cluster at a glance: what exists, what of it is ready, and why the rest is not. Read by `emulator status`."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.api.cluster_file import ClusterConfig
from emulator.api.messages import (
    ClusterOverview,
    HostOverview,
    NodeOverview,
    NotReady,
    Object,
    ServiceOverview,
    WorkloadOverview,
)
from emulator.api.objects import SERVICE_NAME_LABEL, ZONE_LABEL
from emulator.cloud.plan import plan_hosts, plan_parts
from emulator.kube.reconciler import Reader

_WORKLOADS = {
    "Deployment": ("readyReplicas", "replicas"),
    "StatefulSet": ("readyReplicas", "replicas"),
    "DaemonSet": ("numberReady", "desiredNumberScheduled"),
    "ReplicationController": ("readyReplicas", "replicas"),
}


def overview(
    reader: Reader,
    *,
    cluster: str,
    epoch: int,
    revision: int,
    proxy_mode: str = "",
    hosts: tuple[HostOverview, ...] = (),
) -> ClusterOverview:
    """Summarize the stored objects; each part is in order of namespace and name."""
    pods = [pod for pod in reader.list("Pod") if _phase(pod) not in ("Succeeded", "Failed")]
    nodes = tuple(_node(node, pods) for node in _sorted(reader, "Node"))
    workloads = tuple(_workload(obj) for kind in _WORKLOADS for obj in _sorted(reader, kind))
    not_ready = (*_nodes_not_ready(reader), *_pods_not_ready(pods), *_workloads_not_ready(workloads))
    return ClusterOverview(
        cluster=cluster,
        epoch=epoch,
        revision=str(revision),
        ready=not not_ready and bool(nodes),
        nodes=nodes,
        services=tuple(_services(reader)),
        workloads=workloads,
        pods=len(pods),
        ready_pods=sum(_is_ready(pod) for pod in pods),
        not_ready=not_ready,
        proxy_mode=proxy_mode,
        hosts=hosts,
    )


def outside(config: ClusterConfig) -> tuple[HostOverview, ...]:
    """Return what is outside the nodes: the parts of the network, then the hosts."""
    if not config.cloud.exists:
        return ()
    parts = [
        HostOverview(name=part.name, network=part.network, address=part.address, runs=part.task, part=True)
        for part in plan_parts(config)
    ]
    hosts = [
        HostOverview(name=host.name, network=host.network, address=str(host.address), runs=host.image)
        for host in plan_hosts(config)
    ]
    return (*parts, *hosts)


def _sorted(reader: Reader, kind: str) -> list[Object]:
    return sorted(reader.list(kind), key=lambda obj: (_namespace(obj), _name(obj)))


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _namespace(obj: Object) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _phase(obj: Object) -> str:
    return str(obj.get("status", {}).get("phase", ""))


def _condition(obj: Object, kind: str) -> Object:
    conditions = obj.get("status", {}).get("conditions") or ()
    return next((entry for entry in conditions if entry.get("type") == kind), {})


def _is_ready(obj: Object) -> bool:
    return _condition(obj, "Ready").get("status") == "True"


def _node(node: Object, pods: list[Object]) -> NodeOverview:
    here = [pod for pod in pods if pod.get("spec", {}).get("nodeName") == _name(node)]
    addresses = node.get("status", {}).get("addresses") or ()
    return NodeOverview(
        name=_name(node),
        ready=_is_ready(node),
        address=next((entry["address"] for entry in addresses if entry["type"] == "InternalIP"), ""),
        pod_cidr=node.get("spec", {}).get("podCIDR", ""),
        zone=(node["metadata"].get("labels") or {}).get(ZONE_LABEL, ""),
        pods=len(here),
        ready_pods=sum(_is_ready(pod) for pod in here),
    )


def _services(reader: Reader) -> Iterator[ServiceOverview]:
    endpoints: dict[tuple[str, str], dict[str, bool]] = {}
    for slice_ in reader.list("EndpointSlice"):
        service = (slice_["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL, "")
        found = endpoints.setdefault((_namespace(slice_), service), {})
        for endpoint in slice_.get("endpoints") or ():
            ready = endpoint.get("conditions", {}).get("ready", True) is not False
            found |= dict.fromkeys(endpoint["addresses"][:1], ready)
    for service in _sorted(reader, "Service"):
        spec = service.get("spec", {})
        found = endpoints.get((_namespace(service), _name(service)), {})
        yield ServiceOverview(
            namespace=_namespace(service),
            name=_name(service),
            type=spec.get("type", "ClusterIP"),
            cluster_ip=spec.get("clusterIP", ""),
            ports=",".join(_port(port) for port in spec.get("ports") or ()),
            ready_endpoints=sum(found.values()),
            endpoints=len(found),
        )


def _port(port: Object) -> str:
    number = f"{port['port']}:{port['nodePort']}" if port.get("nodePort") else f"{port['port']}"
    return f"{number}/{port.get('protocol', 'TCP')}"


def _workload(obj: Object) -> WorkloadOverview:
    ready, wanted = _WORKLOADS[obj["kind"]]
    status = obj.get("status", {})
    target = status.get(wanted, 0) if obj["kind"] == "DaemonSet" else obj.get("spec", {}).get(wanted, 1)
    return WorkloadOverview(
        kind=obj["kind"], namespace=_namespace(obj), name=_name(obj), ready=status.get(ready, 0), wanted=target
    )


def _nodes_not_ready(reader: Reader) -> Iterator[NotReady]:
    for node in _sorted(reader, "Node"):
        if not _is_ready(node):
            condition = _condition(node, "Ready")
            reason, message = condition.get("reason", "NotRegistered"), condition.get("message", "")
            yield NotReady(kind="Node", namespace="", name=_name(node), reason=reason, message=message)


def _pods_not_ready(pods: list[Object]) -> Iterator[NotReady]:
    for pod in sorted(pods, key=lambda pod: (_namespace(pod), _name(pod))):
        if not _is_ready(pod):
            reason, message = _why(pod)
            yield NotReady(kind="Pod", namespace=_namespace(pod), name=_name(pod), reason=reason, message=message)


def _why(pod: Object) -> tuple[str, str]:
    """Return reason and message of a pod that is not ready: what its containers say, else its conditions."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating", ""
    status = pod.get("status", {})
    for entry in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = entry.get("state", {})
        for found in (state.get("waiting"), state.get("terminated")):
            if found and found.get("reason") not in ("Completed", "PodInitializing"):
                return found.get("reason", ""), f"{entry['name']}: {found.get('message', '')}".removesuffix(": ")
    for kind in ("PodScheduled", "Ready"):
        condition = _condition(pod, kind)
        if condition.get("status") == "False":
            return condition.get("reason", "NotReady"), condition.get("message", "")
    return _phase(pod) or "Pending", ""


def _workloads_not_ready(workloads: tuple[WorkloadOverview, ...]) -> Iterator[NotReady]:
    for entry in workloads:
        if entry.ready < entry.wanted:
            message = f"{entry.ready} of {entry.wanted} pods are ready"
            yield NotReady(
                kind=entry.kind, namespace=entry.namespace, name=entry.name, reason="Progressing", message=message
            )
