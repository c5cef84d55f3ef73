"""A namespace as IPVS mode reads it: the other side of `apply_writes`."""

from __future__ import annotations

from collections.abc import Collection

from emulator.kernel.netns import Netns
from emulator.kube.proxy.ipvs_node import DUMMY
from emulator.packet.address import format_ipv4

_LOOPBACK_NETWORK = 127


class NetnsNode:
    """What the tools of one namespace show of it."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns

    def local_addresses(self) -> Collection[str]:
        """Return all IPv4 addresses but those of the dummy link and 127.0.0.0/8."""
        return [
            format_ipv4(own.address)
            for link in self._netns.links.values()
            if link.name != DUMMY
            for own in link.addresses
            if own.address >> 24 != _LOOPBACK_NETWORK
        ]

    def bound_addresses(self) -> Collection[str]:
        """Return the addresses of the dummy link."""
        link = self._netns.links.get(DUMMY)
        return () if link is None else [format_ipv4(own.address) for own in link.addresses]

    def rules(self, table: str) -> Collection[str]:
        """Return the rules of an iptables table, as iptables-save prints them."""
        if table not in self._netns.netfilter.tables:
            return ()
        return {line for line in self._netns.netfilter.save(table).splitlines() if line.startswith("-A")}

    def elements(self, name: str) -> Collection[str]:
        """Return the elements of an ipset, as `ipset save` prints them; none if it is not there."""
        if self._netns.netfilter.sets.find(name) is None:
            return ()
        start = f"add {name} "
        lines = self._netns.netfilter.sets.save(name).splitlines()
        return [line.removeprefix(start) for line in lines if line.startswith(start)]
