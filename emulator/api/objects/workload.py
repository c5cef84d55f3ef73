"""Workloads: Deployment, ReplicaSet and the others that make pods from a template."""

from __future__ import annotations

from msgspec import Struct

from emulator.api.objects.meta import Condition, IntOrString, LabelSelector, ObjectMeta
from emulator.api.objects.pod import PodTemplateSpec


class RollingUpdateDeployment(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many pods above and below `replicas` an update may use; a percentage rounds up and down."""

    max_surge: IntOrString = "25%"
    max_unavailable: IntOrString = "25%"


class DeploymentStrategy(Struct, frozen=True, kw_only=True, rename="camel"):
    """`type` is RollingUpdate or Recreate."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdateDeployment = RollingUpdateDeployment()


class DeploymentSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a Deployment should be."""

    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    strategy: DeploymentStrategy = DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    progress_deadline_seconds: int = 600
    paused: bool = False


class DeploymentStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a Deployment is."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class Deployment(Struct, frozen=True, kw_only=True, rename="camel"):
    """A Deployment."""

    api_version: str = "apps/v1"
    kind: str = "Deployment"
    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ReplicaSetSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a ReplicaSet should be."""

    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    min_ready_seconds: int = 0


class ReplicaSetStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a ReplicaSet is."""

    observed_generation: int = 0
    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class ReplicaSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """A ReplicaSet."""

    api_version: str = "apps/v1"
    kind: str = "ReplicaSet"
    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class RollingUpdateStatefulSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """Pods whose ordinals are below `partition` are not updated."""

    partition: int = 0


class StatefulSetUpdateStrategy(Struct, frozen=True, kw_only=True, rename="camel"):
    """`type` is RollingUpdate or OnDelete."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdateStatefulSet = RollingUpdateStatefulSet()


class StatefulSetOrdinals(Struct, frozen=True, kw_only=True, rename="camel"):
    """The number of the first pod."""

    start: int = 0


class StatefulSetSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a StatefulSet should be; `service_name` names the headless Service of its pods."""

    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    service_name: str = ""
    pod_management_policy: str = "OrderedReady"
    update_strategy: StatefulSetUpdateStrategy = StatefulSetUpdateStrategy()
    ordinals: StatefulSetOrdinals = StatefulSetOrdinals()
    min_ready_seconds: int = 0


class StatefulSetStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a StatefulSet is."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0


class StatefulSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """A StatefulSet."""

    api_version: str = "apps/v1"
    kind: str = "StatefulSet"
    metadata: ObjectMeta = ObjectMeta()
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class RollingUpdateDaemonSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many nodes may be without a serving pod during an update; a percentage is one of the nodes, rounded up."""

    max_unavailable: IntOrString = 1


class DaemonSetUpdateStrategy(Struct, frozen=True, kw_only=True, rename="camel"):
    """`type` is RollingUpdate or OnDelete."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdateDaemonSet = RollingUpdateDaemonSet()


class DaemonSetSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a DaemonSet should be."""

    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    update_strategy: DaemonSetUpdateStrategy = DaemonSetUpdateStrategy()
    min_ready_seconds: int = 0


class DaemonSetStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a DaemonSet is."""

    observed_generation: int = 0
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    number_ready: int = 0
    number_available: int = 0
    updated_number_scheduled: int = 0


class DaemonSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """A DaemonSet."""

    api_version: str = "apps/v1"
    kind: str = "DaemonSet"
    metadata: ObjectMeta = ObjectMeta()
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


class JobSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a Job should be; its selector is made by the cluster. No `completions`: as `parallelism`."""

    template: PodTemplateSpec = PodTemplateSpec()
    parallelism: int = 1
    completions: int | None = None
    backoff_limit: int = 6
    suspend: bool = False


class JobStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a Job is."""

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    start_time: str | None = None
    completion_time: str | None = None
    conditions: tuple[Condition, ...] = ()


class Job(Struct, frozen=True, kw_only=True, rename="camel"):
    """A Job."""

    api_version: str = "batch/v1"
    kind: str = "Job"
    metadata: ObjectMeta = ObjectMeta()
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()
