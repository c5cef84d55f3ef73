"""One run of a probe of the kubelet: a request, a connection or a command, and what came of it.

Requests and connections leave from the node's own namespace, as the kubelet's do. Source: pkg/kubelet/prober
(prober.go), pkg/probe (http, tcp, exec).
"""

from __future__ import annotations

from typing import NamedTuple

import trio
from msgspec import Struct

from emulator.api.objects.container import Container, HttpGetAction, Probe, TcpSocketAction
from emulator.api.objects.meta import IntOrString
from emulator.kube.kubelet.prober import Outcome
from emulator.runtime.node.kubelet.built_in import CommandRunner
from emulator.runtime.node.kubelet.http_probe import FetchError, dial, fetch, url_of
from emulator.runtime.sockets.network import NetnsNetwork

AGENT = "kube-probe/1.34"
_LATE = 0.1
"""Seconds by which a timeout may come late. Later than that the node itself was held up: its pods are not to blame."""


class Target(Struct, frozen=True):
    """The container that is asked: `node` is where the kubelet's sockets are, `run` runs a command in the pod."""

    node: NetnsNetwork
    address: str
    container: Container
    run: CommandRunner


class Answer(NamedTuple):
    """What a probe found, and what the kubelet's event says of it."""

    outcome: Outcome
    message: str


async def run_probe(probe: Probe, target: Target) -> Answer:
    """Ask once, within the probe's timeout."""
    patience = float(probe.timeout_seconds or 1)
    deadline = trio.current_time() + patience
    answer = await _ask(probe, target, patience)
    if answer.outcome is Outcome.FAILURE and trio.current_time() > deadline + _LATE:
        return Answer(Outcome.ERROR, "")
    return answer


async def _ask(probe: Probe, target: Target, patience: float) -> Answer:
    try:
        if probe.http_get is not None:
            return await _ask_http(probe.http_get, target, patience)
        if probe.tcp_socket is not None:
            return await _ask_tcp(probe.tcp_socket, target, patience)
        if probe.exec is not None:
            return await _ask_command(probe.exec.command, target, patience)
    except PortError as error:
        return Answer(Outcome.ERROR, str(error))
    return Answer(Outcome.ERROR, "missing probe handler")


async def _ask_http(action: HttpGetAction, target: Target, patience: float) -> Answer:
    url = url_of(action, target.address, port_of(action.port, target.container))
    try:
        status, body = await fetch(target.node, url, action, AGENT, patience)
    except FetchError as error:
        return Answer(Outcome.FAILURE, f'Get "{url}": {error}')
    if 200 <= status < 300:
        return Answer(Outcome.SUCCESS, body)
    if 300 <= status < 400:
        return Answer(Outcome.WARNING, f"Probe terminated redirects, Response body: {body}")
    return Answer(Outcome.FAILURE, f"HTTP probe failed with statuscode: {status}")


async def _ask_tcp(action: TcpSocketAction, target: Target, patience: float) -> Answer:
    host, port = action.host or target.address, port_of(action.port, target.container)
    with trio.move_on_after(patience):
        try:
            stream = await dial(target.node, host, port)
        except FetchError as error:
            return Answer(Outcome.FAILURE, str(error))
        await stream.aclose()
        return Answer(Outcome.SUCCESS, "")
    return Answer(Outcome.FAILURE, f"dial tcp {host}:{port}: i/o timeout")


async def _ask_command(command: tuple[str, ...], target: Target, patience: float) -> Answer:
    with trio.move_on_after(patience):
        status, output = await target.run(command)
        return Answer(Outcome.SUCCESS if status == 0 else Outcome.FAILURE, output)
    return Answer(Outcome.FAILURE, f"command timed out: {' '.join(command)!r} timed out after {patience:g}s")


class PortError(ValueError):
    """A port name that the container does not declare."""


def port_of(port: IntOrString, container: Container) -> int:
    """Return the number of a port of a container. PortError for a name that it has not."""
    if isinstance(port, int):
        return port
    for declared in container.ports:
        if declared.name == port:
            return declared.container_port
    if port.isascii() and port.isdigit():
        return int(port)
    raise PortError(f'couldn\'t find port: "{port}" in container {container.name}')
