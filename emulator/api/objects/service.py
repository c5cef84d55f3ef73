"""Service: a stable address and name for the pods that a selector finds."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import force_setattr

from emulator.api.objects.meta import Condition, IntOrString, ObjectMeta


class ServicePort(Struct, frozen=True, kw_only=True, rename="camel"):
    """One port of a Service; a `target_port` that is not given is `port`."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: IntOrString = 0
    node_port: int = 0
    app_protocol: str = ""

    def __post_init__(self) -> None:
        if self.target_port in (0, ""):
            force_setattr(self, "target_port", self.port)


class ClientIpConfig(Struct, frozen=True, kw_only=True, rename="camel"):
    """How long a client keeps its endpoint, in seconds (Kubernetes: three hours)."""

    timeout_seconds: int = 10800


class SessionAffinityConfig(Struct, frozen=True, kw_only=True, rename="camel"):
    """Options of `session_affinity` ClientIP."""

    client_ip: ClientIpConfig = field(default=ClientIpConfig(), name="clientIP")


class ServiceSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a Service should be. `cluster_ip` is empty until allocated, "None" for a headless one."""

    type: str = "ClusterIP"
    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = field(default="", name="clusterIP")
    cluster_ips: tuple[str, ...] = field(default=(), name="clusterIPs")
    external_ips: tuple[str, ...] = field(default=(), name="externalIPs")
    external_name: str = ""
    load_balancer_ip: str = field(default="", name="loadBalancerIP")
    load_balancer_class: str = ""
    load_balancer_source_ranges: tuple[str, ...] = ()
    allocate_load_balancer_node_ports: bool = True
    health_check_node_port: int = 0
    session_affinity: str = "None"
    session_affinity_config: SessionAffinityConfig = SessionAffinityConfig()
    internal_traffic_policy: str = "Cluster"
    external_traffic_policy: str = "Cluster"
    traffic_distribution: str = ""
    publish_not_ready_addresses: bool = False
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str = "SingleStack"

    @property
    def is_headless(self) -> bool:
        """Whether the Service has no virtual address on purpose."""
        return self.cluster_ip == "None"


class PortStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """A port that a load balancer serves."""

    port: int
    protocol: str = "TCP"
    error: str = ""


class LoadBalancerIngress(Struct, frozen=True, kw_only=True, rename="camel"):
    """An address of a load balancer; `ip_mode` is VIP or Proxy."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str = "VIP"
    ports: tuple[PortStatus, ...] = ()


class LoadBalancerStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """The addresses that a load balancer has given."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the cluster says of a Service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: tuple[Condition, ...] = ()


class Service(Struct, frozen=True, kw_only=True, rename="camel"):
    """A Service."""

    api_version: str = "v1"
    kind: str = "Service"
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()
