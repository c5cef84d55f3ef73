"""Which endpoints a service port's traffic may go to on one node, shared by every mode.

Source: pkg/proxy/topology.go (`CategorizeEndpoints`).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from emulator.kube.proxy.service_port import Endpoint, ServicePort


class Selection(Struct, frozen=True):
    """The endpoints in use on one node: for traffic to anywhere, and for traffic that must stay on the node.

    `exist_anywhere` tells REJECT (nothing to send to in the whole cluster) from DROP (only other nodes have some).
    """

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    exist_anywhere: bool

    @property
    def all_reachable(self) -> tuple[Endpoint, ...]:
        """Every endpoint that some rule of this node leads to, in order."""
        both = {str(endpoint): endpoint for endpoint in (*self.cluster, *self.local)}
        return tuple(both[key] for key in sorted(both))


def select_endpoints(port: ServicePort, endpoints: Sequence[Endpoint], *, node_name: str, zone: str) -> Selection:
    """Return what `node_name` in `zone` may use of `endpoints` for `port`."""
    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    if port.uses_cluster_endpoints:
        ready = [endpoint for endpoint in endpoints if endpoint.ready]
        cluster = _near(ready, node_name, zone) or _last_resort(endpoints)
    if port.uses_local_endpoints:
        here = [endpoint for endpoint in endpoints if endpoint.node_name == node_name]
        local = tuple(endpoint for endpoint in here if endpoint.ready) or _last_resort(here)
    usable_anywhere = any(endpoint.ready or (endpoint.serving and endpoint.terminating) for endpoint in endpoints)
    return Selection(cluster, local, usable_anywhere)


def _last_resort(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Terminating endpoints that still serve: better than none while a rollout replaces the last ready one."""
    return tuple(endpoint for endpoint in endpoints if endpoint.serving and endpoint.terminating)


def _near(ready: Sequence[Endpoint], node_name: str, zone: str) -> tuple[Endpoint, ...]:
    """Apply hints: only if every ready endpoint has one of that sort and at least one names this node or zone."""
    if ready and all(endpoint.node_hints for endpoint in ready):
        same_node = tuple(endpoint for endpoint in ready if node_name in endpoint.node_hints)
        if same_node:
            return same_node
    if zone and ready and all(endpoint.zone_hints for endpoint in ready):
        same_zone = tuple(endpoint for endpoint in ready if zone in endpoint.zone_hints)
        if same_zone:
            return same_zone
    return tuple(ready)
