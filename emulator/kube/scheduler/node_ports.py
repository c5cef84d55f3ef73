"""Host ports: of two pods that want the same port of a node's address, the second goes elsewhere, or waits.

Source: pkg/scheduler/framework/plugins/nodeports, pkg/scheduler/framework/types.go (`HostPortInfo`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from emulator.api.objects.meta import Object
from emulator.kube.indexes import PODS_BY_NODE
from emulator.kube.reconciler import Reader

NOT_FREE = "node(s) didn't have free ports for the requested pod ports"
_ANY = "0.0.0.0"


class HostPort(NamedTuple):
    """A port at one address of a node, or at all of them."""

    address: str
    protocol: str
    port: int


def host_ports(spec: Object) -> list[HostPort]:
    """Return the host ports of a pod's containers and sidecars, none twice."""
    return list(dict.fromkeys(_host_ports(spec)))


def _host_ports(spec: Object) -> Iterator[HostPort]:
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    for container in (*(spec.get("containers") or ()), *sidecars):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield HostPort(port.get("hostIP") or _ANY, port.get("protocol", "TCP"), port["hostPort"])


def are_free(reader: Reader, node: str, wanted: Iterable[HostPort]) -> bool:
    """Whether no pod of a node that has not ended has one of these ports."""
    taken = [
        port
        for pod in reader.find(PODS_BY_NODE, node)
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        for port in host_ports(pod["spec"])
    ]
    return not any(_collide(one, other) for one in wanted for other in taken)


def _collide(one: HostPort, other: HostPort) -> bool:
    same_address = one.address == other.address or _ANY in (one.address, other.address)
    return same_address and one[1:] == other[1:]
