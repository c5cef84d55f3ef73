"""The defaults that the API server writes into objects, so that what is stored says what is so.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/apps/v1/defaults.go. Only fields that have an effect here, or that users
are used to see.
"""

from __future__ import annotations

from emulator.api.objects.meta import Object

_POD: Object = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}
_SERVICE: Object = {
    "type": "ClusterIP",
    "sessionAffinity": "None",
    "internalTrafficPolicy": "Cluster",
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
}
_WORKLOADS: dict[str, Object] = {
    "Deployment": {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
    "ReplicaSet": {"replicas": 1},
    "ReplicationController": {"replicas": 1},
    "StatefulSet": {"replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10},
    "DaemonSet": {"revisionHistoryLimit": 10},
}
# Where a kind keeps its update strategy, and the fields of a rolling update.
_STRATEGIES: dict[str, tuple[str, Object]] = {
    "Deployment": ("strategy", {"maxSurge": "25%", "maxUnavailable": "25%"}),
    "StatefulSet": ("updateStrategy", {"partition": 0}),
    "DaemonSet": ("updateStrategy", {"maxSurge": 0, "maxUnavailable": 1}),
}


def with_defaults(obj: Object) -> Object:
    """Return `obj` with Kubernetes' defaults filled in; what it says itself is kept."""
    kind, spec = obj["kind"], obj.get("spec")
    if not isinstance(spec, dict):
        return obj
    if kind == "Pod":
        return obj | {"spec": _pod_spec(spec)}
    if kind == "Service":
        return obj | {"spec": _service_spec(spec)}
    if kind in _WORKLOADS:
        return obj | {"spec": _workload_spec(kind, spec)}
    return obj


def _workload_spec(kind: str, spec: Object) -> Object:
    filled = _WORKLOADS[kind] | spec
    if kind in _STRATEGIES:
        field, rolling = _STRATEGIES[kind]
        strategy = {"type": "RollingUpdate"} | (spec.get(field) or {})
        if strategy["type"] == "RollingUpdate":
            strategy["rollingUpdate"] = rolling | (strategy.get("rollingUpdate") or {})
        filled[field] = strategy
    template = spec["template"]
    if kind == "ReplicationController" and not spec.get("selector"):
        filled["selector"] = (template.get("metadata") or {}).get("labels") or {}
    filled["template"] = template | {"spec": _pod_spec(template["spec"])}
    return filled


def _pod_spec(spec: Object) -> Object:
    filled = _POD | spec
    for part in ("containers", "initContainers"):
        if spec.get(part):
            on_host = bool(spec.get("hostNetwork"))
            filled[part] = [_container(container, on_host=on_host) for container in spec[part]]
    return filled


def _container(container: Object, *, on_host: bool) -> Object:
    """Fill in ports; on the host's network each port is the host's."""
    if not container.get("ports"):
        return container
    ports = [{"protocol": "TCP"} | port for port in container["ports"]]
    if on_host:
        ports = [{"hostPort": port["containerPort"]} | port for port in ports]
    return container | {"ports": ports}


def _service_spec(spec: Object) -> Object:
    kind = spec.get("type", "ClusterIP")
    filled = dict(spec) if kind == "ExternalName" else _SERVICE | spec
    if kind in {"NodePort", "LoadBalancer"}:
        filled = {"externalTrafficPolicy": "Cluster"} | filled
    if kind == "LoadBalancer":
        filled = {"allocateLoadBalancerNodePorts": True} | filled
    if filled.get("sessionAffinity") == "ClientIP":
        config = filled.get("sessionAffinityConfig") or {}
        filled["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800} | (config.get("clientIP") or {})}
    else:
        filled.pop("sessionAffinityConfig", None)
    if spec.get("ports"):
        filled["ports"] = [{"protocol": "TCP", "targetPort": port["port"]} | port for port in spec["ports"]]
    return filled
