"""A pod's status as its kubelet writes it, from what it remembers.

Source: pkg/kubelet/kubelet_pods.go (`generateAPIPodStatus`, `getPhase`), pkg/kubelet/status/generate.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.api.objects.container import Container, Probe
from emulator.api.objects.meta import Condition, Object
from emulator.kube.kubelet.record import ContainerRecord, PodRecord, Sandbox, State
from emulator.kube.ownership import with_condition

PROBES_SKIPPED = "podwire.dev/ProbesSkipped"
"""Condition of pods with probes: they count as passed, since none is run."""
INIT_SKIPPED = "podwire.dev/InitContainersSkipped"
"""Condition of pods with init containers: they count as completed, since their images' programs are not here."""

_OURS = {
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    PROBES_SKIPPED,
    INIT_SKIPPED,
}
_SERVES = {State.RUNNING, State.STOPPING}
"""A container that is being stopped still serves: its endpoints are terminating, not gone."""


def pod_status(record: PodRecord, host_ip: str, wall: str) -> Object:
    """Return the whole status of the pod."""
    running = [container for container in record.containers.values() if container.state in _SERVES]
    ready = len(running) == len(record.containers)
    status: Object = {
        "phase": _phase(record),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": record.start_time,
        "conditions": _conditions(record, ready=ready, wall=wall),
        "containerStatuses": [
            _container_status(container, record)
            for container in record.containers.values()
            if container.container.restart_policy == ""
        ],
    }
    init = list(_init_statuses(record))
    if init:
        status["initContainerStatuses"] = init
    if record.sandbox is Sandbox.READY:
        status["podIP"] = record.address
        status["podIPs"] = [{"ip": record.address}]
    return status


def _phase(record: PodRecord) -> str:
    containers = list(record.containers.values())
    if any(container.state in _SERVES for container in containers):
        return "Running"
    policy = record.pod.spec.restart_policy
    if containers and all(container.state is State.TERMINATED for container in containers):
        failed = any(container.exit_code for container in containers)
        if policy == "Never" or (policy == "OnFailure" and not failed):
            return "Failed" if failed else "Succeeded"
        return "Running"
    restarted = any(container.restart_count or container.state is State.TERMINATED for container in containers)
    return "Running" if restarted else "Pending"


def _conditions(record: PodRecord, *, ready: bool, wall: str) -> list[Object]:
    gates = {gate.condition_type for gate in record.pod.spec.readiness_gates}
    met = {condition.type for condition in record.pod.status.conditions if condition.status == "True"}
    pod_ready = ready and gates <= met
    sandbox = record.sandbox is Sandbox.READY
    conditions = list(_before(record))
    not_ready = [name for name, container in record.containers.items() if container.state not in _SERVES]
    why = {} if ready else _why_not_ready(record, not_ready)
    gated = {"reason": "ReadinessGatesNotReady", "message": _missing_gates(gates - met)} if ready else why
    for condition in (
        {"type": "PodReadyToStartContainers", "status": str(sandbox)},
        {"type": "Initialized", "status": "True"},
        {"type": "Ready", "status": str(pod_ready), **({} if pod_ready else gated)},
        {"type": "ContainersReady", "status": str(ready), **why},
        {"type": "PodScheduled", "status": "True"},
        *_notes(record),
    ):
        conditions = with_condition(conditions, condition, wall)
    return conditions


def _why_not_ready(record: PodRecord, names: list[str]) -> Object:
    if _phase(record) == "Succeeded":
        return {"reason": "PodCompleted"}
    return {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(names)}]"}


def _missing_gates(gates: set[str]) -> str:
    return ", ".join(f'the status of pod readiness gate "{gate}" is not "True", but False' for gate in sorted(gates))


