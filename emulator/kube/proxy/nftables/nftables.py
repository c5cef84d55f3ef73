"""kube-proxy's nftables mode: the transactions that it gives to `nft -f -` on one node.

The first one makes the table and everything in it; each later one has the chains and elements that changed.
Source: pkg/proxy/nftables/proxier.go (`syncProxyRules`), v1.35.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from msgspec import Struct

from emulator.kube.proxy.endpoint_selection import Selection, select_endpoints
from emulator.kube.proxy.nftables.elements import Elements
from emulator.kube.proxy.nftables.fixed import TABLE, setup
from emulator.kube.proxy.nftables.service import PortRules, port_rules
from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.service_port import ServicePort, ServicePortName
from emulator.kube.proxy.settings import FULL_SYNC_PERIOD, ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker

STALE_FOR = 1.0
"""Seconds from when a chain is emptied until it may be deleted.

Before Linux 6.2, a chain stays referenced for a moment after the map element that led to it is gone.
"""

_NOTHING = PortRules()


class _Update(Struct, frozen=True):
    """What a service port had, and what it has now."""

    name: ServicePortName
    before: PortRules
    after: PortRules


class NftablesProxy:
    """Turns what changed in the cluster into a transaction; remembers what the table holds.

    `is_new`: whether the node has no such table yet, and chains need not be emptied before their first rule: with many
    Services that is a fifth of the commands of a first sync.
    """

    def __init__(self, node: ProxyNode, settings: ProxySettings, is_new: Callable[[], bool] = lambda: False) -> None:
        self.node = node
        self.settings = settings
        self._is_new = is_new
        self._written: dict[ServicePortName, tuple[ServicePort, Selection]] = {}  # what the rules were made of
        self._elements = Elements()
        self._stale: dict[str, float] = {}  # emptied chains, by when they were
        self._full_due = float("-inf")

    def sync(self, services: ServiceTracker, now: float) -> Writes:
        """Return the transaction that brings the table up to date with `services` at `now`."""
        changed = services.take_changes()
        full = now >= self._full_due
        lines = self._full_sync(services, now) if full else self._partial_sync(services, changed, now)
        text = "".join(f"{line}\n" for line in lines)
        if full:
            self._full_due = now + FULL_SYNC_PERIOD
        return Writes(nft=text)

    def next_sync(self) -> float | None:
        """Return when the first of the emptied chains may be deleted, or the next full sync is due."""
        return min([self._full_due, *(since + STALE_FOR for since in self._stale.values())])

    def forget(self) -> None:
        """Write everything with the next sync."""
        self._full_due = float("-inf")

    def cleanup(self) -> Writes:
        """Return what takes the table away, whether or not it is there."""
        self._written.clear()
        self._elements = Elements()
        self._stale.clear()
        self.forget()
        return Writes(nft=f"add table {TABLE}\ndelete table {TABLE}\n")

    def _full_sync(self, services: ServiceTracker, now: float) -> Iterator[str]:
        """Set up the table and write all service ports into it.

        What was written before may still be there or not: its chains are made (which does no harm if they are there),
        emptied, and deleted as other stale chains are.
        """
        old = [self._rules(name) for name in self._written]
        old_chains = {chain: () for rules in old for chain in rules.chains} | dict.fromkeys(self._stale, ())
        old_sets = {name: timeout for rules in old for name, timeout in rules.affinity.items()}
        self._written.clear()
        self._stale.clear()
        self._elements = Elements()  # the setup empties the maps
        yield from setup(self.node, self.settings)
        updates = [self._update(services, name) for name in sorted(services.ports)]
        yield from self._write(updates, now, flush=not self._is_new())
        kept_chains = {chain for update in updates for chain in update.after.chains}
        kept_sets = {name for update in updates for name in update.after.affinity}
        leftovers = PortRules(
            {chain: () for chain in old_chains if chain not in kept_chains},
            {name: timeout for name, timeout in old_sets.items() if name not in kept_sets},
        )
        yield from _add_containers(_NOTHING, leftovers)
        yield from self._empty([(leftovers, _NOTHING)], now)

    def _partial_sync(
        self, services: ServiceTracker, changed: Collection[ServicePortName], now: float
    ) -> Iterator[str]:
        """Write the service ports that changed, and delete the chains whose time has come."""
        updates = [self._update(services, name) for name in sorted(changed)]
        back = {chain for update in updates for chain in update.after.chains}
        for chain, since in list(self._stale.items()):
            if chain in back:
                del self._stale[chain]
            elif now >= since + STALE_FOR:
                del self._stale[chain]
                yield f"delete chain {TABLE} {chain}"
        yield from self._write(updates, now)

    def _rules(self, name: ServicePortName) -> PortRules:
        """Return what a service port has in the table; made anew, since nobody asks before it changes."""
        made_of = self._written.get(name)
        return _NOTHING if made_of is None else port_rules(*made_of, self.node, self.settings)

    def _update(self, services: ServiceTracker, name: ServicePortName) -> _Update:
        before, after = self._rules(name), _NOTHING
        port = services.ports.get(name)
        if port is None:
            self._written.pop(name, None)
        else:
            selection = select_endpoints(
                port, services.endpoints.get(name, ()), node_name=self.node.name, zone=self.node.zone
            )
            self._written[name] = (port, selection)
            after = port_rules(port, selection, self.node, self.settings)
        self._elements.release(name, [key for key in before.elements if key not in after.elements])
        self._elements.claim(name, after.elements.items())
        return _Update(name, before, after)

    def _write(self, updates: Iterable[_Update], now: float, *, flush: bool = True) -> Iterator[str]:
        """Yield the commands of one transaction: each may use only what those before it have made."""
        updates = list(updates)
        elements = self._elements.take_changes()
        yield from elements.deleted
        for update in updates:
            yield from _add_containers(update.before, update.after, flush=flush)
            yield from elements.added.pop(update.name, ())
            yield from _add_rules(update.before, update.after)
        for lines in elements.added.values():  # of ports that only now have a key that they claimed before
            yield from lines
        yield from self._empty([(update.before, update.after) for update in updates], now)

    def _empty(self, updates: Iterable[tuple[PortRules, PortRules]], now: float) -> Iterator[str]:
        """Empty chains that are no longer in use, to be deleted later. Sets go at once: no rule names them by now."""
        gone_sets = []
        for before, after in updates:
            for chain in before.chains:
                if chain not in after.chains:
                    self._stale[chain] = now
                    yield f"flush chain {TABLE} {chain}"
            gone_sets += [name for name in before.affinity if name not in after.affinity]
        for name in gone_sets:
            yield f"delete set {TABLE} {name}"


def _add_containers(before: PortRules, after: PortRules, *, flush: bool = True) -> Iterator[str]:
    """Make the chains that have other rules than before, empty, and the sets."""
    for chain, rules in after.chains.items():
        if before.chains.get(chain) != rules:
            yield f"add chain {TABLE} {chain}"
            if flush:
                yield f"flush chain {TABLE} {chain}"
    for name, timeout in after.affinity.items():
        if before.affinity.get(name) != timeout:
            yield f"add set {TABLE} {name} {{ type ipv4_addr ; flags dynamic,timeout ; timeout {timeout}s ; }}"


def _add_rules(before: PortRules, after: PortRules) -> Iterator[str]:
    for chain, rules in after.chains.items():
        if before.chains.get(chain) != rules:
            for rule in rules:
                yield f"add rule {TABLE} {chain} {rule}"
