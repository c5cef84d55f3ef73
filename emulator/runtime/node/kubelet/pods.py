"""Carries out what a node's kubelet decides: makes pods' namespaces, runs their programs, tells it what happened."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import trio

from emulator.api.objects.container import Container as ContainerSpec
from emulator.api.objects.container import LifecycleHandler
from emulator.api.objects.meta import Object
from emulator.api.objects.pod import Pod
from emulator.errors import PodwireError
from emulator.kernel.netns import Netns
from emulator.kube.cni.bridge import BridgePlugin
from emulator.kube.dns import pod_hosts, pod_resolver
from emulator.kube.kubelet.action import (
    Action,
    ConfirmDeletion,
    ReportEvent,
    ReportStatus,
    RunProbe,
    SetUpPod,
    StartContainer,
    StopContainer,
    TearDownPod,
)
from emulator.kube.kubelet.kubelet import Kubelet
from emulator.kube.kubelet.prober import Outcome
from emulator.kube.reconciler import Key, Moment
from emulator.runtime.machine.containers import ContainerLog, Exit, RunningContainer, rfc3339
from emulator.runtime.machine.machine import Machine
from emulator.runtime.node.kubelet.built_in import run_built_in
from emulator.runtime.node.kubelet.container_owner import owner_of
from emulator.runtime.node.kubelet.health_probe import Target, run_probe
from emulator.runtime.node.kubelet.hooks import run_hook
from emulator.runtime.node.kubelet.running_pod import PodHost, RunningPod, capabilities, container_of, prepared
from emulator.runtime.node.kubelet.termination import Termination
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.sockets.resolver import ResolverSettings

if TYPE_CHECKING:
    from emulator.kube.cni.portmap import PortMapping


class PodRunner:
    """The pods of one node. `report` takes statuses and deletions for the cluster's store, `tell` events."""

    def __init__(
        self,
        machine: Machine,
        host: PodHost,
        plugin: BridgePlugin,
        log: logging.Logger,
        report: Callable[[ReportStatus | ConfirmDeletion], None],
        tell: Callable[[ReportEvent], None],
    ) -> None:
        self.pods: dict[str, RunningPod] = {}
        self._machine = machine
        self._host = host
        self._plugin = plugin
        self._log = log
        self._report = report
        self._tell = tell
        self._kubelet = Kubelet(host.node_name, host.host_ip, capabilities())
        hosts = {"localhost": "127.0.0.1", host.node_name: host.host_ip}
        self._root = NetnsNetwork(machine, host.root, ResolverSettings(host.nameservers, hosts=hosts))
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
            case RunProbe():
                self._spawn(self._probe, action)
            case TearDownPod():
                self._tear_down(action)
            case ReportEvent():
                self._tell(action)
            case ReportStatus() | ConfirmDeletion():
                if isinstance(action, ConfirmDeletion):
                    self._forget(action.uid)
                self._report(action)

    def _set_up(self, action: SetUpPod) -> None:
        metadata = action.pod.metadata
        try:
            netns, address = self._plugin.set_up_pod(
                action.uid, metadata.namespace, metadata.name, action.address, _host_ports(action.pod)
            )
        except PodwireError as error:
            self._actions.extend(self._kubelet.sandbox_failed(action.uid, str(error), self._moment()))
            return
        self._add(action.uid, action.pod, netns, address)
        self._actions.extend(self._kubelet.sandbox_ready(action.uid, address, self._moment()))

    def _add(self, uid: str, pod: Pod, netns: Netns, address: str) -> RunningPod:
        resolver = pod_resolver(pod, self._host.cluster_dns, self._host.nameservers)
        settings = ResolverSettings(
            resolver.nameservers, resolver.search, hosts=pod_hosts(pod, address), options=resolver.option_words
        )
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
        predecessor = None if before is not None else next(reversed(running.containers.values()), None)
        task = running.containers[name] = RunningContainer(ContainerLog(self._machine.wall_clock), predecessor)
        running.terminations.pop(name, None)
        container = container_of(self._host, self._machine, running, action.container, task)
        uid = action.uid
        self._spawn(
            task.run,
            prepared(self._host, running, action.container, partial(self._warn, uid, "Failed", container=name)),
            container,
            lambda: self._started(action, task),
            lambda ended: self._exited(uid, name, ended),
            self._log,
        )

    def _started(self, action: StartContainer, task: RunningContainer) -> None:
        lifecycle = action.container.lifecycle
        if lifecycle is None or lifecycle.post_start is None:
            self._act(self._kubelet.container_started(action.uid, action.container.name, self._moment()))
        else:
            self._spawn(self._post_start, action, task, lifecycle.post_start)

    async def _post_start(self, action: StartContainer, task: RunningContainer, hook: LifecycleHandler) -> None:
        """Run the hook; the container counts as running after it, and is killed where it fails."""
        failure = await self._run_hook(action.uid, action.container, hook)
        if task.ended.is_set():
            return
        if failure:
            self._warn(action.uid, "FailedPostStartHook", f"PostStartHook failed: {failure}", action.container.name)
            task.kill()
        else:
            self._act(self._kubelet.container_started(action.uid, action.container.name, self._moment()))

    def _exited(self, uid: str, name: str, ended: Exit) -> None:
        self._act(self._kubelet.container_exited(uid, name, ended.status, ended.message, self._moment()))

    def _stop(self, action: StopContainer) -> None:
        running = self.pods.get(action.uid)
        container = running.containers.get(action.name) if running is not None else None
        if running is None or container is None:
            return
        known = running.terminations.get(action.name)
        if known is not None:
            known.shorten(action.grace)
            return
        termination = running.terminations[action.name] = Termination(container, action.grace)
        after = [running.containers[name] for name in action.after if name in running.containers]
        hook = action.hook
        self._spawn(termination.run, None if hook is None else lambda: self._pre_stop(action, hook), after)

    async def _pre_stop(self, action: StopContainer, hook: LifecycleHandler) -> None:
        running = self.pods[action.uid]
        container = next(spec for spec in _specs(running.pod) if spec.name == action.name)
        failure = await self._run_hook(action.uid, container, hook)
        if failure:
            self._warn(action.uid, "FailedPreStopHook", f"PreStopHook failed: {failure}", action.name)

    async def _run_hook(self, uid: str, container: ContainerSpec, hook: LifecycleHandler) -> str:
        try:
            return await run_hook(hook, self._target(self.pods[uid], container))
        except Exception as error:
            self._log.error("a hook failed in itself", exc_info=error, extra={"container": container.name})
            return f"{type(error).__name__}: {error}"

    async def _probe(self, action: RunProbe) -> None:
        running = self.pods.get(action.uid)
        if running is None:
            return
        outcome, message = Outcome.ERROR, ""
        try:
            outcome, message = await run_probe(action.probe, self._target(running, action.container))
        except Exception as error:
            self._log.error("a probe failed in itself", exc_info=error, extra={"pod": running.pod.metadata.name})
        name, kind = action.container.name, action.kind
        self._act(self._kubelet.probed(action.uid, name, kind, action.restart_count, outcome, message, self._moment()))

    def _target(self, running: RunningPod, container: ContainerSpec) -> Target:
        def run(command: Iterable[str]) -> Awaitable[tuple[int, str]]:
            return run_built_in(
                tuple(command),
                self._host.find_command,
                running.network.owned_by(owner_of(running.pod, container)),
                running.hostname,
                self._machine.wall_clock,
                running.insides.get(container.name),
            )

        return Target(self._root, running.address, container, run)

    def _warn(self, uid: str, reason: str, message: str, container: str) -> None:
        running = self.pods.get(uid)
        if running is not None:
            metadata = running.pod.metadata
            key = Key("Pod", metadata.namespace, metadata.name)
            self._tell(ReportEvent(key, uid, reason, message, container, warning=True))

    def _spawn(self, act: Callable[..., Awaitable[object]], *args: object) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(act, *args)


def _host_ports(pod: Pod) -> list[PortMapping]:
    """Return the ports of the node that the pod's containers and sidecars ask for."""
    sidecars = [container for container in pod.spec.init_containers if container.restart_policy == "Always"]
    ports = [port for container in (*pod.spec.containers, *sidecars) for port in container.ports if port.host_port]
    if not ports:
        return []
    from emulator.kube.cni.portmap import PortMapping

    return [PortMapping(port.protocol, port.host_port, port.container_port, port.host_ip) for port in ports]


def _specs(pod: Pod) -> Iterable[ContainerSpec]:
    return (*pod.spec.init_containers, *pod.spec.containers)
