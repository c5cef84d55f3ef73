"""Carries out what a node's kubelet decides: makes pods' namespaces, runs their programs, tells it what happened."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import trio

from emulator.api.app_annotation import app_of
from emulator.api.objects.container import Container as ContainerSpec
from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.apps.environment import Container, Program, ServiceDirectory
from emulator.errors import PodwireError
from emulator.kernel.netns import Netns
from emulator.kube.cni.bridge import BridgePlugin
from emulator.kube.dns import pod_hosts, pod_resolver
from emulator.kube.kubelet.action import (
    Action,
    ConfirmDeletion,
    ReportStatus,
    SetUpPod,
    StartContainer,
    StopContainer,
    TearDownPod,
)
from emulator.kube.kubelet.kubelet import Kubelet
from emulator.kube.reconciler import Moment
from emulator.runtime.machine import Machine
from emulator.runtime.node.containers import ContainerLog, Exit, RunningContainer, rfc3339
from emulator.runtime.node.mounts import GetObject, MountedFiles
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.sockets.resolver import ResolverSettings


@dataclass(frozen=True, slots=True)
class PodHost:
    """What the pods of a node need of it."""

    node_name: str
    host_ip: str
    root: Netns
    cluster_dns: str
    directory: ServiceDirectory | None
    get_object: GetObject
    find_program: Callable[[Container], Program]


@dataclass(slots=True)
class RunningPod:
    """A pod whose namespace is there."""

    pod: Pod
    address: str
    network: NetnsNetwork
    containers: dict[str, RunningContainer] = field(default_factory=dict)
    previous_logs: dict[str, ContainerLog] = field(default_factory=dict)
    closed: trio.Event = field(default_factory=trio.Event)


class PodRunner:
    """The pods of one node. `report` takes statuses and deletions for the cluster's store."""

    def __init__(
        self,
        machine: Machine,
        host: PodHost,
        plugin: BridgePlugin,
        log: logging.Logger,
        report: Callable[[ReportStatus | ConfirmDeletion], None],
    ) -> None:
        self.pods: dict[str, RunningPod] = {}
        self._machine = machine
        self._host = host
        self._plugin = plugin
        self._log = log
        self._report = report
        self._kubelet = Kubelet(host.node_name, host.host_ip)
        self._nursery: trio.Nursery | None = None
        self._rearm = trio.Event()
        self._actions: deque[Action] = deque()
        self._acting = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the programs' tasks, and wake the kubelet when something is due, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            while True:
                self._rearm = trio.Event()
                deadline = self._kubelet.next_deadline()
                with trio.move_on_at(math.inf if deadline is None else deadline):
                    await self._rearm.wait()
                    continue
                self._act(self._kubelet.tick(self._moment()))

    def sync(self, pods: Iterable[Object]) -> None:
        """Take the pods that should be here, all of them."""
        self._act(self._kubelet.sync(pods, self._moment()))

    def find(self, namespace: str, name: str) -> RunningPod | None:
        """Return a pod by its name; of two (one is being replaced) the younger."""
        found = None
        for running in self.pods.values():
            if (running.pod.metadata.namespace, running.pod.metadata.name) == (namespace, name):
                found = running
        return found

    def _moment(self) -> Moment:
        return Moment(
            rfc3339(self._machine.wall_clock()), trio.current_time(), self._machine.kernel.random.getrandbits(64)
        )

    def _act(self, actions: Iterable[Action]) -> None:
        """Do these and whatever follows from them, in order."""
        self._actions.extend(actions)
        self._rearm.set()
        if self._acting:
            return
        self._acting = True
        self._machine.enter()
        try:
            while self._actions:
                self._do(self._actions.popleft())
        finally:
            self._acting = False

    def _do(self, action: Action) -> None:
        match action:
            case SetUpPod():
                self._set_up(action)
            case StartContainer():
                self._start(action)
            case StopContainer():
                self._stop(action)
            case TearDownPod():
                self._tear_down(action)
            case ReportStatus() | ConfirmDeletion():
                if isinstance(action, ConfirmDeletion):
                    self._forget(action.uid)
                self._report(action)

    def _set_up(self, action: SetUpPod) -> None:
        metadata = action.pod.metadata
        try:
            netns, address = self._plugin.set_up_pod(action.uid, metadata.namespace, metadata.name, action.address)
        except PodwireError as error:
            self._actions.extend(self._kubelet.sandbox_failed(action.uid, str(error), self._moment()))
            return
        self._add(action.uid, action.pod, netns, address)
        self._actions.extend(self._kubelet.sandbox_ready(action.uid, address, self._moment()))

    def _add(self, uid: str, pod: Pod, netns: Netns, address: str) -> RunningPod:
        resolver = pod_resolver(pod, self._host.cluster_dns)
        settings = ResolverSettings(resolver.nameservers, resolver.search, resolver.ndots, pod_hosts(pod, address))
        running = self.pods[uid] = RunningPod(pod, address, NetnsNetwork(self._machine, netns, settings))
        return running

    def _tear_down(self, action: TearDownPod) -> None:
        self._forget(action.uid)
        self._plugin.tear_down_pod(action.uid)

    def _forget(self, uid: str) -> None:
        running = self.pods.pop(uid, None)
        if running is not None:
            running.closed.set()

    def _start(self, action: StartContainer) -> None:
        running = self.pods.get(action.uid)
        if running is None:  # a pod of the host's network has no set-up of its own
            running = self._add(action.uid, action.pod, self._host.root, self._host.host_ip)
        name = action.container.name
        before = running.containers.get(name)
        if before is not None:
            running.previous_logs[name] = before.log
        container_log = ContainerLog(self._machine.wall_clock)
        container = self._container(running, action.container, container_log)
        predecessor = None if before is not None else next(reversed(running.containers.values()), None)
        task = running.containers[name] = RunningContainer(container_log, predecessor)
        uid = action.uid
        assert self._nursery is not None
        self._nursery.start_soon(
            task.run,
            self._host.find_program(container),
            container,
            lambda: self._act(self._kubelet.container_started(uid, name, self._moment())),
            lambda ended: self._exited(uid, name, ended),
            self._log,
        )

    def _exited(self, uid: str, name: str, ended: Exit) -> None:
        self._act(self._kubelet.container_exited(uid, name, ended.status, ended.message, self._moment()))

    def _stop(self, action: StopContainer) -> None:
        running = self.pods.get(action.uid)
        if running is not None and action.name in running.containers:
            running.containers[action.name].stop()

    def _container(self, running: RunningPod, spec: ContainerSpec, container_log: ContainerLog) -> Container:
        metadata = running.pod.metadata
        return Container(
            name=spec.name,
            image=spec.image,
            pod_name=running.pod.spec.hostname or metadata.name,
            namespace=metadata.namespace,
            pod_ip=running.address,
            node_name=self._host.node_name,
            network=running.network,
            log=container_log.write,
            command=spec.command,
            args=spec.args,
            env=self._environment(running, spec),
            ports=tuple((port.name, port.protocol, port.container_port) for port in spec.ports),
            labels=metadata.labels,
            directory=self._host.directory,
            read_file=MountedFiles(running.pod, spec, self._host.get_object).read,
            app=app_of(metadata.annotations, [each.name for each in running.pod.spec.containers], spec.name),
            wall_clock=self._machine.wall_clock,
        )

    def _environment(self, running: RunningPod, spec: ContainerSpec) -> dict[str, str]:
        """The variables with plain values and with fields of the pod; ConfigMaps and Secrets are not read."""
        pod = running.pod
        fields = {
            "metadata.name": pod.metadata.name,
            "metadata.namespace": pod.metadata.namespace,
            "metadata.uid": pod.metadata.uid,
            "spec.nodeName": self._host.node_name,
            "spec.serviceAccountName": pod.spec.service_account_name or "default",
            "status.hostIP": self._host.host_ip,
            "status.podIP": running.address,
        }
        environment = {"HOSTNAME": pod.spec.hostname or pod.metadata.name}
        for variable in spec.env:
            source = variable.value_from
            if source is None:
                environment[variable.name] = variable.value
            elif source.field_ref is not None:
                environment[variable.name] = fields.get(source.field_ref.field_path, "")
        return environment
