"""A pod's status as its kubelet writes it, from what it remembers.

Source: pkg/kubelet/kubelet_pods.go (`generateAPIPodStatus`, `getPhase`), pkg/kubelet/status/generate.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.api.objects.container import Container
from emulator.api.objects.meta import Condition, Object
from emulator.kube.kubelet.record import SERVES, ContainerRecord, PodRecord, Role, Sandbox, State
from emulator.kube.ownership import with_condition

PROBES_SKIPPED = "podwire.dev/ProbesSkipped"
"""Condition of pods with probes that nothing here can run: they count as passed."""
INIT_SKIPPED = "podwire.dev/InitContainersSkipped"
"""Condition of pods with init containers whose programs are not here: they count as completed."""

_OURS = {
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    PROBES_SKIPPED,
    INIT_SKIPPED,
}


def pod_status(record: PodRecord, host_ip: str, wall: str) -> Object:
    """Return the whole status of the pod."""
    status: Object = {
        "phase": _phase(record),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": record.start_time,
        "conditions": _conditions(record, wall=wall),
        "containerStatuses": [_container_status(container, record) for container in record.mains],
    }
    init = [_init_status(container, record) for container in record.pod.spec.init_containers]
    if init:
        status["initContainerStatuses"] = init
    if record.sandbox is Sandbox.READY:
        status["podIP"] = record.address
        status["podIPs"] = [{"ip": record.address}]
    return status


def _phase(record: PodRecord) -> str:
    mains = record.mains
    ran = [container.started_at or container.previous or container.state is State.TERMINATED for container in mains]
    if record.is_done:
        failed = not all(ran) or any(container.exit_code for container in mains)
        return "Failed" if failed else "Succeeded"
    if not record.initialized and not any(ran):
        return "Pending"
    return "Running" if all(ran) else "Pending"


def _conditions(record: PodRecord, *, wall: str) -> list[Object]:
    gates = {gate.condition_type for gate in record.pod.spec.readiness_gates}
    met = {condition.type for condition in record.pod.status.conditions if condition.status == "True"}
    counted = [container for container in record.containers.values() if container.role is not Role.INIT]
    not_ready = [container.container.name for container in counted if not container.ready]
    ready = not not_ready
    pod_ready = ready and gates <= met
    sandbox = record.sandbox is Sandbox.READY
    conditions = list(_before(record))
    why = {} if ready else _why_not_ready(record, not_ready)
    gated = {"reason": "ReadinessGatesNotReady", "message": _missing_gates(gates - met)} if ready else why
    for condition in (
        {"type": "PodReadyToStartContainers", "status": str(sandbox)},
        _initialized(record),
        {"type": "Ready", "status": str(pod_ready), **({} if pod_ready else gated)},
        {"type": "ContainersReady", "status": str(ready), **why},
        {"type": "PodScheduled", "status": "True"},
        *_notes(record),
    ):
        conditions = with_condition(conditions, condition, wall)
    return conditions


def _initialized(record: PodRecord) -> Object:
    missing = [
        container.container.name
        for container in record.containers.values()
        if (container.role is Role.INIT and not container.completed)
        or (container.role is Role.SIDECAR and not container.started)
    ]
    if record.initialized or not missing:
        return {"type": "Initialized", "status": "True"}
    message = f"containers with incomplete status: [{' '.join(missing)}]"
    return {"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized", "message": message}


def _why_not_ready(record: PodRecord, names: list[str]) -> Object:
    if record.is_done:
        return {"reason": f"Pod{'Completed' if _phase(record) == 'Succeeded' else 'Failed'}"}
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
    """Say what counts as passed because nothing here can run it."""
    for kind, names, what in (
        (PROBES_SKIPPED, record.skipped_probes, "probes that cannot run here count as passed"),
        (INIT_SKIPPED, record.skipped_init, "init containers that cannot run here count as completed"),
    ):
        if names:
            yield {"type": kind, "status": "True", "reason": "StandIn", "message": f"{what}: {', '.join(names)}"}


def _container_status(container: ContainerRecord, record: PodRecord) -> Object:
    status: Object = {
        "name": container.container.name,
        "image": container.container.image,
        "imageID": "",
        "ready": container.completed if container.role is Role.INIT else container.ready,
        "started": container.started,
        "restartCount": container.restart_count,
        "state": _state(container, record),
    }
    if container.state is State.TERMINATED and _in_backoff(container, record):
        last = (container.exit_code, container.message, container.started_at, container.finished_at)
        status["lastState"] = {"terminated": _terminated(*last)}
    elif container.previous is not None:
        status["lastState"] = {"terminated": _terminated(*container.previous)}
    return status


def _state(container: ContainerRecord, record: PodRecord) -> Object:
    if container.state in SERVES:
        return {"running": {"startedAt": container.started_at}}
    if container.state is State.TERMINATED:
        if _in_backoff(container, record):
            return {"waiting": {"reason": "CrashLoopBackOff", "message": _backoff_message(container, record)}}
        return {
            "terminated": _terminated(
                container.exit_code, container.message, container.started_at, container.finished_at
            )
        }
    if record.sandbox_message:
        return {"waiting": {"reason": "ContainerCreating", "message": record.sandbox_message}}
    waits_for_init = bool(record.pod.spec.init_containers) and not record.initialized
    return {"waiting": {"reason": "PodInitializing" if waits_for_init else "ContainerCreating"}}


def _backoff_message(container: ContainerRecord, record: PodRecord) -> str:
    """Return the kubelet's sentence, and why the container ended."""
    seconds = int(container.backoff / 2)
    text = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
    pod = f"{record.key.name}_{record.key.namespace}({record.pod.metadata.uid})"
    message = f"back-off {text} restarting failed container={container.container.name} pod={pod}"
    return f"{message}: {container.message}" if container.message else message


def _in_backoff(container: ContainerRecord, record: PodRecord) -> bool:
    return record.restarts(container) and container.restart_count > 0 and not record.terminating


def _terminated(exit_code: int, message: str, started_at: str, finished_at: str) -> Object:
    state: Object = {
        "exitCode": exit_code,
        "reason": "Error" if exit_code else "Completed",
        "startedAt": started_at or finished_at,
        "finishedAt": finished_at,
    }
    return state | ({"message": message} if message else {})


def _init_status(container: Container, record: PodRecord) -> Object:
    known = record.containers.get(container.name)
    if known is not None:
        return _container_status(known, record)
    return {
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": True,
        "started": False,
        "restartCount": 0,
        "state": {"terminated": _terminated(0, "counted as completed, not run", "", record.start_time)},
    }
