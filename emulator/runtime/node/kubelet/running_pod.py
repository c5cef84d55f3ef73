"""A pod whose namespace is there, and what its containers' programs are told of themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec
import trio
from msgspec import Struct, field

from emulator.api.app_annotation import app_of
from emulator.api.objects.container import Container as ContainerSpec
from emulator.api.objects.container import Probe
from emulator.api.objects.pod import Pod
from emulator.apps.directory import ServiceDirectory
from emulator.apps.environment import Command, Container, Program, ServicePorts
from emulator.apps.images import STAND_INS, can_pass, module_for, runs_to_its_end
from emulator.kernel.netns import Netns
from emulator.kube.kubelet.capabilities import Capabilities
from emulator.kube.kubelet.record import probes
from emulator.runtime.machine.containers import ContainerLog, RunningContainer
from emulator.runtime.machine.machine import Machine
from emulator.runtime.node.kubelet.health_probe import PortError, port_of
from emulator.runtime.node.kubelet.mounts import GetObject, MountedFiles
from emulator.runtime.node.kubelet.termination import Termination
from emulator.runtime.node.served_ports import PodPorts, ServedPorts
from emulator.runtime.sockets.network import NetnsNetwork


class PodHost(Struct, frozen=True):
    """What the pods of a node need of it."""

    node_name: str
    host_ip: str
    root: Netns
    cluster_dns: str
    nameservers: tuple[str, ...]
    """Of the node itself, for pods of dnsPolicy Default."""
    directory: ServiceDirectory | None
    get_object: GetObject
    find_program: Callable[[Container], Program]
    find_command: Callable[[str], Command | None]
    served_ports: ServedPorts | None = None


class RunningPod(Struct):
    """A pod and its containers, by name; of each the run that is there now, or was last."""

    pod: Pod
    address: str
    network: NetnsNetwork
    containers: dict[str, RunningContainer] = field(default_factory=dict)
    previous_logs: dict[str, ContainerLog] = field(default_factory=dict)
    terminations: dict[str, Termination] = field(default_factory=dict)
    closed: trio.Event = field(default_factory=trio.Event)

    @property
    def hostname(self) -> str:
        """The host name inside."""
        return self.pod.spec.hostname or self.pod.metadata.name


def capabilities() -> Capabilities:
    """What the built-in programs and commands can run of a pod."""

    def runs_probe(container: ContainerSpec, probe: Probe) -> bool:
        return can_pass(container.image, container.command, container.args, msgspec.to_builtins(probe))

    return Capabilities(
        runs_probe, lambda container: runs_to_its_end(container.image, container.command, container.args)
    )


def container_of(
    host: PodHost, machine: Machine, running: RunningPod, spec: ContainerSpec, task: RunningContainer
) -> Container:
    """Return what a container's program is told."""
    return Container(
        name=spec.name,
        image=spec.image,
        pod_name=running.hostname,
        namespace=running.pod.metadata.namespace,
        pod_ip=running.address,
        node_name=host.node_name,
        network=running.network,
        log=task.log.write,
        command=spec.command,
        args=spec.args,
        env=_environment(host, running, spec),
        ports=tuple((port.name, port.protocol, port.container_port) for port in spec.ports),
        probed_ports=tuple(_probed_ports(spec)),
        service_ports=_service_ports(host, running, spec),
        labels=running.pod.metadata.labels,
        directory=host.directory,
        read_file=MountedFiles(running.pod, spec, host.get_object).read,
        app=app_of(running.pod.metadata.annotations, [each.name for each in running.pod.spec.containers], spec.name),
        wall_clock=machine.wall_clock,
        on_terminate=task.on_terminate,
    )


def _probed_ports(spec: ContainerSpec) -> Iterator[tuple[int, bool]]:
    """The TCP ports that probes ask, and whether over TLS."""
    for _, _, probe in probes(spec):
        for action in (probe.http_get, probe.tcp_socket):
            if action is not None:
                with suppress(PortError):
                    yield port_of(action.port, spec), getattr(action, "scheme", "") == "HTTPS"


def _service_ports(host: PodHost, running: RunningPod, spec: ContainerSpec) -> ServicePorts | None:
    """The pod's ports that Services lead to, for its first container if no program of the pod knows ports by itself."""
    containers = running.pod.spec.containers
    if host.served_ports is None or spec.name != containers[0].name:
        return None
    modules = {module_for(each.image, each.command, each.args) for each in containers}
    metadata = running.pod.metadata
    return PodPorts(host.served_ports, (metadata.namespace, metadata.name)) if modules <= STAND_INS else None


def _environment(host: PodHost, running: RunningPod, spec: ContainerSpec) -> dict[str, str]:
    """The variables with plain values and with fields of the pod; ConfigMaps and Secrets are not read."""
    pod = running.pod
    fields = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": host.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name or "default",
        "status.hostIP": host.host_ip,
        "status.podIP": running.address,
    }
    environment = {"HOSTNAME": running.hostname}
    for variable in spec.env:
        source = variable.value_from
        if source is None:
            environment[variable.name] = variable.value
        elif source.field_ref is not None:
            environment[variable.name] = fields.get(source.field_ref.field_path, "")
    return environment
