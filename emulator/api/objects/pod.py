"""Pod: the containers that share one network namespace, where they run, and which addresses they have."""

from __future__ import annotations

from msgspec import Struct, field

from emulator.api.objects.container import Container, FieldReference
from emulator.api.objects.meta import Condition, Object, ObjectMeta


class HostAlias(Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of the pod's /etc/hosts."""

    ip: str
    hostnames: tuple[str, ...] = ()


class DnsConfigOption(Struct, frozen=True, kw_only=True, rename="camel"):
    """A resolver option such as `ndots`."""

    name: str = ""
    value: str | None = None


class PodDnsConfig(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is added to the resolver that `dns_policy` makes."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DnsConfigOption, ...] = ()


class Sysctl(Struct, frozen=True, kw_only=True, rename="camel"):
    """A sysctl of the pod's network namespace."""

    name: str
    value: str


class PodSecurityContext(Struct, frozen=True, kw_only=True, rename="camel"):
    """The part of the security context that the network can see: firewall rules may ask who owns a socket."""

    sysctls: tuple[Sysctl, ...] = ()
    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()


class Toleration(Struct, frozen=True, kw_only=True, rename="camel"):
    """A taint that this pod puts up with; an empty key with operator Exists means every taint."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class PodReadinessGate(Struct, frozen=True, kw_only=True, rename="camel"):
    """A condition that must be True before the pod counts as ready."""

    condition_type: str


class KeyToPath(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key of a ConfigMap or Secret, and the file that it becomes."""

    key: str
    path: str


class ConfigMapVolumeSource(Struct, frozen=True, kw_only=True, rename="camel"):
    """A ConfigMap as a folder: each key is a file, or those of `items` are."""

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False
    default_mode: int = 0o644


class SecretVolumeSource(Struct, frozen=True, kw_only=True, rename="camel"):
    """A Secret as a folder, as a ConfigMap is."""

    secret_name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False
    default_mode: int = 0o644


class DownwardApiFile(Struct, frozen=True, kw_only=True, rename="camel"):
    """A field of the pod as a file."""

    path: str
    field_ref: FieldReference | None = None


class DownwardApiVolumeSource(Struct, frozen=True, kw_only=True, rename="camel"):
    """Fields of the pod as a folder."""

    items: tuple[DownwardApiFile, ...] = ()
    default_mode: int = 0o644


class VolumeProjection(Struct, frozen=True, kw_only=True, rename="camel"):
    """One of the sources of a projected volume."""

    config_map: ConfigMapVolumeSource | None = None
    secret: ConfigMapVolumeSource | None = None  # whose field is `name` here, as a ConfigMap's
    downward_api: DownwardApiVolumeSource | None = field(default=None, name="downwardAPI")


class ProjectedVolumeSource(Struct, frozen=True, kw_only=True, rename="camel"):
    """Several sources in one folder."""

    sources: tuple[VolumeProjection, ...] = ()
    default_mode: int = 0o644


class Volume(Struct, frozen=True, kw_only=True, rename="camel"):
    """A volume of the pod. Of other sorts than these it is as if it was empty."""

    name: str
    config_map: ConfigMapVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    downward_api: DownwardApiVolumeSource | None = field(default=None, name="downwardAPI")
    projected: ProjectedVolumeSource | None = None


class PodSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a pod should be. `affinity` and `topology_spread_constraints` stay as objects."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    node_name: str = ""
    node_selector: dict[str, str] = {}
    affinity: Object = {}
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[Object, ...] = ()
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    set_hostname_as_fqdn: bool = field(default=False, name="setHostnameAsFQDN")
    host_aliases: tuple[HostAlias, ...] = ()
    volumes: tuple[Volume, ...] = ()
    dns_policy: str = "ClusterFirst"
    dns_config: PodDnsConfig = PodDnsConfig()
    security_context: PodSecurityContext = PodSecurityContext()
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    enable_service_links: bool = True
    scheduler_name: str = "default-scheduler"
    service_account_name: str = ""


class PodIp(Struct, frozen=True, kw_only=True, rename="camel"):
    """One of the pod's addresses, one a family."""

    ip: str


class ContainerStateRunning(Struct, frozen=True, kw_only=True, rename="camel"):
    """The container runs."""

    started_at: str | None = None


class ContainerStateWaiting(Struct, frozen=True, kw_only=True, rename="camel"):
    """The container does not run yet, or not again yet (`CrashLoopBackOff`)."""

    reason: str = ""
    message: str = ""


class ContainerStateTerminated(Struct, frozen=True, kw_only=True, rename="camel"):
    """The container has ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(Struct, frozen=True, kw_only=True, rename="camel"):
    """Exactly one of the three is set."""

    running: ContainerStateRunning | None = None
    waiting: ContainerStateWaiting | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a container of the pod does now."""

    name: str
    image: str = ""
    ready: bool = False
    started: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the pod's kubelet last said of it."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    pod_ip: str = field(default="", name="podIP")
    pod_ips: tuple[PodIp, ...] = field(default=(), name="podIPs")
    host_ip: str = field(default="", name="hostIP")
    start_time: str | None = None
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether the condition `Ready` is True."""
        return any(condition.type == "Ready" and condition.status == "True" for condition in self.conditions)


class Pod(Struct, frozen=True, kw_only=True, rename="camel"):
    """A pod."""

    api_version: str = "v1"
    kind: str = "Pod"
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class PodTemplateSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a workload makes its pods from."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
