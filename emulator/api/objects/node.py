"""Node: a machine of the cluster, its addresses, and the part of the pod network that it owns."""

from __future__ import annotations

from msgspec import Struct, field

from emulator.api.objects.meta import Condition, ObjectMeta

ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
HOSTNAME_LABEL = "kubernetes.io/hostname"


class Taint(Struct, frozen=True, kw_only=True, rename="camel"):
    """What keeps pods away; `effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    effect: str = "NoSchedule"
    value: str = ""
    time_added: str | None = None


class NodeSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a node should be."""

    pod_cidr: str = field(default="", name="podCIDR")
    pod_cidrs: tuple[str, ...] = field(default=(), name="podCIDRs")
    provider_id: str = field(default="", name="providerID")
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False


class NodeAddress(Struct, frozen=True, kw_only=True, rename="camel"):
    """An address; `type` is InternalIP, ExternalIP, Hostname, InternalDNS or ExternalDNS."""

    type: str
    address: str


class NodeSystemInfo(Struct, frozen=True, kw_only=True, rename="camel"):
    """What runs on the node, for display."""

    architecture: str = ""
    container_runtime_version: str = ""
    kernel_version: str = ""
    kube_proxy_version: str = ""
    kubelet_version: str = ""
    operating_system: str = ""
    os_image: str = ""


class NodeStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the node's kubelet last said."""

    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()
    capacity: dict[str, str] = {}
    allocatable: dict[str, str] = {}
    node_info: NodeSystemInfo = NodeSystemInfo()

    @property
    def internal_ip(self) -> str:
        """The first InternalIP; empty if there is none."""
        return next((entry.address for entry in self.addresses if entry.type == "InternalIP"), "")

    @property
    def is_ready(self) -> bool:
        """Whether the condition `Ready` is True."""
        return any(condition.type == "Ready" and condition.status == "True" for condition in self.conditions)


class Node(Struct, frozen=True, kw_only=True, rename="camel"):
    """A node."""

    api_version: str = "v1"
    kind: str = "Node"
    metadata: ObjectMeta = ObjectMeta()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def zone(self) -> str:
        """The node's zone by its label; empty if it has none."""
        return self.metadata.labels.get(ZONE_LABEL, "")