def _before(record: PodRecord) -> Iterable[Object]:
    """Return the conditions as they stand: our own as last reported, which the stored object may lag behind."""
    reported = {entry["type"]: entry for entry in record.reported["conditions"]} if record.reported else {}
    stored = {condition.type: _plain(condition) for condition in record.pod.status.conditions}
    ours = {kind: entry for kind, entry in reported.items() if kind in _OURS}
    return (stored | ours).values()


def _plain(condition: Condition) -> Object:
    plain = {"type": condition.type, "status": condition.status}
    optional = {
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": condition.last_transition_time or "",
    }
    return plain | {name: value for name, value in optional.items() if value}


def _notes(record: PodRecord) -> Iterable[Object]:
    """Say what counts as passed because nothing here runs it."""
    skipped = [
        f"{name} {text}" for name, container in record.containers.items() for text in _probes(container.container)
    ]
    if skipped:
        yield {
            "type": PROBES_SKIPPED,
            "status": "True",
            "reason": "NotBuiltYet",
            "message": "probes are not run and count as passed: " + ", ".join(skipped),
        }
    init = [container.name for container in record.pod.spec.init_containers if not container.restart_policy]
    if init:
        yield {
            "type": INIT_SKIPPED,
            "status": "True",
            "reason": "NotBuiltYet",
            "message": "init containers are not run and count as completed: " + ", ".join(init),
        }


def _probes(container: Container) -> Iterable[str]:
    probes: tuple[tuple[str, Probe | None], ...] = (
        ("readinessProbe", container.readiness_probe),
        ("livenessProbe", container.liveness_probe),
        ("startupProbe", container.startup_probe),
    )
    return [name for name, probe in probes if probe is not None]


def _container_status(container: ContainerRecord, record: PodRecord) -> Object:
    running = container.state in _SERVES
    status: Object = {
        "name": container.container.name,
        "image": container.container.image,
        "imageID": "",
        "ready": running,
        "started": running,
        "restartCount": container.restart_count,
        "state": _state(container, record),
    }
    if container.previous is not None:
        status["lastState"] = {"terminated": _terminated(*container.previous)}
    elif container.state is State.TERMINATED and _in_backoff(container, record):
        last = (container.exit_code, container.message, container.started_at, container.finished_at)
        status["lastState"] = {"terminated": _terminated(*last)}
    return status


def _state(container: ContainerRecord, record: PodRecord) -> Object:
    if container.state in _SERVES:
        return {"running": {"startedAt": container.started_at}}
    if container.state is State.TERMINATED:
        if _in_backoff(container, record):
            message = f"back-off {container.backoff / 2:g}s restarting failed container={container.container.name}"
            return {
                "waiting": {"reason": "CrashLoopBackOff", "message": f"{message}: {container.message}".rstrip(": ")}
            }
        return {
            "terminated": _terminated(
                container.exit_code, container.message, container.started_at, container.finished_at
            )
        }
    if record.sandbox_message:
        return {"waiting": {"reason": "ContainerCreating", "message": record.sandbox_message}}
    return {"waiting": {"reason": "ContainerCreating"}}


def _in_backoff(container: ContainerRecord, record: PodRecord) -> bool:
    policy = record.pod.spec.restart_policy
    restarts = policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)
    return restarts and container.restart_count > 0


def _terminated(exit_code: int, message: str, started_at: str, finished_at: str) -> Object:
    state: Object = {
        "exitCode": exit_code,
        "reason": "Error" if exit_code else "Completed",
        "startedAt": started_at or finished_at,
        "finishedAt": finished_at,
    }
    return state | ({"message": message} if message else {})


def _init_statuses(record: PodRecord) -> Iterable[Object]:
    for container in record.pod.spec.init_containers:
        if container.restart_policy == "Always":
            yield _container_status(record.containers[container.name], record)
        else:
            yield {
                "name": container.name,
                "image": container.image,
                "imageID": "",
                "ready": True,
                "started": False,
                "restartCount": 0,
                "state": {"terminated": _terminated(0, "counted as completed, not run", "", record.start_time)},
            }
