"""To which ports of a node's pods the Services send packets: what a stand-in listens on besides its declared ports.

Ports need not be declared (`containerPort` informs only), and many manifests do not. A real program knows its own; one
that stands in asks the EndpointSlices.
"""

from __future__ import annotations

from typing import Any

import trio

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.runtime.machine.object_cache import Named, ObjectCache

Ports = frozenset[tuple[str, int]]
"""Protocol and number of each."""


class ServedPorts:
    """Ports of the pods of one node, by namespace and name; slices are followed from the first question on."""

    def __init__(self, node_name: str, cache: ObjectCache) -> None:
        self._node_name = node_name
        self._cache = cache
        self._following = False
        self._by_slice: dict[Named, tuple[frozenset[str], Ports]] = {}
        self._slices: dict[Named, dict[Named, None]] = {}
        self._changed: dict[Named, trio.Event] = {}

    def of(self, pod: Named) -> Ports:
        """Return the ports of a pod that Services lead to now."""
        if not self._following:
            self._following = True
            self._cache.follow(("EndpointSlice",), self)
        return frozenset().union(*(self._by_slice[name][1] for name in self._slices.get(pod, ())))

    async def changed(self, pod: Named) -> None:
        """Wait until the slices of a pod change."""
        await self._changed.setdefault(pod, trio.Event()).wait()

    def put(self, kind: str, obj: Any) -> None:
        """Take a slice."""
        del kind
        piece: EndpointSlice = obj
        name = piece.metadata.namespace, piece.metadata.name
        pods = frozenset(
            endpoint.target_ref.name
            for endpoint in piece.endpoints
            if endpoint.node_name == self._node_name and endpoint.target_ref is not None
        )
        ports = frozenset((port.protocol, port.port) for port in piece.ports if port.port is not None)
        known = self._by_slice.get(name)
        if known == (pods, ports) or (known is None and not pods):
            return
        self.remove("EndpointSlice", *name)
        if pods:
            self._by_slice[name] = (pods, ports)
        for pod in pods:
            self._slices.setdefault((name[0], pod), {})[name] = None
            self._wake((name[0], pod))

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Forget a slice."""
        del kind
        pods, _ = self._by_slice.pop((namespace, name), (frozenset[str](), frozenset()))
        for pod in pods:
            slices = self._slices[namespace, pod]
            del slices[namespace, name]
            if not slices:
                del self._slices[namespace, pod]
            self._wake((namespace, pod))

    def _wake(self, pod: Named) -> None:
        event = self._changed.pop(pod, None)
        if event is not None:
            event.set()


class PodPorts:
    """The ports of one pod but those that are `taken`, as a program asks for them (`apps.environment.ServicePorts`)."""

    def __init__(self, ports: ServedPorts, pod: Named, taken: Ports = frozenset()) -> None:
        self._ports = ports
        self._pod = pod
        self._taken = taken

    def now(self) -> Ports:
        """Return them."""
        return self._ports.of(self._pod) - self._taken

    async def changed(self) -> None:
        """Wait for others."""
        await self._ports.changed(self._pod)
