"""What IPVS mode reads of its node. It compares the node with what it wants, as kube-proxy does, and trusts no memory.

Source: pkg/proxy/ipvs/netlink_linux.go, pkg/proxy/ipvs/util/ipvs_linux.go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from emulator.kube.proxy.ipvs.servers import ServerState
from emulator.kube.proxy.ipvs.service import Frontend
from emulator.kube.proxy.settings import ProxyNode

DUMMY = "kube-ipvs0"
"""The link that has the addresses of Services, so that packets to them come by LOCAL_IN, where IPVS waits."""


class Counts(Struct, frozen=True):
    """How much there is of what IPVS mode makes. `elements`: of each set that was asked for, -1 without it."""

    servers: int
    bound: int
    elements: tuple[int, ...]


class IpvsNode(Protocol):
    """The state of one node.

    `local_addresses` is asked at each sync, `connections` of servers that go, `counts` and `rules` now and then, and
    the others at full syncs.
    """

    def counts(self, names: Sequence[str]) -> Counts:
        """Return how many virtual servers, bound addresses and elements of these sets there are."""

    def local_addresses(self) -> Collection[str]:
        """Return all IPv4 addresses but those of the dummy link and 127.0.0.0/8."""

    def bound_addresses(self) -> Collection[str]:
        """Return the addresses of the dummy link."""

    def rules(self, table: str) -> Collection[str]:
        """Return the rules of an iptables table, as iptables-save prints them."""

    def elements(self, name: str) -> Collection[str]:
        """Return the elements of an ipset, as `ipset save` prints them; none if it is not there."""

    def servers(self) -> Mapping[Frontend, ServerState]:
        """Return the virtual servers with their real ones."""

    def connections(self, frontend: Frontend, backend: str) -> tuple[int, int]:
        """Return how many active and inactive connections a real server has; 0 and 0 if it is not there."""


class FreshNode:
    """A node that kube-proxy has never run on: what `emulator proxy render` writes for."""

    def __init__(self, node: ProxyNode) -> None:
        self._node = node

    def counts(self, names: Sequence[str]) -> Counts:
        """Return none of anything."""
        return Counts(0, 0, (-1,) * len(names))

    def local_addresses(self) -> Collection[str]:
        """Return the addresses that the node is known by."""
        return self._node.addresses

    def bound_addresses(self) -> Collection[str]:
        """Return none."""
        return ()

    def rules(self, table: str) -> Collection[str]:
        """Return none."""
        del table
        return ()

    def elements(self, name: str) -> Collection[str]:
        """Return none."""
        del name
        return ()

    def servers(self) -> Mapping[Frontend, ServerState]:
        """Return none."""
        return {}

    def connections(self, frontend: Frontend, backend: str) -> tuple[int, int]:
        """Return none."""
        del frontend, backend
        return (0, 0)
