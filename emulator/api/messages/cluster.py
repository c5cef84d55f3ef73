"""What is asked of the controller about nodes, and the cluster at a glance."""

from __future__ import annotations

from msgspec import Struct

from emulator.api.messages.envelope import Empty, Method, Object

UNDERLAY_ANNOTATION = "podwire/underlay"
"""On a Node: where its process receives underlay datagrams, as HOST:PORT."""

MAC_ANNOTATION = "podwire/mac"
"""On a Node: the MAC address of its NIC on the node network. On the cloud's Lease: all of them, parted by commas."""


class NodeRegistration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A process that wants to be the node `name`, or what is outside them (`cloud`), as long as the exchange is open.

    `instance` differs for each process. While another instance holds the name, it is refused.
    """

    name: str
    instance: str
    underlay_host: str
    underlay_port: int
    mac: str  # of the NIC on the node network
    macs: tuple[str, ...] = ()  # of the cloud: all that are behind its NIC
    pid: int = 0
    zone: str = ""
    labels: dict[str, str] = {}


class Registered(Struct, frozen=True, kw_only=True):
    """The node is in: its Node object has the pod CIDR and address it got; renew every `renew_interval` seconds."""

    node: Object
    epoch: int
    lease_duration: float
    renew_interval: float


class RenewParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sign of life of a registered node."""

    name: str
    instance: str


class RenewResult(Struct, frozen=True, kw_only=True):
    """The controller's epoch: another one than at registration means that it was restarted."""

    epoch: int


class NodeOverview(Struct, frozen=True, kw_only=True):
    """One node, at a glance."""

    name: str
    ready: bool
    address: str
    pod_cidr: str
    zone: str
    pods: int
    ready_pods: int


class ServiceOverview(Struct, frozen=True, kw_only=True):
    """One Service, at a glance; `ports` as kubectl prints them."""

    namespace: str
    name: str
    type: str
    cluster_ip: str
    ports: str
    ready_endpoints: int
    endpoints: int


class WorkloadOverview(Struct, frozen=True, kw_only=True):
    """One Deployment, StatefulSet or DaemonSet, at a glance."""

    kind: str
    namespace: str
    name: str
    ready: int
    wanted: int


class NotReady(Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be, and why."""

    kind: str
    namespace: str
    name: str
    reason: str
    message: str = ""


class HostOverview(Struct, frozen=True, kw_only=True):
    """A host outside the nodes; `network` is internet or node. A `part` of the network is no host, but runs commands.

    `runs` says what it is there for: a host's image, a part's task.
    """

    name: str
    network: str
    address: str
    runs: str = ""
    part: bool = False


class ClusterOverview(Struct, frozen=True, kw_only=True):
    """The cluster at a glance; `ready` when all nodes and pods are. `proxy_mode` is what its nodes are to run in."""

    cluster: str
    epoch: int
    revision: str
    ready: bool
    nodes: tuple[NodeOverview, ...]
    services: tuple[ServiceOverview, ...]
    workloads: tuple[WorkloadOverview, ...]
    pods: int
    ready_pods: int
    not_ready: tuple[NotReady, ...]
    proxy_mode: str = ""
    hosts: tuple[HostOverview, ...] = ()


REGISTER = Method("register", NodeRegistration, Registered, Empty)
RENEW = Method("renew", RenewParams, Empty, RenewResult)
CONTROLLER_STATUS = Method("status", Empty, Empty, ClusterOverview)
