"""What the kubelet remembers of one pod: its sandbox and the state of each container."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from emulator.api.objects.container import Container
from emulator.api.objects.meta import Object
from emulator.api.objects.pod import ContainerStatus, Pod
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


class Sandbox(enum.Enum):
    """Where the pod's network namespace is."""

    ABSENT = "absent"
    SETTING_UP = "setting up"
    READY = "ready"


class ContainerRecord:
    """One container: its state, its last end, and when it may start again."""

    __slots__ = (
        "backoff",
        "container",
        "exit_code",
        "finished_at",
        "message",
        "previous",
        "restart_count",
        "retry_at",
        "started_at",
        "started_monotonic",
        "state",
    )

    def __init__(self, container: Container, before: ContainerStatus | None) -> None:
        self.container = container
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


class PodRecord:
    """One pod of this node."""

    __slots__ = (
        "address",
        "containers",
        "deleted",
        "key",
        "pod",
        "reported",
        "sandbox",
        "sandbox_message",
        "start_time",
    )

    def __init__(self, key: Key, pod: Pod, wall: str) -> None:
        self.key = key
        self.pod = pod
        self.sandbox = Sandbox.ABSENT
        self.sandbox_message = ""
        self.address = pod.status.pod_ip
        self.start_time = pod.status.start_time or wall
        before = {status.name: status for status in pod.status.container_statuses}
        self.containers = {
            container.name: ContainerRecord(container, before.get(container.name)) for container in programs(pod)
        }
        self.deleted = False  # the object is gone: nothing is reported any more
        self.reported: Object | None = None

    @property
    def terminating(self) -> bool:
        """Whether the pod is to go."""
        return self.deleted or self.pod.metadata.deletion_timestamp is not None


def programs(pod: Pod) -> Iterator[Container]:
    """Yield the containers that run: sidecars (init containers with restartPolicy Always) first."""
    for container in pod.spec.init_containers:
        if container.restart_policy == "Always":
            yield container
    yield from pod.spec.containers
