"""The description of a node: its addresses, its part of the pod network, the pods on it."""

from __future__ import annotations

from emulator.api.messages import ListParams, Object
from emulator.api.pod_status import summarize
from emulator.cli.client import Client
from emulator.cli.columns.cluster import node_roles, node_status
from emulator.cli.describe.page import NONE, Page, conditions, head
from emulator.cli.lists import list_all


def describe_node(page: Page, node: Object, client: Client) -> None:
    """Write the page of a node. Raises ControlError."""
    spec, status = node.get("spec", {}), node.get("status", {})
    head(page, node)
    page.add("Status", node_status(node))
    page.add("Roles", node_roles(node))
    taints = [f"{entry['key']}={entry.get('value', '')}:{entry['effect']}" for entry in spec.get("taints") or ()]
    page.add_list("Taints", taints)
    page.add("Unschedulable", str(bool(spec.get("unschedulable"))).lower())
    page.add_list("Addresses", [f"{entry['type']} {entry['address']}" for entry in status.get("addresses") or ()])
    page.add("PodCIDR", spec.get("podCIDR") or NONE)
    page.add("Kubelet Version", status.get("nodeInfo", {}).get("kubeletVersion") or NONE)
    conditions(page, node)
    fields = f"spec.nodeName={node['metadata']['name']}"
    pods = list_all(client, ListParams(kind="Pod", field_selector=fields)).items
    rows = [["Namespace", "Name", "Ready", "Status", "IP"]]
    for pod in pods:
        summary, metadata = summarize(pod), pod["metadata"]
        address = pod.get("status", {}).get("podIP") or NONE
        ready = f"{summary.ready}/{summary.total}"
        rows.append([metadata["namespace"], metadata["name"], ready, summary.status, address])
    page.add_table("Pods", rows)
