"""All that the TUI knows of the cluster: fed by connections, asked for rows by pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from emulator.api.messages import (
    FlowsEvent,
    HostOverview,
    NodeStatusResult,
    Object,
    ProcessStatus,
    SupervisorStatusResult,
    WatchEvent,
)
from emulator.api.objects import EndpointSlice, Node, Pod, Service
from emulator.api.trace import text as trace_text
from emulator.api.trace.names import port_hint, trace_names
from tui.model.events import EventRow, event_row
from tui.model.flows import MAX_RECORDS, FlowModel
from tui.model.links import Links
from tui.model.names import Names
from tui.model.nodes import NodeRow, node_row
from tui.model.objects import ObjectModel, Reference
from tui.model.pods import PodRow, pod_row
from tui.model.rates import Rates
from tui.model.services import ServiceRow, service_rows

KINDS = ("Node", "Pod", "Service", "EndpointSlice", "Event")
CONTROLLER = "controller"
SUPERVISOR = "supervisor"
CLOUD = "cloud"
"""The process of all that lies outside the nodes; it tells flows as a node does."""


class ClusterModel:
    """The cluster as last told. Times are wall-clock seconds.

    `version` changes with all that a page might show at once; what processes tell once a second does not count, since
    pages are drawn as often anyway.
    """

    def __init__(self, limit: int = MAX_RECORDS) -> None:
        self.name = ""
        self.version = 0
        self.links = Links()
        self.names = Names()
        self.flows = FlowModel(self.names, limit)
        self.objects = ObjectModel(KINDS)
        self._statuses: dict[str, NodeStatusResult] = {}
        self._processes: dict[str, ProcessStatus] = {}
        self._rates: dict[str, Rates] = {}
        self._hosts: Sequence[HostOverview] = ()
        self._hosts_version = 0
        self._named = (0, 0)  # the versions of objects and hosts that `names` follows

    # --- what connections tell ---

    def begin_objects(self, kind: str, now: float) -> None:
        """The controller is about to tell all objects of a kind."""
        self.objects.begin(kind)
        self.links.up(CONTROLLER, now)
        self.version += 1

    def object_changed(self, kind: str, event: WatchEvent) -> None:
        """The controller told of an object."""
        self.objects.apply(kind, event)
        self.version += 1

    def hosts_told(self, hosts: Sequence[HostOverview]) -> None:
        """The controller told what lies outside the nodes."""
        self._hosts = hosts
        self._hosts_version += 1
        self.version += 1

    def begin_flows(self, node: str, now: float) -> None:
        """A node is about to tell all its flows."""
        self.links.up(node, now)
        self.flows.begin(node)
        self.version += 1

    def flows_changed(self, node: str, event: FlowsEvent, now: float) -> None:
        """A node told of flows."""
        self.flows.apply(node, event, now)
        self.version += 1

    def node_status(self, status: NodeStatusResult, now: float) -> None:
        """A node told how it is, and so it answers (again)."""
        self._statuses[status.name] = status
        self._rates.setdefault(status.name, Rates()).add(status)
        self.version += self.links.up(status.name, now)
        self.flows.set_away(status.name, away=False)

    def supervisor_status(self, status: SupervisorStatusResult, now: float) -> None:
        """The supervisor told of the processes."""
        self.name = status.cluster
        self._processes = {process.name: process for process in status.processes}
        self.version += self.links.up(SUPERVISOR, now)

    def lost(self, process: str, reason: str, now: float) -> None:
        """A process does not answer."""
        self.links.down(process, reason, now)
        self.flows.set_away(process, away=True)
        self.version += 1

    def forget_node(self, node: str) -> None:
        """A node is no part of the cluster any longer."""
        self.flows.begin(node)
        self.links.forget(node)
        self._statuses.pop(node, None)
        self._rates.pop(node, None)
        self.version += 1

    # --- what pages ask ---

    def machines(self) -> list[str]:
        """Return the processes that packets go through: the nodes, and the cloud where there is one."""
        nodes = [obj["metadata"]["name"] for obj in self.objects.all("Node")]
        return [*nodes, CLOUD] if self._hosts else nodes

    def refresh_names(self) -> None:
        """Let names follow the objects; flows follow the names."""
        versions = (self.objects.version, self._hosts_version)
        if self._named != versions:
            self._named = versions
            views = self.objects.views
            self.names.update(views("Node", Node), views("Pod", Pod), views("Service", Service), self._hosts)

    def node_rows(self) -> list[NodeRow]:
        """Return the nodes."""
        pods = Counter(obj.get("spec", {}).get("nodeName", "") for obj in self.objects.all("Pod"))
        rows = []
        for node in self.objects.views("Node", Node):
            name = node.metadata.name
            status, process = self._statuses.get(name), self._processes.get(name)
            rates = self._rates.get(name)
            frames, latest = ((), None) if rates is None else (rates.frames, rates.latest)
            rows.append(node_row(node, pods[name], status, process, self.links.get(name), frames, latest))
        return rows

    def pod_rows(self) -> list[PodRow]:
        """Return the pods."""
        away = {name for name, _ in self.links.lost()}
        return [pod_row(obj, away) for obj in self.objects.all("Pod")]

    def service_rows(self) -> list[ServiceRow]:
        """Return the Services."""
        return service_rows(self.objects.views("Service", Service), self.objects.views("EndpointSlice", EndpointSlice))

    def pod(self, reference: Reference) -> Object | None:
        """Return one pod."""
        return self.objects.get("Pod", reference)

    def event_rows(self) -> list[EventRow]:
        """Return the events."""
        return [event_row(event) for event in self.objects.all("Event")]

    def trace_names(self) -> trace_text.Names:
        """Return what a reader of a trace knows things by."""
        objects = self.objects.all
        return trace_names(objects("Service"), objects("Pod"), objects("Node"), self._hosts)

    def port_hint(self, address: str, protocol: str, port: int) -> str:
        """Say that a Service has no such port; empty if that is not so."""
        return port_hint(self.objects.all("Service"), address, protocol, port)
