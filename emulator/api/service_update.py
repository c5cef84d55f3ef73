"""What leaves a Service when its type changes: what the old type was given, and the new one may not have.

Source: pkg/registry/core/service/strategy.go (`dropTypeDependentFields`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.api.objects.meta import Object

_PORTED_TYPES = ("NodePort", "LoadBalancer")
_CLUSTER_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
_BALANCER_FIELDS = ("allocateLoadBalancerNodePorts", "loadBalancerClass")


def without_stale_fields(new: Object, old: Object) -> Object:
    """Return `new`, an update of `old`, without what it only has because `old` had it and was of another type.

    A field that the update changes stays, so that validation can refuse it; `new` need not be valid yet. Other kinds
    come back as they are.
    """
    if new.get("kind") != "Service" or not isinstance(new.get("spec"), dict):
        return new
    before, spec = old["spec"], dict(new["spec"])
    stale = [name for name in _stale_fields(before, spec) if spec.get(name) == before.get(name)]
    if spec.get("clusterIP") != before.get("clusterIP") and spec.get("clusterIPs") == before.get("clusterIPs"):
        stale.append("clusterIPs")  # the older field, which users write, counts
    for name in stale:
        spec.pop(name, None)
    if _has_node_ports(before) and not _has_node_ports(spec) and isinstance(spec.get("ports"), list):
        given = [port.get("nodePort") for port in before.get("ports") or ()]
        spec["ports"] = [_without_node_port(port, given) for port in spec["ports"]]
    return new | {"spec": spec} if spec != new["spec"] else new


def _stale_fields(before: Object, spec: Object) -> list[str]:
    stale: list[str] = []
    if before.get("type") != "ExternalName" and spec.get("type") == "ExternalName":
        stale += _CLUSTER_FIELDS
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        stale += _BALANCER_FIELDS
    if _is_external(before) and not _is_external(spec):
        stale.append("externalTrafficPolicy")
    if has_health_check(before) and not has_health_check(spec):
        stale.append("healthCheckNodePort")
    return stale


def _has_node_ports(spec: Object) -> bool:
    return spec.get("type") in _PORTED_TYPES and spec.get("allocateLoadBalancerNodePorts", True) is not False


def _is_external(spec: Object) -> bool:
    return spec.get("type") in _PORTED_TYPES or (spec.get("type") != "ExternalName" and bool(spec.get("externalIPs")))


def has_health_check(spec: Object) -> bool:
    """Whether a Service with this spec has a health check node port."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _without_node_port(port: Any, given: Sequence[Any]) -> Any:
    if not isinstance(port, dict) or port.get("nodePort") not in given:
        return port
    return {name: value for name, value in port.items() if name != "nodePort"}
