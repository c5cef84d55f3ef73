"""The page that tells a newcomer what runs and what to try; `status` prints it, and `start` once all is ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import click

from emulator.api.ages import human_duration
from emulator.api.messages import ClusterOverview, NotReady, Object, ProcessStatus, SupervisorStatusResult
from emulator.api.pod_status import summarize
from emulator.api.problem import printable
from emulator.cli.output import Table
from emulator.cli.session import CLOUD

SYSTEM_NAMESPACES = frozenset({"kube-node-lease", "kube-public", "kube-system"})
MOST_ROWS = 20
"""Longer tables are cut: `get` shows them whole."""

_RULES = {"iptables": "iptables-save -t nat", "ipvs": "ipvsadm -Ln", "nftables": "nft list table ip kube-proxy"}
"""What shows a node's Services, by the mode of kube-proxy."""

_TOOL_IMAGES = ("curl", "busybox", "alpine", "netshoot", "toolbox", "debug")


class Snapshot(NamedTuple):
    """What the page is made of: the controller's view (None while it is away), pods, and the processes."""

    overview: ClusterOverview | None
    pods: Sequence[Object]
    supervisor: SupervisorStatusResult
    program: str = "emulator"
    """How the user calls the command for this cluster, its global options included."""


def page(snapshot: Snapshot) -> list[str]:
    """Return the lines of the page."""
    overview = snapshot.overview
    if overview is None:
        return [_title(snapshot), "", *_processes(snapshot.supervisor.processes)]
    lines = [_title(snapshot), "", *_nodes(overview, snapshot.supervisor.processes)]
    lines += _outside(overview, snapshot.supervisor.processes)
    lines += _section(_services(overview), "get services -A", snapshot.program)
    lines += _section(_workloads(overview), "get deployments,statefulsets,daemonsets -A", snapshot.program)
    lines += _section(_pods(snapshot.pods), "get pods -A -o wide", snapshot.program)
    if overview.not_ready:
        lines += ["", click.style("NOT READY", fg="yellow"), *_not_ready(overview.not_ready)]
    return [*lines, "", "Try next:", *(f"  {snapshot.program} {text}" for text in suggestions(overview, snapshot.pods))]


def _title(snapshot: Snapshot) -> str:
    supervisor, overview = snapshot.supervisor, snapshot.overview
    name = click.style(printable(supervisor.cluster), bold=True)
    since = f"up {human_duration(supervisor.uptime)}, state in {supervisor.state_directory}"
    if overview is None:
        word = click.style("runs, but its controller does not answer; packets are forwarded as before", fg="yellow")
        return f"Cluster {name} {word} ({since})"
    word = click.style("is ready", fg="green") if overview.ready else click.style("is not ready yet", fg="yellow")
    ready = sum(node.ready for node in overview.nodes)
    counts = f"{ready}/{len(overview.nodes)} nodes, {overview.ready_pods}/{overview.pods} pods"
    if overview.proxy_mode:
        counts += f", kube-proxy in {overview.proxy_mode} mode"
    return f"Cluster {name} {word}: {counts} ({since})"


def _nodes(overview: ClusterOverview, processes: Sequence[ProcessStatus]) -> list[str]:
    by_name = {process.name: process for process in processes}
    rows = [["NODE", "STATUS", "ADDRESS", "POD CIDR", "ZONE", "PODS", "PID", "RESTARTS"]]
    for node in overview.nodes:
        pods = f"{node.ready_pods}/{node.pods}"
        status = "Ready" if node.ready else "NotReady"
        row = [node.name, status, node.address, node.pod_cidr, node.zone or "-", pods]
        rows.append([*row, *_process_cells(by_name.get(node.name))])
    return Table().lines(rows)


def _process_cells(process: ProcessStatus | None) -> list[str]:
    if process is None:
        return ["-", "-"]
    return [str(process.pid) if process.pid else process.state, str(process.restarts)]


def _outside(overview: ClusterOverview, processes: Sequence[ProcessStatus]) -> list[str]:
    """Return what is outside the nodes, and its one process."""
    if not overview.hosts:
        return []
    process = _process_cells(next((each for each in processes if each.name == CLOUD), None))
    rows = [["OUTSIDE", "NETWORK", "ADDRESS", "RUNS", "PID", "RESTARTS"]]
    rows += [
        [f"host/{host.name}", host.network, host.address or "-", host.runs or "-", *process]
        for host in overview.hosts[:MOST_ROWS]
    ]
    more = len(overview.hosts) - MOST_ROWS
    return ["", *Table().lines(rows), *([f"… and {more} more"] if more > 0 else [])]


