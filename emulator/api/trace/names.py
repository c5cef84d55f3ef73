"""What a reader of a trace knows addresses and network namespaces by: pods, Services, nodes, hosts outside."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.api.messages import HostOverview, Object
from emulator.api.trace.text import Names


def trace_names(
    services: Iterable[Object], pods: Iterable[Object], nodes: Iterable[Object], hosts: Iterable[HostOverview] = ()
) -> Names:
    """Return whose each address and network namespace is."""
    addresses, namespaces = {}, {}
    for pod in pods:
        name = f"pod {_name(pod)}"
        addresses[pod.get("status", {}).get("podIP", "")] = name
        namespaces[f"cni-{pod['metadata']['uid']}"] = name
    for node in nodes:
        addresses[node_address(node)] = f"node {node['metadata']['name']}"
    for host in hosts:
        addresses[host.address] = host.name if host.part else f"host {host.name}"
        if not host.part:
            namespaces[host.name] = f"host {host.name}"
    for service in services:
        addresses[service.get("spec", {}).get("clusterIP", "")] = f"service {_name(service)}"
    return Names({address: name for address, name in addresses.items() if address not in ("", "None")}, namespaces)


def node_address(node: Object) -> str:
    """Return a node's InternalIP."""
    addresses = node.get("status", {}).get("addresses") or ()
    return next((str(entry["address"]) for entry in addresses if entry.get("type") == "InternalIP"), "")


def port_hint(services: Iterable[Object], address: str, protocol: str, port: int) -> str:
    """Say that an address is a Service's which has no such port, and which it has; empty if that is not so."""
    for service in services:
        spec = service.get("spec", {})
        if not address or spec.get("clusterIP") != address:
            continue
        ports = [f"{entry['port']}/{entry.get('protocol', 'TCP')}" for entry in spec.get("ports") or ()]
        wanted = f"{port}/{protocol.upper()}"
        if wanted in ports:
            return ""
        lacks = "does not answer ICMP" if protocol == "icmp" else f"has no port {wanted}"
        return f"service {_name(service)} {lacks}; it has {', '.join(ports)}"
    return ""


def _name(obj: Object) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
