"""Whose address it is: pods, Services and nodes by IP, from the objects that the controller told."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import NamedTuple

from emulator.api.messages import HostOverview
from emulator.api.objects import Node, Pod, Service


class Place(NamedTuple):
    """What an address belongs to; `kind` is pod, service, node, host or empty, `node` where it is (empty: anywhere)."""

    kind: str
    name: str
    node: str = ""


class Names:
    """Addresses and their owners. `version` changes when any answer may have changed."""

    def __init__(self) -> None:
        self.version = 0
        self._places: dict[str, Place] = {}

    def of(self, address: str) -> Place:
        """Return the owner of an address; the address itself if nobody's."""
        return self._places.get(address) or Place("", address)

    def update(
        self,
        nodes: Iterable[Node],
        pods: Iterable[Pod],
        services: Iterable[Service],
        hosts: Iterable[HostOverview] = (),
    ) -> None:
        """Take over what the objects say. A node's address wins over pods that share it (hostNetwork)."""
        places = {host.address: Place("host", f"host/{host.name}") for host in hosts if host.address}
        for pod in sorted(pods, key=lambda pod: (not pod.status.is_ready, pod.metadata.namespace, pod.metadata.name)):
            if pod.status.pod_ip and pod.status.phase not in ("Succeeded", "Failed"):
                name = f"{pod.metadata.namespace}/{pod.metadata.name}"
                places.setdefault(pod.status.pod_ip, Place("pod", name, pod.spec.node_name))
        for service in services:
            for address in _addresses(service):
                places[address] = Place("service", f"{service.metadata.namespace}/svc/{service.metadata.name}")
        for node in nodes:
            name = node.metadata.name
            for address in _node_addresses(node):
                places[address] = Place("node", f"node/{name}", name)
        if places != self._places:
            self._places = places
            self.version += 1


def _addresses(service: Service) -> list[str]:
    spec = service.spec
    ingress = [entry.ip for entry in service.status.load_balancer.ingress]
    cluster_ip = "" if spec.is_headless else spec.cluster_ip
    return [address for address in (cluster_ip, *spec.cluster_ips, *spec.external_ips, *ingress) if address]


def _node_addresses(node: Node) -> list[str]:
    """The node's own addresses, and that of its bridge: the first of its pod CIDR."""
    addresses = [entry.address for entry in node.status.addresses if entry.type.endswith("IP")]
    if node.spec.pod_cidr:
        addresses.append(str(IPv4Network(node.spec.pod_cidr)[1]))
    return addresses
