"""The word that names where something runs: a pod by its name or its workload's, a node, a host outside them."""

from __future__ import annotations

from typing import NamedTuple

import click

from emulator.api.kinds import Kind
from emulator.api.messages import (
    CONTROLLER_STATUS,
    GET,
    ControlError,
    Empty,
    ErrorCode,
    GetParams,
    HostOverview,
    ListParams,
    Object,
)
from emulator.api.problem import closest
from emulator.cli.client import Client
from emulator.cli.command import mistyped
from emulator.cli.lists import list_all
from emulator.cli.resources import kind_named
from emulator.cli.session import CLOUD

HOST = "host"
"""The word before the name of a host outside the nodes, which is no object."""


class Target(NamedTuple):
    """A pod and its node, or a node itself where `pod` is empty; `object` is the Pod or the Node.

    Of a host outside the nodes, `node` is the cloud, `pod` the host's name, and there is neither namespace nor object.
    """

    node: str
    namespace: str
    pod: str
    object: Object

    @property
    def label(self) -> str:
        """What messages call it."""
        if self.node == CLOUD:
            return f"host {self.pod}"
        return f"{self.namespace}/{self.pod}" if self.pod else f"node {self.node}"


def find_target(client: Client, word: str, namespace: str) -> Target:
    """Return what a word such as `client`, `pod/client`, `deploy/web`, `node/node-a` or `host/example.com` means.

    Raises UsageError for a node or host that there is not, ControlError for other objects that cannot be found.
    """
    kind_word, slash, name = word.rpartition("/")
    if kind_word == HOST and name:
        return Target(CLOUD, "", find_host(client, name).name, {})
    kind = kind_named(kind_word if slash else "pod")
    if not name:
        raise click.UsageError(f'"{word}": a name is missing behind the slash')
    if kind.kind == "Node":
        return _node(client, name)
    if kind.kind == "Pod":
        return _pod(client, name, namespace)
    return _pod_of(client, kind, name, namespace)


def find_host(client: Client, name: str) -> HostOverview:
    """Return a host outside the nodes, or a part of their network. Raises UsageError if there is none of that name."""
    hosts = {host.name: host for host in client.call(CONTROLLER_STATUS, Empty()).hosts}
    if not hosts:
        raise click.UsageError(f'there is no host "{name}": this cluster has nothing outside its nodes')
    if name not in hosts:
        raise mistyped(f'there is no host "{name}"; the hosts are: {", ".join(hosts)}', hosts, name)
    return hosts[name]


def _node(client: Client, name: str) -> Target:
    nodes = {node["metadata"]["name"]: node for node in list_all(client, ListParams(kind="Node")).items}
    if name not in nodes:
        raise mistyped(f'there is no node "{name}"; the nodes are: {", ".join(nodes)}', nodes, name)
    return Target(name, "", "", nodes[name])


def _pod(client: Client, name: str, namespace: str) -> Target:
    try:
        pod = client.call(GET, GetParams(kind="Pod", name=name, namespace=namespace)).object
    except ControlError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        raise ControlError(error.code, f"{error.message}{_hint(client, name, namespace)}") from None
    return _scheduled(pod)


def _hint(client: Client, name: str, namespace: str) -> str:
    """Return what the user may have meant by the name of a pod that there is not."""
    pods = list_all(client, ListParams(kind="Pod")).items
    elsewhere = sorted(pod["metadata"]["namespace"] for pod in pods if pod["metadata"]["name"] == name)
    if elsewhere:
        return f" in namespace {namespace}; it is in {elsewhere[0]}: add -n {elsewhere[0]}"
    for kind, short in (("Node", "node"), ("Deployment", "deploy")):
        found = list_all(client, ListParams(kind=kind, namespace=namespace if kind != "Node" else None)).items
        if any(obj["metadata"]["name"] == name for obj in found):
            return f"; did you mean {short}/{name}?"
    names = [pod["metadata"]["name"] for pod in pods if pod["metadata"]["namespace"] == namespace]
    close = closest(name, names)
    return f"; did you mean {close}?" if close else f"; see: emulator get pods -n {namespace}"


def _pod_of(client: Client, kind: Kind, name: str, namespace: str) -> Target:
    """Return a pod of a workload or Service: one that is ready, where there is one."""
    spec = client.call(GET, GetParams(kind=kind.key, name=name, namespace=namespace)).object.get("spec", {})
    selector = spec.get("selector") or {}
    if kind.kind not in ("Service", "ReplicationController"):
        selector = selector.get("matchLabels") or {}
    if not selector:
        raise ControlError(ErrorCode.INVALID, f"{kind.described(name)} selects no pods; name a pod instead")
    labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    pods = list_all(client, ListParams(kind="Pod", namespace=namespace, label_selector=labels)).items
    running = [pod for pod in pods if pod.get("spec", {}).get("nodeName") and not _leaving(pod)]
    if not running:
        raise ControlError(ErrorCode.UNAVAILABLE, f"{kind.described(name)} has no pod that runs; see: emulator status")
    return _scheduled(min(running, key=lambda pod: (not is_ready(pod), pod["metadata"]["name"])))


def is_ready(obj: Object) -> bool:
    """Whether the condition `Ready` of a Pod or Node is True."""
    conditions = obj.get("status", {}).get("conditions") or ()
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)


def _leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _scheduled(pod: Object) -> Target:
    metadata = pod["metadata"]
    node = pod.get("spec", {}).get("nodeName", "")
    if not node:
        message = f'pod "{metadata["name"]}" is on no node yet; see why with: emulator describe pod {metadata["name"]}'
        raise ControlError(ErrorCode.UNAVAILABLE, message)
    return Target(node, metadata.get("namespace", ""), metadata["name"], pod)
