"""The cluster as far as kube-proxy of one node knows it: nodes, their networks, and how kube-proxy is configured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network

from msgspec import Struct, field
from msgspec.structs import replace

from emulator.api.cluster_file import NODE_NETWORK, POD_CIDR, ClusterConfig, NodeConfig
from emulator.api.objects.node import ZONE_LABEL, Node
from emulator.errors import PodwireError
from emulator.kube.ipam import free_node_address, free_pod_cidr
from emulator.kube.proxy.settings import ProxyNode, ProxySettings


class UnknownNodeError(PodwireError):
    """A node that neither the cluster file nor the objects have."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        named = f'there is no node "{name}"' if name else "which node is meant must be said"
        super().__init__(f"{named}; the nodes are: {', '.join(self.known)}")


class NodeModel(Struct, frozen=True):
    """One node. Addresses are IPv4 in dotted form, the first is the primary one; `pod_cidr` is where its pods live.

    `local_cidr`: sources that kube-proxy takes for pods of this node (its local traffic detector); empty for none.
    None in a field stands for what was not said: then another source of the same node says it.
    """

    name: str
    addresses: tuple[str, ...] | None = None
    pod_cidr: str | None = None
    labels: Mapping[str, str] | None = None
    local_cidr: str | None = None

    @property
    def zone(self) -> str:
        """The node's zone by its label; empty if it has none."""
        return (self.labels or {}).get(ZONE_LABEL, "")

    def over(self, other: NodeModel) -> NodeModel:
        """Return this node, with `other`'s values where this one says nothing."""
        names = ("addresses", "pod_cidr", "labels", "local_cidr")
        own = {name: getattr(self, name) for name in names}
        return replace(other, name=self.name, **{name: value for name, value in own.items() if value is not None})

    def proxy_node(self) -> ProxyNode:
        """Return the node as kube-proxy sees it. Its pod CIDR is what the local traffic detector goes by."""
        local = self.pod_cidr if self.local_cidr is None else self.local_cidr
        return ProxyNode(self.name, self.addresses or (), local or "", self.zone)


class ClusterModel(Struct, frozen=True):
    """The cluster. `unnamed` describes the node that is asked for, whatever its name; `objects` are Node objects."""

    nodes: Mapping[str, NodeModel] = field(default_factory=dict)
    unnamed: NodeModel | None = None
    settings: ProxySettings = ProxySettings()
    objects: Mapping[str, NodeModel] = field(default_factory=dict)

    def with_nodes(self, objects: Iterable[Node]) -> ClusterModel:
        """Return the cluster with its Node objects; where both tell of a node, the cluster's file is right."""
        return replace(self, objects={node.metadata.name: _of_object(node) for node in objects})

    @property
    def names(self) -> list[str]:
        """The names of all nodes that are known."""
        return list(dict.fromkeys((*self.nodes, *self.objects)))

    def node(self, name: str) -> NodeModel:
        """Return one node; without a name the only one there is. Raises UnknownNodeError."""
        names = self.names
        if not name:
            own = "" if self.unnamed is None else self.unnamed.name
            name = own or (names[0] if len(names) == 1 else "")
        if not name or (self.unnamed is None and name not in names):
            raise UnknownNodeError(name, names)
        return self._completed(name)

    def others(self, name: str) -> list[NodeModel]:
        """Return the other nodes, in order."""
        return [self._completed(other) for other in self.names if other != name]

    def _completed(self, name: str) -> NodeModel:
        node = self.nodes.get(name, NodeModel(name))
        if self.unnamed is not None:
            node = node.over(self.unnamed)
        return node.over(self.objects[name]) if name in self.objects else node


def _of_object(node: Node) -> NodeModel:
    """Return a Node object's node. Its external addresses are on no link of the node, as clouds have it."""
    addresses = tuple(entry.address for entry in node.status.addresses if entry.type == "InternalIP")
    cidrs = (*node.spec.pod_cidrs, node.spec.pod_cidr)
    return NodeModel(
        node.metadata.name,
        tuple(address for address in addresses if ":" not in address) or None,
        next((cidr for cidr in cidrs if cidr and ":" not in cidr), None),
        node.metadata.labels or None,
    )


def of_config(config: ClusterConfig) -> ClusterModel:
    """Return the cluster of a cluster file, with the addresses that `emulator start` gives to its nodes."""
    nodes: dict[str, NodeModel] = {}
    machines: set[IPv4Address] = set()
    cidrs: list[IPv4Network] = []
    for node in config.nodes:
        address = free_node_address(config.node_network, machines)
        cidr = free_pod_cidr(config.pod_cidr, config.node_cidr_mask, cidrs)
        assert address is not None
        assert cidr is not None  # the file's reader has seen that there is room
        machines.add(address)
        cidrs.append(cidr)
        labels = {**node.labels, **({ZONE_LABEL: node.zone} if node.zone else {})}
        nodes[node.name] = NodeModel(node.name, (str(address),), str(cidr), labels)
    return ClusterModel(nodes, settings=ProxySettings(service_cidrs=(str(config.service_cidr),)))


def default_cluster(name: str) -> ClusterModel:
    """Return a cluster of one node, as `emulator start` makes it by default."""
    return of_config(ClusterConfig(nodes=(NodeConfig(name or "node-1"),), pod_cidr=POD_CIDR, node_network=NODE_NETWORK))