def _processes(processes: Sequence[ProcessStatus]) -> list[str]:
    rows = [["PROCESS", "ROLE", "STATE", "PID", "RESTARTS", "LAST END"]]
    for process in processes:
        row = [process.name, process.role, process.state, str(process.pid or "-"), str(process.restarts)]
        rows.append([*row, process.last_exit or "-"])
    return Table().lines(rows)


def _section(rows: list[list[str]], whole: str, program: str) -> list[str]:
    """Return a table below an empty line, cut where it is long; nothing if it has a header only."""
    if len(rows) < 2:
        return []
    lines = Table().lines(rows[: MOST_ROWS + 1])
    more = len(rows) - 1 - MOST_ROWS
    return ["", *lines, *([f"… and {more} more: {program} {whole}"] if more > 0 else [])]


def _services(overview: ClusterOverview) -> list[list[str]]:
    rows = [["SERVICE", "TYPE", "VIP", "PORTS", "READY ENDPOINTS"]]
    for service in overview.services:
        endpoints = f"{service.ready_endpoints}/{service.endpoints}"
        name = f"{service.namespace}/{service.name}"
        rows.append([name, service.type, service.cluster_ip or "-", service.ports or "-", endpoints])
    return rows


def _workloads(overview: ClusterOverview) -> list[list[str]]:
    rows = [[f"{load.namespace}/{load.name}", load.kind, f"{load.ready}/{load.wanted}"] for load in overview.workloads]
    return [["WORKLOAD", "KIND", "READY PODS"], *rows]


def _pods(pods: Sequence[Object]) -> list[list[str]]:
    """Return the pods, those of the system last."""
    rows = [["POD", "READY", "STATUS", "IP", "NODE"]]
    for pod in sorted(pods, key=lambda pod: (pod["metadata"]["namespace"] in SYSTEM_NAMESPACES, _key(pod))):
        summary = summarize(pod)
        address = pod.get("status", {}).get("podIP") or "-"
        node = pod.get("spec", {}).get("nodeName") or "-"
        rows.append(["/".join(_key(pod)), f"{summary.ready}/{summary.total}", summary.status, address, node])
    return rows


def _key(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _not_ready(entries: Sequence[NotReady]) -> list[str]:
    rows = [
        [entry.kind, "/".join(filter(None, (entry.namespace, entry.name))), entry.reason, entry.message]
        for entry in entries[:MOST_ROWS]
    ]
    more = len(entries) - MOST_ROWS
    return Table().lines(rows) + ([f"… and {more} more"] if more > 0 else [])


def suggestions(overview: ClusterOverview, pods: Sequence[Object]) -> list[str]:
    """Return commands, without the program's name, that lead on from what this cluster has."""
    texts: list[str] = []
    client, service = _client(pods), _service(overview)
    if client is not None:
        namespace, name = _key(client)
        place = "" if namespace == "default" else f" -n {namespace}"
        if service is not None:
            host = service[0] if service[1] == namespace else f"{service[0]}.{service[1]}"
            port = "" if service[2] == "80" else f":{service[2]}"
            texts.append(f"exec{place} {name} -- curl -s http://{host}{port}/")
            texts.append(f"trace{place} {name} {host}")
        else:
            texts.append(f"exec{place} {name} -- ip addr")
    texts.append("get pods -A -o wide")
    if overview.nodes:
        shows = _RULES.get(overview.proxy_mode, _RULES["iptables"])
        texts.append(f"exec node/{overview.nodes[0].name} -- {shows}")
    return [*texts, "tui", "stop"]


def _client(pods: Sequence[Object]) -> Object | None:
    """Return the pod to try things from: one with tools, else any of the user's that is ready."""
    ready = [pod for pod in pods if _key(pod)[0] not in SYSTEM_NAMESPACES and _runs(pod)]
    return min(ready, key=lambda pod: (not _has_tools(pod), _key(pod)), default=None)


def _runs(pod: Object) -> bool:
    summary = summarize(pod)
    return summary.status == "Running" and summary.ready == summary.total


def _has_tools(pod: Object) -> bool:
    containers: Sequence[Mapping[str, str]] = pod.get("spec", {}).get("containers") or ()
    return any(word in container.get("image", "") for container in containers for word in _TOOL_IMAGES)


def _service(overview: ClusterOverview) -> tuple[str, str, str] | None:
    """Return name, namespace and port of a Service over TCP that answers; port 80 comes first."""
    found = [
        (entry.name, entry.namespace, entry.ports.partition("/")[0].partition(":")[0])
        for entry in overview.services
        if entry.ready_endpoints and entry.namespace not in SYSTEM_NAMESPACES and "/TCP" in entry.ports
    ]
    return min(found, key=lambda service: (service[2] != "80", service[1] != "default", service), default=None)
