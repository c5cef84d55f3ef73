"""All that the TUI knows of the cluster: fed by connections, asked for rows by pages."""

from __future__ import annotations

from collections import Counter

from emulator.api.messages import (
    FlowsEvent,
    NodeStatusResult,
    Object,
    ProcessStatus,
    SupervisorStatusResult,
    WatchEvent,
)
from emulator.api.objects import EndpointSlice, Node, Pod, Service
from tui.model.flows import MAX_RECORDS, FlowModel
from tui.model.links import Links
from tui.model.names import Names
from tui.model.nodes import NodeRow, node_row
from tui.model.objects import ObjectModel, Reference
from tui.model.pods import PodRow, pod_row
from tui.model.services import ServiceRow, service_rows

KINDS = ("Node", "Pod", "Service", "EndpointSlice")
CONTROLLER = "controller"
SUPERVISOR = "supervisor"


class ClusterModel:
    """The cluster as last told. `version` changes with all that a page might show. Times are wall-clock seconds."""

    def __init__(self, limit: int = MAX_RECORDS) -> None:
        self.name = ""
        self.version = 0
        self.links = Links()
        self.names = Names()
        self.flows = FlowModel(self.names, limit)
        self.objects = ObjectModel(KINDS)
        self._statuses: dict[str, NodeStatusResult] = {}
        self._processes: dict[str, ProcessStatus] = {}
        self._named = 0  # the version of `objects` that `names` follows

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

    def begin_flows(self, node: str, now: float) -> None:
        """A node is about to tell all its flows."""
        self.links.up(node, now)
        self.flows.begin(node)
        self.version += 1

    def flows_changed(self, node: str, event: FlowsEvent) -> None:
        """A node told of flows."""
        self.flows.apply(node, event)
        self.version += 1

    def node_status(self, status: NodeStatusResult, now: float) -> None:
        """A node told how it is, and so it answers (again)."""
        self._statuses[status.name] = status
        self.links.up(status.name, now)
        self.flows.set_away(status.name, away=False)
        self.version += 1

    def supervisor_status(self, status: SupervisorStatusResult, now: float) -> None:
        """The supervisor told of the processes."""
        self.name = status.cluster
        self._processes = {process.name: process for process in status.processes}
        self.links.up(SUPERVISOR, now)
        self.version += 1

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
        self.version += 1

    # --- what pages ask ---

    def node_names(self) -> list[str]:
        """Return the nodes that the controller knows."""
        return [obj["metadata"]["name"] for obj in self.objects.all("Node")]

    def refresh_names(self) -> None:
        """Let names follow the objects; flows follow the names."""
        if self._named != self.objects.version:
            self._named = self.objects.version
            views = self.objects.views
            self.names.update(views("Node", Node), views("Pod", Pod), views("Service", Service))

    def node_rows(self) -> list[NodeRow]:
        """Return the nodes."""
        pods = Counter(obj.get("spec", {}).get("nodeName", "") for obj in self.objects.all("Pod"))
        rows = []
        for node in self.objects.views("Node", Node):
            name = node.metadata.name
            status, process = self._statuses.get(name), self._processes.get(name)
            rows.append(node_row(node, pods[name], status, process, self.links.get(name)))
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
