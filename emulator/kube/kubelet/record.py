"""What the kubelet remembers of one pod: its sandbox and the state of each container."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from emulator.api.objects.container import Container, Probe
from emulator.api.objects.meta import Object
from emulator.api.objects.pod import ContainerStatus, Pod
from emulator.kube.kubelet.prober import ProbeKind, ProbeWorker
from emulator.kube.reconciler import Key

BACKOFF_FIRST = 10.0
BACKOFF_LAST = 300.0
BACKOFF_FORGOTTEN = 600.0
"""A container that ran this long starts with a clean slate (pkg/kubelet/kuberuntime, `MaxContainerBackOff`)."""


class State(enum.Enum):
    """Where a container is."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    TERMINATED = "terminated"


SERVES = frozenset({State.RUNNING, State.STOPPING})
"""A container that is being stopped still serves: its endpoints are terminating, not gone."""
ALIVE = SERVES | {State.STARTING}


class Role(enum.Enum):
    """What a container is to its pod."""

    INIT = "init"  # runs to its end before the next one starts
    SIDECAR = "sidecar"  # init container with restartPolicy Always: starts before the next, ends after the main ones
    MAIN = "main"


class Sandbox(enum.Enum):
    """Where the pod's network namespace is."""

    ABSENT = "absent"
    SETTING_UP = "setting up"
    READY = "ready"


class ContainerRecord:
    """One container: its state, its last end, when it may start again, and its probes."""

    __slots__ = (
        "backoff",
        "container",
        "exit_code",
        "finished_at",
        "grace",
        "message",
        "previous",
        "restart_count",
        "retry_at",
        "role",
        "started_at",
        "started_monotonic",
        "state",
        "workers",
    )

    def __init__(self, container: Container, role: Role, before: ContainerStatus | None) -> None:
        self.container = container
        self.role = role
        self.state = State.WAITING
        # After a restart of the node its containers are new ones: that counts as a restart of each.
        ran = before is not None and (before.state.running is not None or before.last_state.terminated is not None)
        self.restart_count = before.restart_count + ran if before else 0
        self.started_at = ""
        self.started_monotonic = 0.0
        self.finished_at = ""
        self.exit_code = 0
        self.message = ""
        self.previous: tuple[int, str, str, str] | None = None  # exit code, message, started at, finished at
        self.backoff = 0.0
        self.retry_at: float | None = None
        self.grace = 0.0  # what it was given to end, while it is stopping
        self.workers: dict[ProbeKind, ProbeWorker] = {}

    @property
    def started(self) -> bool:
        """Whether it runs, and has passed its startup probe if it has one."""
        return self.state in SERVES and self._passed(ProbeKind.STARTUP)

    @property
    def ready(self) -> bool:
        """Whether it has started, and passes its readiness probe if it has one."""
        return self.started and self._passed(ProbeKind.READINESS)

    @property
    def completed(self) -> bool:
        """Whether it has ended well."""
        return self.state is State.TERMINATED and self.exit_code == 0

    def _passed(self, kind: ProbeKind) -> bool:
        worker = self.workers.get(kind)
        return worker is None or worker.passed

    def ended(self, exit_code: int, message: str, wall: str, monotonic: float) -> None:
        """Note the end of the program, and how long a restart must wait: 0 s, then 10 s, doubling up to 300 s."""
        ran_for = monotonic - self.started_monotonic if self.started_at else 0.0
        self.state = State.TERMINATED
        self.exit_code, self.message, self.finished_at = exit_code, message, wall
        if ran_for > BACKOFF_FORGOTTEN:
            self.backoff = 0.0
        self.retry_at = monotonic + self.backoff
        self.backoff = min(BACKOFF_LAST, self.backoff * 2 or BACKOFF_FIRST)

    def restart(self) -> None:
        """Note that the program is about to be started again."""
        self.previous = (self.exit_code, self.message, self.started_at or self.finished_at, self.finished_at)
        self.started_at = ""  # else a run that never comes up would count as a long one, and be repeated without pause
        self.restart_count += 1
        self.state = State.STARTING
        for worker in self.workers.values():
            worker.renew()


class PodRecord:
    """One pod of this node. `skipped` names what counts as passed or completed because nothing here can run it."""

    __slots__ = (
        "address",
        "containers",
        "deleted",
        "initialized",
        "key",
        "pod",
        "reported",
        "sandbox",
        "sandbox_message",
        "skipped_init",
        "skipped_probes",
        "start_time",
    )

    def __init__(self, key: Key, pod: Pod, wall: str) -> None:
        self.key = key
        self.pod = pod
        self.sandbox = Sandbox.ABSENT
        self.sandbox_message = ""
        self.address = pod.status.pod_ip
        self.start_time = pod.status.start_time or wall
        self.containers: dict[str, ContainerRecord] = {}
        self.initialized = False  # once all init containers have ended and all sidecars have started
        self.skipped_init: list[str] = []
        self.skipped_probes: list[str] = []
        self.deleted = False  # the object is gone: nothing is reported any more
        self.reported: Object | None = None

    @property
    def terminating(self) -> bool:
        """Whether the pod is to go."""
        return self.deleted or self.pod.metadata.deletion_timestamp is not None

    @property
    def mains(self) -> list[ContainerRecord]:
        """The containers that the pod is there for."""
        return [container for container in self.containers.values() if container.role is Role.MAIN]

    def restarts(self, container: ContainerRecord) -> bool:
        """Whether a container that has ended is to be started again."""
        if container.state is not State.TERMINATED:
            return False
        policy = self.pod.spec.restart_policy
        match container.role:
            case Role.SIDECAR:
                return not self.is_done
            case Role.INIT:
                return policy != "Never" and container.exit_code != 0
            case Role.MAIN:
                return policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)

    @property
    def is_done(self) -> bool:
        """Whether nothing of it will run again: its main containers have ended for good, or an init container has."""
        if any(
            container.role is Role.INIT
            and container.state is State.TERMINATED
            and container.exit_code
            and self.pod.spec.restart_policy == "Never"
            for container in self.containers.values()
        ):
            return True
        mains = self.mains
        return bool(mains) and all(
            container.state is State.TERMINATED and not self.restarts(container) for container in mains
        )


def programs(pod: Pod) -> Iterator[tuple[Container, Role]]:
    """Yield the containers in the order in which they start."""
    for container in pod.spec.init_containers:
        yield container, Role.SIDECAR if container.restart_policy == "Always" else Role.INIT
    for container in pod.spec.containers:
        yield container, Role.MAIN


def probes(container: Container) -> Iterator[tuple[ProbeKind, str, Probe]]:
    """Yield a container's probes with the names of their fields."""
    for kind, name, probe in (
        (ProbeKind.READINESS, "readinessProbe", container.readiness_probe),
        (ProbeKind.LIVENESS, "livenessProbe", container.liveness_probe),
        (ProbeKind.STARTUP, "startupProbe", container.startup_probe),
    ):
        if probe is not None:
            yield kind, name, probe
