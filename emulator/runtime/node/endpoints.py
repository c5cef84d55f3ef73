"""Who a connection of this node's pods really goes to: conntrack's other end, and the pod that has its address.

What a load asks for each connection, so that shares of endpoints are those of kube-proxy's choices whatever answers.
"""

from __future__ import annotations

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.apps.environment import Address
from emulator.kernel.netfilter.conntrack.connection import ORIGINAL
from emulator.kernel.netfilter.conntrack.tuple import Tuple
from emulator.kernel.netns import Netns
from emulator.packet.address import AF_INET, format_ipv4, ipv4_to_int
from emulator.runtime.machine.object_cache import ObjectCache

_SEVERAL = ("", "")


class EndpointNames:
    """Finds endpoints in the node's conntrack, and their names in the EndpointSlices that it watches."""

    def __init__(self, root: Netns, cache: ObjectCache) -> None:
        self._root = root
        self._cache = cache
        self._names: dict[str, tuple[str, str]] = {}  # address: namespace and name; pods that went are remembered
        self._stale = True
        cache.subscribe(("EndpointSlice",), self._forget)

    def find(self, protocol: int, local: Address, remote: Address, namespace: str = "") -> str:
        """Return the endpoint of a connection from `local` to what was asked, `remote`.

        Its name, with its namespace unless that is `namespace`; its address where no one pod is known by it.
        """
        address = self._translated(protocol, local, remote)
        if self._stale:
            self._learn()
        home, name = self._names.get(address, _SEVERAL)
        if not name:
            return address
        return name if home == namespace else f"{home}/{name}"

    def _translated(self, protocol: int, local: Address, remote: Address) -> str:
        saddr, daddr = ipv4_to_int(local[0]), ipv4_to_int(remote[0])
        found = self._root.netfilter.conntrack.find(Tuple(AF_INET, protocol, saddr, daddr, local[1], remote[1]))
        if found is None or found[1] != ORIGINAL:
            return remote[0]
        return format_ipv4(found[0].reply.saddr)

    def _forget(self) -> None:
        self._stale = True

    def _learn(self) -> None:
        """Read the slices; an address that several pods share (the node's own) is nobody's."""
        self._stale = False
        now: dict[str, tuple[str, str]] = {}
        for piece in self._cache.views("EndpointSlice", EndpointSlice):
            for endpoint in piece.endpoints:
                target = endpoint.target_ref
                if target is None or target.kind != "Pod" or not endpoint.addresses:
                    continue
                who = (piece.metadata.namespace, target.name)
                address = endpoint.addresses[0]
                now[address] = who if now.get(address, who) == who else _SEVERAL
        self._names.update(now)
