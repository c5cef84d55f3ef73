"""The state machine: from the pods that should be here and what happened to them, to the next actions.

It is level-triggered: each call brings a pod's record up to date and then asks what is missing. Source: pkg/kubelet
(pod_workers.go, kuberuntime_manager.go `computePodActions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.kube.kubelet.action import (
    Action,
    ConfirmDeletion,
    ReportStatus,
    SetUpPod,
    StartContainer,
    StopContainer,
    TearDownPod,
)
from emulator.kube.kubelet.record import ContainerRecord, PodRecord, Sandbox, State, programs
from emulator.kube.kubelet.status import pod_status
from emulator.kube.ownership import key_of
from emulator.kube.reconciler import Moment

_ALIVE = {State.STARTING, State.RUNNING, State.STOPPING}


class Kubelet:
    """The pods of one node. Every method returns the actions that are now due, in order."""

    def __init__(self, node_name: str, host_ip: str) -> None:
        self.node_name = node_name
        self.host_ip = host_ip
        self._records: dict[str, PodRecord] = {}

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
                record = self._records[uid] = PodRecord(key_of(obj), pod, moment.wall)
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
        return self._advance(uid, record, moment)

    def container_exited(self, uid: str, name: str, exit_code: int, message: str, moment: Moment) -> list[Action]:
        """The program ended, or never came up; `message` tells why ("address already in use")."""
        record = self._records.get(uid)
        if record is None:
            return []
        record.containers[name].ended(exit_code, message, moment.wall, moment.monotonic)
        return self._advance(uid, record, moment)

    def tick(self, moment: Moment) -> list[Action]:
        """Do what has become due by time."""
        return [action for uid, record in list(self._records.items()) for action in self._advance(uid, record, moment)]

    def next_deadline(self) -> float | None:
        """Return the monotonic time at which `tick` is next wanted, or None."""
        return min(
            (
                container.retry_at
                for record in self._records.values()
                if not record.terminating
                for container in record.containers.values()
                if container.retry_at is not None and _restarts(record.pod, container)
            ),
            default=None,
        )

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
        return actions

    def _replace_containers(self, uid: str, record: PodRecord, pod: Pod) -> Iterator[Action]:
        """Stop the containers that the pod has another image for now; when they have ended, the new ones start."""
        for container in programs(pod):
            known = record.containers[container.name]
            if known.container != container and not record.terminating:
                known.container = container
                if known.state in {State.STARTING, State.RUNNING}:
                    known.state = State.STOPPING
                    yield StopContainer(uid, container.name, float(pod.spec.termination_grace_period_seconds))

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
        for container in record.containers.values():
            if container.state is State.WAITING:
                container.state = State.STARTING
                yield StartContainer(uid, record.pod, container.container, container.restart_count)
            elif _restarts(record.pod, container) and (container.retry_at or 0.0) <= moment.monotonic:
                container.restart()
                yield StartContainer(uid, record.pod, container.container, container.restart_count)

    def _end(self, uid: str, record: PodRecord) -> Iterator[Action]:
        grace = record.pod.metadata.deletion_grace_period_seconds
        if grace is None:
            grace = record.pod.spec.termination_grace_period_seconds
        for name, container in record.containers.items():
            if container.state in {State.STARTING, State.RUNNING}:
                container.state = State.STOPPING
                yield StopContainer(uid, name, 0.0 if record.deleted else float(grace))
        if any(container.state in _ALIVE for container in record.containers.values()):
            return
        if record.sandbox is Sandbox.SETTING_UP:
            return  # its answer comes, and brings us here again
        del self._records[uid]
        if record.sandbox is Sandbox.READY and not record.pod.spec.host_network:
            yield TearDownPod(uid, record.pod)
        if not record.deleted:
            yield ConfirmDeletion(record.key, uid)


def _is_as_before(record: PodRecord, obj: Object) -> bool:
    """Whether this version of the pod was taken already; one without a namespace yet is tried at every change."""
    version = obj["metadata"].get("resourceVersion")
    return bool(version) and version == record.pod.metadata.resource_version and not record.sandbox_message


def _restarts(pod: Pod, container: ContainerRecord) -> bool:
    if container.state is not State.TERMINATED:
        return False
    policy = container.container.restart_policy or pod.spec.restart_policy
    return policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)
