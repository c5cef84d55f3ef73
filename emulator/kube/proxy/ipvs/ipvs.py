"""kube-proxy's IPVS mode: virtual servers for every way to a Service, ipsets and a fixed set of iptables rules.

A full sync reads the node and writes what differs; later ones look only at the service ports that changed, so their
work does not grow with the number of Services. Source: pkg/proxy/ipvs/proxier.go (`NewProxier`, `syncProxyRules`),
about v1.34.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from emulator.kube.proxy.ipvs.counted import Counted
from emulator.kube.proxy.ipvs.iptables import (
    TABLES,
    filter_rules,
    is_whole,
    nat_rules,
    removal_text,
    restore_text,
)
from emulator.kube.proxy.ipvs.node import DUMMY, Counts, IpvsNode
from emulator.kube.proxy.ipvs.servers import Servers
from emulator.kube.proxy.ipvs.service import NOTHING, Frontend, NodeView, Wants, view_node, wants_of
from emulator.kube.proxy.ipvs.sets import IPVS_IPS, SETS
from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.service_port import ServicePortName
from emulator.kube.proxy.settings import SYNC_PERIOD, ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker

GRACEFUL_CHECK = 60.0
"""Seconds between two looks at the real servers that wait for the end of their connections."""

# net.ipv4.vs.conn_reuse_mode is left alone, as from Linux 5.9 on.
_SYSCTLS = (
    ("net.ipv4.vs.conntrack", 1),
    ("net.ipv4.vs.expire_nodest_conn", 1),
    ("net.ipv4.vs.expire_quiescent_template", 1),
    ("net.ipv4.ip_forward", 1),
)
_STRICT_ARP = (("net.ipv4.conf.all.arp_ignore", 1), ("net.ipv4.conf.all.arp_announce", 2))


class IpvsProxy:
    """Keeps one node's IPVS tables, ipsets and rules true to the Services."""

    def __init__(self, node: ProxyNode, settings: ProxySettings, state: IpvsNode) -> None:
        self.node = node
        self.settings = settings
        self._state = state
        self._excluded = [ipaddress.IPv4Network(cidr) for cidr in settings.ipvs_exclude_cidrs]
        self._started = False
        self._wanted: _Wanted | None = None  # None: the next sync is a full one
        self._filled: frozenset[str] = frozenset()  # the sets that had elements when the rules were last made
        self._rules: dict[str, list[str]] = {}  # as last made, by table
        self._next_check = 0.0
        self._next_look = 0.0

    def sync(self, services: ServiceTracker, now: float) -> Writes:
        """Return what brings the node's tables, sets, rules and addresses up to date at `now`, in seconds."""
        changed: Collection[ServicePortName] = services.take_changes()
        view = view_node(self.node, self.settings, self._state.local_addresses())
        self._look(now)
        full = self._wanted is None
        wanted = self._wanted = self._wanted or self._read_node()
        if full or view != wanted.view:
            wanted.view = view
            changed = services.ports.keys() | wanted.ports.keys()
        for name in sorted(changed):
            port = services.ports.get(name)
            wanted.put(name, NOTHING if port is None else wants_of(port, services.endpoints.get(name, ()), view))
        lines = self._check_finished(wanted, now) + wanted.servers.take_lines()
        bound, unbound = wanted.addresses.take_changes()
        first = not self._started
        self._started = True
        return Writes(
            sysctls=self._sysctls() if first else (),
            dummy=DUMMY if full or bound or unbound else "",
            add_addresses=tuple(bound),
            ipset=_ipset_text(wanted, full=full),
            ipvsadm=_text((self._timeouts() if first else []) + lines),
            iptables=self._iptables(wanted, full=full),
            remove_addresses=tuple(unbound),
        )

    def next_sync(self) -> float | None:
        """Return when the node is looked at again, or the real servers that wait for the end of their connections."""
        if self._wanted is None:
            return None
        return min(self._next_look, self._next_check) if self._wanted.servers.waits else self._next_look

    def forget(self) -> None:
        """Have the next sync read the node and mend it."""
        self._wanted = None

    def cleanup(self) -> Writes:
        """Return what takes away the servers, the link, the rules and the sets. Sysctls stay as they are."""
        self._wanted = None
        if not self._started:
            return Writes()
        self._started = False
        return Writes(
            dummy=DUMMY,
            ipvsadm="-C\n",
            iptables="".join(removal_text(table, self._state.rules(table)) for table in TABLES),
            destroy_sets=tuple(each.name for each in SETS),
            remove_dummy=True,
        )

    def _read_node(self) -> _Wanted:
        """Begin anew, with nothing wanted on the node as it is."""
        return _Wanted(
            Servers(self._state.servers(), self._state.connections, self._is_excluded),
            {each.name: Counted(self._state.elements(each.name)) for each in SETS},
            Counted(self._state.bound_addresses()),
        )

    def _is_excluded(self, address: str) -> bool:
        return any(ipaddress.IPv4Address(address) in network for network in self._excluded)

    def _look(self, now: float) -> None:
        """Every now and then, find out whether somebody took away what was written; then all is compared anew.

        kube-proxy compares all of it each `syncPeriod`. Numbers tell of a flush as well, and cost next to nothing.
        """
        if now < self._next_look:
            return
        self._next_look = now + SYNC_PERIOD
        wanted = self._wanted
        if wanted is None:
            return
        there = Counts(len(wanted.servers), len(wanted.addresses), tuple(map(len, wanted.sets.values())))
        if self._state.counts(tuple(wanted.sets)) != there or not all(
            is_whole(table, rules, self._state.rules(table)) for table, rules in self._rules.items()
        ):
            self._wanted = None

    def _check_finished(self, wanted: _Wanted, now: float) -> list[str]:
        """Look at what waits, once a minute from the first sync on."""
        if not self._started:
            self._next_check = now + GRACEFUL_CHECK
        if now < self._next_check:
            return []
        self._next_check += ((now - self._next_check) // GRACEFUL_CHECK + 1) * GRACEFUL_CHECK
        return wanted.servers.end_finished()

    def _sysctls(self) -> tuple[tuple[str, int], ...]:
        return _SYSCTLS + (_STRICT_ARP if self.settings.ipvs_strict_arp else ())

    def _timeouts(self) -> list[str]:
        """The time-outs of `--ipvs-tcp-timeout` and its like; 0 leaves one as it is."""
        timeouts = self.settings.ipvs_timeouts
        return [f"--set {' '.join(map(str, timeouts))}"] if any(timeouts) else []

    def _iptables(self, wanted: _Wanted, *, full: bool) -> str:
        """Return the tables whose rules are others than before."""
        filled = frozenset(name for name, elements in wanted.sets.items() if elements)
        if not any(wanted.not_from_node.take_changes()) and filled == self._filled and not full:
            return ""
        self._filled = filled
        rules = {
            "nat": nat_rules(filled, self.node, self.settings),
            "filter": filter_rules(filled, self.settings, sorted(wanted.not_from_node)),
        }
        before, self._rules = {} if full else self._rules, rules
        return "".join(
            restore_text(table, rules[table], self._state.rules(table) if full else None)
            for table in TABLES
            if rules[table] != before.get(table)
        )


class _Wanted:
    """What all service ports together want, and what of it the node has."""

    def __init__(self, servers: Servers, sets: dict[str, Counted[str]], addresses: Counted[str]) -> None:
        self.view: NodeView | None = None
        self.ports: dict[ServicePortName, Wants] = {}
        self.servers = servers
        self.sets = sets
        self.addresses = addresses
        self.not_from_node: Counted[Frontend] = Counted()

    def put(self, name: ServicePortName, wants: Wants) -> None:
        """Have a service port want this, and nothing of what it wanted before."""
        before = self.ports.pop(name, NOTHING)
        if wants is not NOTHING:
            self.ports[name] = wants
        if before == wants:
            return
        # First what comes, then what goes: what stays is never unwanted in between.
        for server in wants.servers:
            self.servers.add(name, server)
        for set_name, element in wants.elements:
            self.sets[set_name].add(element)
        for address in wants.addresses:
            self.addresses.add(address)
            self.sets[IPVS_IPS.name].add(address)
        for frontend in wants.not_from_node:
            self.not_from_node.add(frontend)
        self._drop(name, before, {server.frontend for server in wants.servers})

    def _drop(self, name: ServicePortName, before: Wants, kept: Collection[Frontend]) -> None:
        for server in before.servers:
            if server.frontend not in kept:
                self.servers.discard(name, server.frontend)
        for set_name, element in before.elements:
            self.sets[set_name].discard(element)
        for address in before.addresses:
            self.addresses.discard(address)
            self.sets[IPVS_IPS.name].discard(address)
        for frontend in before.not_from_node:
            self.not_from_node.discard(frontend)


def _ipset_text(wanted: _Wanted, *, full: bool) -> str:
    lines = [each.create for each in SETS] if full else []
    for name, elements in wanted.sets.items():
        lacking, beyond = elements.take_changes()
        lines += [f"add {name} {element}" for element in lacking]
        lines += [f"del {name} {element}" for element in beyond]
    return _text(lines)


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
