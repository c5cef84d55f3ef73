"""Which packet `emulator trace` means by a word, and whose an address is, by the Services, pods and nodes there are."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address
from typing import NamedTuple

import click

from emulator.api.messages import CONTROLLER_STATUS, Empty, HostOverview, ListParams, Object
from emulator.api.trace.names import node_address, port_hint, trace_names
from emulator.cli.client import Client
from emulator.cli.command import mistyped
from emulator.cli.lists import list_all
from emulator.cli.session import CLOUD
from emulator.cli.target import HOST


class Flow(NamedTuple):
    """The packet to send: `destination` is an address or a DNS name, `label` what the user knows it by."""

    destination: str
    protocol: str
    port: int
    label: str


class Directory:
    """The Services, pods and nodes of a cluster, and the hosts outside it."""

    def __init__(
        self,
        services: Sequence[Object],
        pods: Sequence[Object],
        nodes: Sequence[Object],
        hosts: Sequence[HostOverview] = (),
    ) -> None:
        self._services = {_key(service): service for service in services}
        self._pods = {_key(pod): pod for pod in pods}
        self._nodes = {node["metadata"]["name"]: node for node in nodes}
        self._hosts = {host.name: host for host in hosts}
        self.names = trace_names(services, pods, nodes, hosts)

    @classmethod
    def read(cls, client: Client) -> Directory:
        """Ask the controller. Raises ControlError."""
        services, pods, nodes = (list_all(client, ListParams(kind=kind)).items for kind in ("Service", "Pod", "Node"))
        return cls(services, pods, nodes, client.call(CONTROLLER_STATUS, Empty()).hosts)

    @property
    def machines(self) -> list[str]:
        """The machines that a packet may come through: the nodes, and the cloud where there is one."""
        return [*self._nodes, *([CLOUD] if self._hosts else [])]

    def flow(self, word: str, namespace: str, asked: tuple[str, int] | None, port: int = 0) -> Flow:
        """Return the packet that a word means, by protocol and port as `asked` or as its owner has them.

        For a `port` alone it is TCP, or UDP where its owner has it for UDP only.

        Raises UsageError for a node, a host, a pod or a Service that there is not.
        """
        address, obj, label = self._find(word, namespace)
        if port and asked is None:
            asked = _protocol_of(obj, port), port
        protocol, port = asked or first_port(obj)
        return Flow(address, protocol, port, label)

    def hint(self, address: str, protocol: str, port: int) -> str:
        """Say that an address is a Service's which has no such port, and which it has; empty if that is not so."""
        return port_hint(self._services.values(), address, protocol, port)

    def _find(self, word: str, namespace: str) -> tuple[str, Object, str]:
        kind, slash, name = word.rpartition("/")
        if slash:
            return self._find_kind(kind, name, namespace)
        if _is_address(word):
            return word, self._owner(word), self.names.addresses.get(word, word)
        key = (namespace, word)
        if key in self._services:
            return self._find_kind("service", word, namespace)
        if key in self._pods:
            return self._find_kind("pod", word, namespace)
        service = self._by_dns_name(word)
        if service is not None:
            return word, service, f"service {'/'.join(_key(service))}"
        if "." not in word:
            known = [name for space, name in (*self._services, *self._pods) if space == namespace]
            raise mistyped(f'there is no Service or pod "{word}" in namespace {namespace}', known, word)
        return word, {}, word

    def _find_kind(self, word: str, name: str, namespace: str) -> tuple[str, Object, str]:
        from emulator.cli.resources import kind_named

        if word == HOST:
            return self._host(name)
        kind = kind_named(word).kind
        if kind == "Node":
            return self._node(name)
        tables = {"Pod": self._pods, "Service": self._services}
        if kind not in tables:
            raise click.UsageError(f'"{word}/{name}": a packet goes to a Service, a pod, a node, a host or an address')
        obj = tables[kind].get((namespace, name))
        if obj is None:
            known = [other for space, other in tables[kind] if space == namespace]
            raise mistyped(f'there is no {kind} "{name}" in namespace {namespace}', known, name)
        label = f"{kind.lower()} {namespace}/{name}"
        if kind == "Pod":
            address = obj.get("status", {}).get("podIP", "")
            if not address:
                raise click.UsageError(f'pod "{name}" has no address yet; see: emulator describe pod {name}')
            return address, obj, label
        vip = obj.get("spec", {}).get("clusterIP", "")
        # A Service without an address of its own is found by its name, as programs find it.
        return vip if _is_address(vip) else f"{name}.{namespace}.svc.cluster.local", obj, label

    def _node(self, name: str) -> tuple[str, Object, str]:
        if name not in self._nodes:
            known = ", ".join(self._nodes)
            raise mistyped(f'there is no node "{name}"; the nodes are: {known}', self._nodes, name)
        return node_address(self._nodes[name]), {}, f"node {name}"

    def _host(self, name: str) -> tuple[str, Object, str]:
        host = self._hosts.get(name)
        if host is None or not host.address:
            known = [other.name for other in self._hosts.values() if other.address]
            raise mistyped(f'there is no host "{name}"; the hosts are: {", ".join(known)}', known, name)
        return host.address, {}, f"host {name}"

    def _by_dns_name(self, word: str) -> Object | None:
        """Return the Service that a name of the cluster's DNS means, in full or in part: `web.default`."""
        name, _, rest = word.rstrip(".").partition(".")
        namespace, _, suffix = rest.partition(".")
        if suffix and not "svc.cluster.local".startswith(suffix):
            return None
        return self._services.get((namespace, name))

    def _owner(self, address: str) -> Object:
        """Return the pod or Service that an address belongs to; an empty object if none does."""
        for service in self._services.values():
            if service.get("spec", {}).get("clusterIP") == address:
                return service
        for pod in self._pods.values():
            if pod.get("status", {}).get("podIP") == address:
                return pod
        return {}


def first_port(obj: Object) -> tuple[str, int]:
    """Return protocol and port to try an object by: its first TCP or UDP port, else ICMP."""
    return min(_ports(obj), key=lambda entry: entry[0] != "tcp", default=("icmp", 0))


def _ports(obj: Object) -> list[tuple[str, int]]:
    """Return the TCP and UDP ports that a Service has, or that a pod's containers declare."""
    spec = obj.get("spec", {})
    ports = [(port.get("protocol", "TCP"), port.get("port")) for port in spec.get("ports") or ()]
    for container in spec.get("containers") or ():
        ports += [(port.get("protocol", "TCP"), port.get("containerPort")) for port in container.get("ports") or ()]
    return [(protocol.lower(), int(port)) for protocol, port in ports if protocol in ("TCP", "UDP")]


def _protocol_of(obj: Object, port: int) -> str:
    return "udp" if ("udp", port) in (ports := _ports(obj)) and ("tcp", port) not in ports else "tcp"


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True
