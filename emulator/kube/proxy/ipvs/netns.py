"""A namespace as IPVS mode reads it: the other side of `apply_writes`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from emulator.kernel.netfilter.conntrack.tuple import SCTP, TCP, UDP
from emulator.kernel.netfilter.ipvs.service import Service, ServiceKey
from emulator.kernel.netns import Netns
from emulator.kube.proxy.ipvs.node import DUMMY, Counts
from emulator.kube.proxy.ipvs.servers import ServerState
from emulator.kube.proxy.ipvs.service import Frontend, Scheduling
from emulator.packet.address import format_ipv4, ipv4_to_int

_LOOPBACK_NETWORK = 127
_PROTOCOLS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_NUMBERS = {name: number for number, name in _PROTOCOLS.items()}
_MH_PORT = 2  # IP_VS_SVC_F_SCHED_MH_PORT among the scheduler's flags


class NetnsNode:
    """What the tools of one namespace show of it."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns

    def counts(self, names: Sequence[str]) -> Counts:
        """Return how many virtual servers (those of firewall marks too), bound addresses and elements there are."""
        netfilter = self._netns.netfilter
        link = self._netns.links.get(DUMMY)
        slots = [netfilter.sets.find(name) for name in names]
        return Counts(
            len(netfilter.ipvs.services),
            -1 if link is None else len(link.addresses),
            tuple(-1 if slot is None else slot.set.count() for slot in slots),
        )

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

    def servers(self) -> Mapping[Frontend, ServerState]:
        """Return the virtual servers with their real ones; those of firewall marks are somebody else's."""
        return {
            Frontend(format_ipv4(key.address), key.port, _PROTOCOLS[key.protocol]): ServerState(
                _scheduling(service), {str(each): each.weight for each in service.destinations}
            )
            for service in self._netns.netfilter.ipvs.services
            if not (key := service.key).fwmark
        }

    def connections(self, frontend: Frontend, backend: str) -> tuple[int, int]:
        """Return how many active and inactive connections a real server has; 0 and 0 if it is not there."""
        key = ServiceKey(_NUMBERS[frontend.protocol], ipv4_to_int(frontend.address), frontend.port)
        service = self._netns.netfilter.ipvs.services.get(key)
        address, _, port = backend.partition(":")
        server = None if service is None else service.by_address.get((ipv4_to_int(address), int(port)))
        return (0, 0) if server is None else (server.active, server.inactive)


def _scheduling(service: Service) -> Scheduling:
    """Return how a service spreads connections; what IPVS mode never asks for is another value than it asks for."""
    options = service.options
    if options.scheduler == "mh" and options.scheduler_flags == _MH_PORT:
        flags: tuple[str, ...] = ("mh-port",)
    else:
        flags = (str(options.scheduler_flags),) if options.scheduler_flags else ()
    return Scheduling(options.scheduler, options.persistent, (*flags, "ops") if options.one_packet else flags)
