"""A pod whose namespace is there, and what its containers' programs are told of themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

import msgspec
import trio
from msgspec import Struct, field
from msgspec.structs import replace

from emulator.api.app_annotation import app_of
from emulator.api.objects.container import Container as ContainerSpec
from emulator.api.objects.container import Probe
from emulator.api.objects.pod import Pod
from emulator.apps.directory import ServiceDirectory
from emulator.apps.environment import Command, Container, Program, ServicePorts
from emulator.apps.filesystem import Files, Tree
from emulator.apps.images import STAND_INS, can_pass, is_stand_in, module_for, runs_to_its_end
from emulator.kernel.netns import Netns
from emulator.kube.kubelet.capabilities import Capabilities
from emulator.kube.kubelet.record import probes
from emulator.runtime.machine.containers import ContainerLog, RunningContainer
from emulator.runtime.machine.inside import PATH, Inside
from emulator.runtime.machine.machine import Machine
from emulator.runtime.node.kubelet.container_owner import owner_of
from emulator.runtime.node.kubelet.environment import (
    EnvironmentMaker,
    MissingReferenceError,
    expand,
)
from emulator.runtime.node.kubelet.health_probe import PortError, port_of
from emulator.runtime.node.kubelet.mounts import GetObject, mounts_of
from emulator.runtime.node.kubelet.pod_fields import pod_field
from emulator.runtime.node.kubelet.termination import Termination
from emulator.runtime.node.served_ports import PodPorts, ServedPorts
from emulator.runtime.sockets.network import NetnsNetwork

_LOOK_AGAIN = 10.0
"""Seconds until a container whose variables refer to something that is not there is tried again."""


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
    service_links: Callable[[str], Mapping[str, str]] = lambda _namespace: {}
    """The variables that tell containers of a namespace's Services."""


class RunningPod(Struct):
    """A pod and its containers, by name; of each the run that is there now, or was last."""

    pod: Pod
    address: str
    network: NetnsNetwork
    containers: dict[str, RunningContainer] = field(default_factory=dict)
    previous_logs: dict[str, ContainerLog] = field(default_factory=dict)
    terminations: dict[str, Termination] = field(default_factory=dict)
    closed: trio.Event = field(default_factory=trio.Event)
    volumes: dict[str, Tree] = {}
    """Those that can be written, by name; all containers share them."""
    insides: dict[str, Inside] = {}
    """What each container's commands see, by its name."""

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
    """Return what a container's program is told, but for the variables that take time (see `prepared`)."""
    fields = _fields(host, running)
    mounts = mounts_of(running.pod, spec, running.volumes, host.get_object, fields)
    files = Files(running.network, running.hostname, mounts, machine.wall_clock)
    environ = {"PATH": PATH, "HOME": "/root", "HOSTNAME": running.hostname}
    owner = owner_of(running.pod, spec)
    running.insides[spec.name] = Inside(environ, files, spec.working_dir or "/", owner)
    return Container(
        name=spec.name,
        image=spec.image,
        pod_name=running.hostname,
        namespace=running.pod.metadata.namespace,
        pod_ip=running.address,
        node_name=host.node_name,
        network=running.network.owned_by(owner),
        log=task.log.write,
        command=spec.command,
        args=spec.args,
        env=running.insides[spec.name].environ,
        ports=tuple((port.name, port.protocol, port.container_port) for port in spec.ports),
        probed_ports=tuple(_probed_ports(spec)),
        service_ports=_service_ports(host, running, spec),
        labels=running.pod.metadata.labels,
        directory=host.directory,
        read_file=partial(_text_of, files),
        files=files,
        working_dir=spec.working_dir or "/",
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
    if not modules <= STAND_INS:
        return None
    metadata = running.pod.metadata
    return PodPorts(host.served_ports, (metadata.namespace, metadata.name), _taken(containers[1:]))


def _taken(others: Iterable[ContainerSpec]) -> frozenset[tuple[str, int]]:
    """The ports that other containers of the pod bind, perhaps later."""
    declared = {(port.protocol, port.container_port) for container in others for port in container.ports}
    return frozenset(declared | {("TCP", port) for container in others for port, _ in _probed_ports(container)})


def _fields(host: PodHost, running: RunningPod) -> Callable[[str], str]:
    """Return what gives the pod's fields by their path."""
    return partial(pod_field, running.pod, node_name=host.node_name, host_ip=host.host_ip, address=running.address)


async def _text_of(files: Files, path: str) -> str | None:
    """Return the text of a file, None if there is none."""
    try:
        return (await files.read(path)).decode("utf-8", "replace")
    except OSError:
        return None


def prepared(host: PodHost, running: RunningPod, spec: ContainerSpec, warn: Callable[[str], None]) -> Program:
    """Return the program of a container, which starts once all is there that its variables refer to.

    As the kubelet does, it tells of what is missing and looks again. What stands in for a program reads none and
    does without: in a real cluster others, which are not run here either, may make what is missing.
    """

    async def main(container: Container, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
        metadata = running.pod.metadata
        maker = EnvironmentMaker(metadata.namespace, running.hostname, host.get_object, _fields(host, running))
        links = host.service_links(metadata.namespace) if running.pod.spec.enable_service_links else {}
        environ: Mapping[str, str] | None = None
        while environ is None:
            try:
                environ = await maker.make(spec, links)
            except MissingReferenceError as error:
                if not container.app and is_stand_in(container.image, container.command, container.args):
                    warn(f"{error}; what stands in for the container starts without it")
                    environ = await maker.make(spec, links, strict=False)
                    break
                warn(f"Error: {error}")
                await trio.sleep(_LOOK_AGAIN)
        running.insides[spec.name] = running.insides[spec.name]._replace(
            environ=environ, directory=container.working_dir
        )
        ready = replace(
            container,
            env=environ,
            command=tuple(expand(word, environ) for word in spec.command),
            args=tuple(expand(word, environ) for word in spec.args),
        )
        return await host.find_program(ready)(ready, task_status=task_status)

    return main
