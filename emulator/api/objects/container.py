"""Containers and their probes: what a pod runs, on which ports it says it listens, when it counts as ready."""

from __future__ import annotations

from msgspec import Struct, field

from emulator.api.objects.meta import IntOrString


class ContainerPort(Struct, frozen=True, kw_only=True, rename="camel"):
    """A declared port; it documents, and gives names that Services may use as target ports."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0
    host_ip: str = field(default="", name="hostIP")


class FieldReference(Struct, frozen=True, kw_only=True, rename="camel"):
    """A field of the pod itself, such as `status.podIP`."""

    field_path: str
    api_version: str = "v1"


class KeyReference(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key of a ConfigMap or Secret in the pod's namespace."""

    key: str
    name: str = ""
    optional: bool = False


class EnvVarSource(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where an environment variable's value comes from."""

    field_ref: FieldReference | None = None
    config_map_key_ref: KeyReference | None = None
    secret_key_ref: KeyReference | None = None


class EnvVar(Struct, frozen=True, kw_only=True, rename="camel"):
    """One environment variable."""

    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class SourceReference(Struct, frozen=True, kw_only=True, rename="camel"):
    """A ConfigMap or Secret, of which each key is to be a variable."""

    name: str = ""
    optional: bool = False


class EnvFromSource(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where several environment variables come from, with something in front of their names."""

    prefix: str = ""
    config_map_ref: SourceReference | None = None
    secret_ref: SourceReference | None = None


class HttpHeader(Struct, frozen=True, kw_only=True, rename="camel"):
    """A header that a probe sends."""

    name: str
    value: str = ""


class HttpGetAction(Struct, frozen=True, kw_only=True, rename="camel"):
    """An HTTP request; 200 to 399 is success. `port` may name a container port; empty `host` is the pod's."""

    port: IntOrString
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocketAction(Struct, frozen=True, kw_only=True, rename="camel"):
    """A TCP connection that must be accepted."""

    port: IntOrString
    host: str = ""


class GrpcAction(Struct, frozen=True, kw_only=True, rename="camel"):
    """A gRPC health check."""

    port: int
    service: str = ""


class ExecAction(Struct, frozen=True, kw_only=True, rename="camel"):
    """A command in the container; exit status 0 is success."""

    command: tuple[str, ...] = ()


class SleepAction(Struct, frozen=True, kw_only=True, rename="camel"):
    """A pause before the container is stopped."""

    seconds: int = 0


class Probe(Struct, frozen=True, kw_only=True, rename="camel"):
    """A check of a container, repeated every `period_seconds`; exactly one action is set."""

    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    grpc: GrpcAction | None = None
    exec: ExecAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class LifecycleHandler(Struct, frozen=True, kw_only=True, rename="camel"):
    """What runs after a container starts or before it stops."""

    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Struct, frozen=True, kw_only=True, rename="camel"):
    """A container's hooks."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None


class VolumeMount(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a container sees a volume of the pod; with `sub_path` only that file of it."""

    name: str
    mount_path: str
    sub_path: str = ""
    read_only: bool = False


class SecurityContext(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who a container runs as; what is not said here its pod's security context says."""

    run_as_user: int | None = None
    run_as_group: int | None = None


class Container(Struct, frozen=True, kw_only=True, rename="camel"):
    """One program of a pod. `restart_policy` "Always" makes an init container a sidecar."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    restart_policy: str = ""
    security_context: SecurityContext = SecurityContext()
