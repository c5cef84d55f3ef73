"""What only the server can fill in or refuse before an object is stored: defaults, addresses, ports, immutability.

Shapes and values were checked before (`emulator.api.validate`); here the rest of the cluster is looked at.
Source: pkg/apis/*/v1/defaults.go, pkg/registry/core/service (allocators), pkg/apis/*/validation (updates).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from emulator.api.objects.meta import Object
from emulator.kube.defaults import with_defaults
from emulator.kube.ipam import NODE_PORTS, free_cluster_ip, free_node_port, parse_address
from emulator.kube.reconciler import AdmissionError, Reader

_IMMUTABLE = {
    "Deployment": ("selector",),
    "ReplicaSet": ("selector",),
    "DaemonSet": ("selector",),
    "StatefulSet": ("selector", "serviceName", "podManagementPolicy"),
}
_PORTED_TYPES = {"NodePort", "LoadBalancer"}


class ClusterAdmission:
    """Admits objects into one cluster, whose Services take their addresses from `service_cidr`."""

    def __init__(self, service_cidr: IPv4Network) -> None:
        self.service_cidr = service_cidr

    def admit(self, reader: Reader, new: Object, old: Object | None) -> Object:
        """Return the object to store. AdmissionError names what is wrong and where."""
        admitted = with_defaults(new)
        problems = list(_changed_for_good(admitted, old))
        if admitted["kind"] == "Service":
            admitted = self._service(reader, admitted, old, problems)
        problems += _unknown_node(reader, admitted, old)
        if problems:
            raise AdmissionError(admitted["kind"], admitted["metadata"].get("name", ""), problems)
        return admitted

    def _service(self, reader: Reader, service: Object, old: Object | None, problems: list[str]) -> Object:
        if service["spec"].get("type") == "ExternalName":
            return service
        others = [other for other in reader.list("Service") if not _same(other, service)]
        spec = dict(service["spec"])
        self._cluster_ip(service, spec, old, others, problems)
        _node_ports(service, spec, old, others, problems)
        return service | {"spec": spec}

    def _cluster_ip(
        self, service: Object, spec: Object, old: Object | None, others: list[Object], problems: list[str]
    ) -> None:
        before = (old or {}).get("spec", {}).get("clusterIP", "")
        wanted = spec.get("clusterIP") or before
        if before and wanted != before:
            problems.append(f"spec.clusterIP: Invalid value: {wanted!r}: field is immutable (it is {before})")
        if wanted != "None":
            taken = {parse_address(other["spec"].get("clusterIP", "")) for other in others} - {None}
            if not wanted:
                free = free_cluster_ip(self.service_cidr, _asker(service), taken)
                if free is None:
                    problems.append(
                        f"spec.clusterIP: no address is left in {self.service_cidr}; delete a Service first"
                    )
                wanted = str(free)
            elif (problem := self._unfit(wanted, taken)) and not before:
                problems.append(f"spec.clusterIP: Invalid value: {wanted!r}: {problem}")
        spec["clusterIP"] = wanted
        spec["clusterIPs"] = [wanted]

    def _unfit(self, text: str, taken: set[IPv4Address | None]) -> str:
        address = parse_address(text)
        if address is None or address not in self.service_cidr:
            return f"the provided IP is not in the valid range; the range of valid IPs is {self.service_cidr}"
        if address in {self.service_cidr.network_address, self.service_cidr.broadcast_address}:
            return "the first and the last address of the range cannot be used"
        return "failed to allocate IP: provided IP is already allocated" if address in taken else ""


def _node_ports(service: Object, spec: Object, old: Object | None, others: list[Object], problems: list[str]) -> None:
    """Give each port of a NodePort or LoadBalancer Service its node port; take them from other types."""
    wants = spec.get("type") in _PORTED_TYPES and spec.get("allocateLoadBalancerNodePorts", True)
    taken = {
        (port.get("protocol"), port["nodePort"]): other for other, port in _all_ports(others) if "nodePort" in port
    }
    before = {
        (port.get("name", ""), port["port"], port.get("protocol")): port.get("nodePort")
        for _, port in _all_ports([old] if old else [])
    }
    ports: list[Object] = []
    for index, port in enumerate(spec.get("ports") or ()):
        assigned = dict(port)
        identity = (port.get("name", ""), port["port"], port.get("protocol"))
        number = port.get("nodePort") or (before.get(identity) if wants else None)
        if number:
            holder = taken.get((port.get("protocol"), number))
            place = f"spec.ports[{index}].nodePort: Invalid value: {number}"
            if holder is not None:
                problems.append(f"{place}: provided port is already allocated (by Service {_asker(holder)})")
            elif number not in NODE_PORTS:
                problems.append(f"{place}: provided port is not in the valid range; it is 30000-32767")
        elif wants:
            own = {port_number for protocol, port_number in taken if protocol == port.get("protocol")}
            own |= {other.get("nodePort") for other in ports}
            number = free_node_port(f"{_asker(service)}:{identity[0]}:{identity[1]}", own)
            if number is None:
                problems.append(f"spec.ports[{index}].nodePort: no port is left in 30000-32767; delete a Service first")
        if number:
            assigned["nodePort"] = number
        ports.append(assigned)
    if ports:
        spec["ports"] = ports


def _all_ports(services: list[Object]) -> Iterator[tuple[Object, Object]]:
    for service in services:
        for port in service["spec"].get("ports") or ():
            yield service, port


def _asker(service: Object) -> str:
    return f"{service['metadata'].get('namespace', '')}/{service['metadata']['name']}"


def _same(one: Object, other: Object) -> bool:
    return _asker(one) == _asker(other)


def _changed_for_good(new: Object, old: Object | None) -> Iterator[str]:
    if old is None:
        return
    for field in _IMMUTABLE.get(new["kind"], ()):
        if new["spec"].get(field) != old["spec"].get(field):
            yield f"spec.{field}: field is immutable; delete the {new['kind']} and create it again"


def _unknown_node(reader: Reader, obj: Object, old: Object | None) -> Iterator[str]:
    """A pod that names a node must name one that exists; Kubernetes would let it wait for ever."""
    path, spec = "spec", obj.get("spec") or {}
    if "template" in spec and isinstance(spec["template"], dict):
        path, spec = "spec.template.spec", spec["template"].get("spec") or {}
    name = spec.get("nodeName") if isinstance(spec, dict) else None
    if name and old is None and reader.get("Node", "", name) is None:
        known = ", ".join(sorted(node["metadata"]["name"] for node in reader.list("Node"))) or "none"
        yield f"{path}.nodeName: there is no node {name!r}; the cluster's nodes are: {known}"
