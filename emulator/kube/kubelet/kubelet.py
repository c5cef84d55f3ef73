"""The state machine: from the pods that should be here and what happened to them, to the next actions.

It is level-triggered: each call brings a pod's record up to date and then asks what is missing. Source: pkg/kubelet
(pod_workers.go, kuberuntime_manager.go `computePodActions`, kuberuntime_container.go `killContainer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emulator.api.objects.container import LifecycleHandler
from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.kube.kubelet.action import (
    Action,
    ConfirmDeletion,
    ReportEvent,
    ReportStatus,
    SetUpPod,
    StartContainer,
    StopContainer,
    TearDownPod,
)
from emulator.kube.kubelet.capabilities import EVERYTHING, Capabilities
from emulator.kube.kubelet.deadlines import Deadlines
from emulator.kube.kubelet.prober import Outcome, ProbeKind
from emulator.kube.kubelet.probing import Prober
from emulator.kube.kubelet.record import ALIVE, ContainerRecord, PodRecord, Role, Sandbox, State, programs
from emulator.kube.kubelet.status import pod_status
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import Moment


class Kubelet:
    """The pods of one node. Every method returns the actions that are now due, in order."""

    def __init__(self, node_name: str, host_ip: str, capabilities: Capabilities = EVERYTHING) -> None:
        self.node_name = node_name
        self.host_ip = host_ip
        self._capabilities = capabilities
        self._records: dict[str, PodRecord] = {}
        self._deadlines = Deadlines()
        self._prober = Prober(capabilities)

    def sync(self, pods: Iterable[Object], moment: Moment) -> list[Action]:
        """Take the pods that the cluster has bound to this node, all of them; those that are as before cost nothing."""
        actions: list[Action] = []
        seen = set()
        for obj in pods:
            uid = obj["metadata"]["uid"]
            seen.add(uid)
            record = self._records.get(uid)
            if record is not None and _is_as_before(record, obj):
                continue
            pod = view(obj, Pod)
            if record is None:
                record = self._records[uid] = self._new_record(obj, pod, moment)
            actions += self._replace_containers(uid, record, pod)
            record.pod = pod
            record.sandbox_message = ""  # what stood in the way may be gone: it is tried again
            actions += self._advance(uid, record, moment)
        for uid in [uid for uid in self._records if uid not in seen]:
            record = self._records[uid]
            record.deleted = True
            actions += self._advance(uid, record, moment)
        return actions

    def sandbox_ready(self, uid: str, address: str, moment: Moment) -> list[Action]:
        """The pod's namespace is there and has this address."""
        return self._update_sandbox(uid, Sandbox.READY, address, "", moment)

    def sandbox_failed(self, uid: str, message: str, moment: Moment) -> list[Action]:
        """The pod's namespace could not be made; the message shows in the pod's status."""
        return self._update_sandbox(uid, Sandbox.ABSENT, "", message, moment)

    def container_started(self, uid: str, name: str, moment: Moment) -> list[Action]:
        """The program runs and has bound its ports."""
        record = self._records.get(uid)
        if record is None:
            return []
        container = record.containers[name]
        if container.state is State.STARTING:
            container.state = State.RUNNING
        container.started_at, container.started_monotonic = moment.wall, moment.monotonic
        actions = list(self._prober.on_started(uid, record, container, moment.monotonic))
        if container.restart_count:  # the first start goes without saying: it would cost a write for each container
            actions.append(ReportEvent(record.key, uid, "Started", f"Started container {name}", name))
        return actions + self._advance(uid, record, moment)

    def container_exited(self, uid: str, name: str, exit_code: int, message: str, moment: Moment) -> list[Action]:
        """The program ended, or never came up; `message` tells why ("address already in use")."""
        record = self._records.get(uid)
        if record is None:
            return []
        container = record.containers[name]
        container.ended(exit_code, message, moment.wall, moment.monotonic)
        actions: list[Action] = []
        if not record.terminating and record.restarts(container) and (container.retry_at or 0.0) > moment.monotonic:
            text = f"Back-off restarting failed container {name} in pod {_described(uid, record)}"
            actions.append(ReportEvent(record.key, uid, "BackOff", text, name, warning=True))
        return actions + self._advance(uid, record, moment)

    def probed(
        self, uid: str, name: str, kind: ProbeKind, restart_count: int, outcome: Outcome, message: str, moment: Moment
    ) -> list[Action]:
        """A probe was answered, or was not; `message` is what the kubelet's event says of it."""
        record = self._records.get(uid)
        container = record.containers.get(name) if record is not None else None
        if record is None or container is None or container.restart_count != restart_count:
            return []
        before = (container.started, container.ready)
        actions, failed = self._prober.take(uid, record, container, kind, outcome, message, moment.monotonic)
        if failed and container.state is State.RUNNING and not record.terminating:
            actions += self._kill(uid, record, container, kind)
        if failed or before != (container.started, container.ready):
            return actions + self._advance(uid, record, moment)
        self._arm(uid, record)
        return actions

    def tick(self, moment: Moment) -> list[Action]:
        """Do what has become due by time."""
        actions: list[Action] = []
        for uid in self._deadlines.take_due(moment.monotonic):
            record = self._records[uid]
            actions += self._prober.tick(uid, record, moment.monotonic)
            retry = _next_retry(record)
            if retry is not None and retry <= moment.monotonic:
                actions += self._advance(uid, record, moment)
            else:
                self._arm(uid, record)
        return actions

    def next_deadline(self) -> float | None:
        """Return the monotonic time at which `tick` is next wanted, or None."""
        return self._deadlines.next()

    def _new_record(self, obj: Object, pod: Pod, moment: Moment) -> PodRecord:
        record = PodRecord(key_of(obj), pod, moment.wall)
        before = {
            status.name: status for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
        }
        for container, role in programs(pod):
            if role is Role.INIT and not self._capabilities.runs_init(container):
                record.skipped_init.append(container.name)
            else:
                entry = ContainerRecord(container, role, before.get(container.name))
                record.containers[container.name] = entry
                self._prober.add(record, entry, moment)
        return record

    def _update_sandbox(self, uid: str, sandbox: Sandbox, address: str, message: str, moment: Moment) -> list[Action]:
        record = self._records.get(uid)
        if record is None:
            return []
        record.sandbox, record.address, record.sandbox_message = sandbox, address, message
        return self._advance(uid, record, moment)

    def _advance(self, uid: str, record: PodRecord, moment: Moment) -> list[Action]:
        actions = list(self._end(uid, record) if record.terminating else self._bring_up(uid, record, moment))
        if uid in self._records and not record.deleted:
            status = pod_status(record, self.host_ip, moment.wall)
            if status != record.reported:
                record.reported = status
                actions.append(ReportStatus(record.key, uid, status))
        self._arm(uid, record)
        return actions

    def _arm(self, uid: str, record: PodRecord) -> None:
        """Note when the pod wants to be looked at next."""
        if uid not in self._records:
            self._deadlines.set(uid, None)
            return
        times = [time for time in (self._prober.next_tick(record), _next_retry(record)) if time is not None]
        self._deadlines.set(uid, min(times, default=None))

    def _replace_containers(self, uid: str, record: PodRecord, pod: Pod) -> Iterator[Action]:
        """Stop the containers that the pod has another image for now; when they have ended, the new ones start."""
        for container, _ in programs(pod):
            known = record.containers.get(container.name)
            if known is not None and known.container != container and not record.terminating:
                known.container = container
                if known.state in {State.STARTING, State.RUNNING}:
                    text = f"Container {container.name} definition changed, will be restarted"
                    yield ReportEvent(record.key, uid, "Killing", text, container.name)
                    yield self._stop(uid, known, float(pod.spec.termination_grace_period_seconds))

    def _bring_up(self, uid: str, record: PodRecord, moment: Moment) -> Iterator[Action]:
        if record.sandbox is Sandbox.ABSENT:
            if record.sandbox_message:
                return
            if record.pod.spec.host_network:
                record.sandbox, record.address = Sandbox.READY, self.host_ip
            else:
                record.sandbox = Sandbox.SETTING_UP
                yield SetUpPod(uid, record.pod, record.address)
                return
        if record.sandbox is not Sandbox.READY:
            return
        if record.is_done:
            yield from self._end_sidecars(uid, record)
            return
        for container in record.containers.values():
            if container.state is State.WAITING:
                container.state = State.STARTING
                yield StartContainer(uid, record.pod, container.container, container.restart_count)
            elif record.restarts(container) and (container.retry_at or 0.0) <= moment.monotonic:
                container.restart()
                yield StartContainer(uid, record.pod, container.container, container.restart_count)
            if not record.initialized and not _lets_next_start(container):
                return
        record.initialized = True

    def _end_sidecars(self, uid: str, record: PodRecord) -> Iterator[Action]:
        """What only served the main containers ends after them."""
        for container in record.containers.values():
            if container.role is Role.SIDECAR and container.state in {State.STARTING, State.RUNNING}:
                yield self._stop(uid, container, float(record.pod.spec.termination_grace_period_seconds), record)

    def _end(self, uid: str, record: PodRecord) -> Iterator[Action]:
        grace = record.pod.metadata.deletion_grace_period_seconds
        if grace is None:
            grace = record.pod.spec.termination_grace_period_seconds
        given = 0.0 if record.deleted else float(grace)
        for name, container in record.containers.items():
            if container.state in {State.STARTING, State.RUNNING}:
                yield ReportEvent(record.key, uid, "Killing", f"Stopping container {name}", name)
                yield self._stop(uid, container, given, record)
            elif container.state is State.STOPPING and given < container.grace:
                yield self._stop(uid, container, given, record)
        if any(container.state in ALIVE for container in record.containers.values()):
            return
        if record.sandbox is Sandbox.SETTING_UP:
            return  # its answer comes, and brings us here again
        del self._records[uid]
        if record.sandbox is Sandbox.READY and not record.pod.spec.host_network:
            yield TearDownPod(uid, record.pod)
        if not record.deleted:
            yield ConfirmDeletion(record.key, uid)

    def _kill(self, uid: str, record: PodRecord, container: ContainerRecord, kind: ProbeKind) -> Iterator[Action]:
        """End a container whose probe has failed too often, with the probe's own grace period if it has one."""
        probe = container.workers[kind].probe
        grace = probe.termination_grace_period_seconds
        if grace is None:
            grace = record.pod.spec.termination_grace_period_seconds
        text = f"Container {container.container.name} failed {kind.value.lower()} probe"
        if container.role is Role.SIDECAR or record.pod.spec.restart_policy != "Never":
            text += ", will be restarted"
        yield ReportEvent(record.key, uid, "Killing", text, container.container.name)
        yield self._stop(uid, container, float(grace))

    @staticmethod
    def _stop(uid: str, container: ContainerRecord, grace: float, ordered: PodRecord | None = None) -> StopContainer:
        """Have a container end; with `ordered`, sidecars in turn: after the main containers, the last one first."""
        lifecycle = container.container.lifecycle
        hook: LifecycleHandler | None = None
        if lifecycle is not None and container.state is not State.STARTING and grace > 0:
            hook = lifecycle.pre_stop
        after: tuple[str, ...] = ()
        if ordered is not None and container.role is Role.SIDECAR:
            names = list(ordered.containers)
            after = tuple(names[names.index(container.container.name) + 1 :])
        container.state, container.grace = State.STOPPING, grace
        return StopContainer(uid, container.container.name, grace, hook, after)


def _lets_next_start(container: ContainerRecord) -> bool:
    match container.role:
        case Role.INIT:
            return container.completed
        case Role.SIDECAR:
            return container.started
        case Role.MAIN:
            return True


def _next_retry(record: PodRecord) -> float | None:
    """Return when an ended container may start again, of those that will."""
    if record.terminating:
        return None
    return min(
        (
            container.retry_at
            for container in record.containers.values()
            if container.retry_at is not None and record.restarts(container)
        ),
        default=None,
    )


def _is_as_before(record: PodRecord, obj: Object) -> bool:
    """Whether this version of the pod was taken already; one without a namespace yet is tried at every change."""
    version = obj["metadata"].get("resourceVersion")
    return bool(version) and version == record.pod.metadata.resource_version and not record.sandbox_message


def _described(uid: str, record: PodRecord) -> str:
    return f"{record.key.name}_{record.key.namespace}({uid})"
