"""The description of a workload: its replicas, its update strategy, the template of its pods."""

from __future__ import annotations

from emulator.api.messages import ListParams, Object
from emulator.cli.client import Client
from emulator.cli.columns.columns import selector_text
from emulator.cli.describe.page import Page, conditions, head
from emulator.cli.describe.pod import container_ports, probe_text
from emulator.cli.lists import list_all


def describe_workload(page: Page, obj: Object, client: Client) -> None:
    """Write the page of a Deployment, ReplicaSet, StatefulSet or DaemonSet. Raises ControlError."""
    spec = obj.get("spec", {})
    head(page, obj)
    page.add("Selector", selector_text(spec.get("selector")))
    page.add("Replicas", _replicas(obj))
    if strategy := spec.get("strategy") or spec.get("updateStrategy"):
        page.add("Strategy", strategy.get("type", "RollingUpdate"))
        rolling = strategy.get("rollingUpdate") or {}
        if rolling:
            unavailable, surge = rolling.get("maxUnavailable", "25%"), rolling.get("maxSurge", "25%")
            page.add("Rolling Update", f"{unavailable} max unavailable, {surge} max surge")
    page.add("Pod Template")
    for container in spec.get("template", {}).get("spec", {}).get("containers") or ():
        page.add(container["name"], depth=1)
        page.add("Image", container.get("image", ""), 2)
        page.add("Ports", container_ports(container), 2)
        if container.get("readinessProbe"):
            page.add("Readiness", probe_text(container["readinessProbe"]), 2)
    conditions(page, obj)
    _owned(page, obj, client)


def _replicas(obj: Object) -> str:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    if obj["kind"] == "DaemonSet":
        return f"{status.get('desiredNumberScheduled', 0)} desired | {status.get('numberReady', 0)} ready"
    updated = f" | {status['updatedReplicas']} updated" if "updatedReplicas" in status else ""
    ready, every = status.get("readyReplicas", 0), status.get("replicas", 0)
    return f"{spec.get('replicas', 1)} desired{updated} | {every} total | {ready} ready"


def _owned(page: Page, obj: Object, client: Client) -> None:
    """Add the ReplicaSets of a Deployment, the pods of the others."""
    kind = "ReplicaSet" if obj["kind"] == "Deployment" else "Pod"
    uid = obj["metadata"]["uid"]
    found = list_all(client, ListParams(kind=kind, namespace=obj["metadata"]["namespace"])).items
    rows = [["Name", "State"]]
    for other in found:
        if any(owner.get("uid") == uid for owner in other["metadata"].get("ownerReferences") or ()):
            state = _replicas(other) if kind == "ReplicaSet" else other.get("status", {}).get("phase", "Pending")
            rows.append([other["metadata"]["name"], state])
    page.add_table(f"{kind}s", rows)
