"""kube-proxy's iptables mode: the text that it gives to `iptables-restore --noflush` on one node.

A full sync writes everything, a partial one the chains of the service ports that changed and the single rules that
lead to them, so that its text grows with the change. Source: pkg/proxy/iptables/proxier.go (`syncProxyRules`), v1.35.
"""

from __future__ import annotations

from collections.abc import Collection

from emulator.kube.proxy.endpoint_selection import select_endpoints
from emulator.kube.proxy.iptables.fixed import (
    CANARY,
    FIXED_CHAINS,
    fixed_filter_rules,
    fixed_nat_rules,
    jump_rules,
    node_port_dispatch,
)
from emulator.kube.proxy.iptables.node import FreshNode, IptablesNode
from emulator.kube.proxy.iptables.service import SHARED_CHAINS, PortRules, PortWriter, Shared
from emulator.kube.proxy.iptables.shared import SharedChain
from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.service_port import ServicePortName
from emulator.kube.proxy.settings import (
    FULL_SYNC_PERIOD,
    LARGE_CLUSTER_ENDPOINTS,
    SYNC_PERIOD,
    ProxyNode,
    ProxySettings,
)
from emulator.kube.proxy.tracker import ServiceTracker

_SERVICE_CHAINS = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-")
_Written = dict[ServicePortName, PortRules]
_NOTHING = PortRules({}, {})


class IptablesProxy:
    """Keeps one node's tables true to the Services. It remembers what it wrote, and reads the node at full syncs.

    `large`: more endpoints than `LARGE_CLUSTER_ENDPOINTS`. Chains that nothing leads to any more then stay until
    `SYNC_PERIOD` after the last time that some were removed.
    """

    def __init__(self, node: ProxyNode, settings: ProxySettings, state: IptablesNode | None = None) -> None:
        self.node = node
        self.settings = settings
        self.large = False
        self._state = FreshNode() if state is None else state
        self._full_due = 0.0
        self._must_be_full = True
        self._written: _Written = {}
        self._endpoints: dict[ServicePortName, int] = {}  # how many each port has
        self._total = 0
        self._shared = [SharedChain(name) for _, name in SHARED_CHAINS]
        self._stale: set[str] = set()
        self._cleaned_at = float("-inf")

    def sync(self, services: ServiceTracker, now: float) -> Writes:
        """Return what brings the node's rules up to date at `now`, in seconds."""
        changed = sorted(services.take_changes())
        full = self._must_be_full or now >= self._full_due
        self._count(services, services.ports.keys() | self._endpoints.keys() if full else changed)
        large = self._total > LARGE_CLUSTER_ENDPOINTS
        full = full or large != self.large  # the comments of all endpoints come or go
        self.large = large
        if full:
            self._must_be_full = False
            self._full_due = now + FULL_SYNC_PERIOD
            return self._sync_all(services, now)
        return self._sync_changed(services, changed, now)

    def next_sync(self) -> float | None:
        """Return when the next full sync is due, or stale chains are to be removed."""
        return min(self._full_due, self._cleaned_at + SYNC_PERIOD) if self._stale else self._full_due

    def forget(self) -> None:
        """Write everything with the next sync."""
        self._must_be_full = True

    def cleanup(self) -> Writes:
        """Return what takes away this mode's jumps and chains. Sysctls stay as they are."""
        lines = []
        for table, fixed in FIXED_CHAINS.items():
            there = self._state.chains(table)
            chains = [chain for chain in fixed if chain in there]
            if table == "nat":
                chains += sorted(chain for chain in there if chain.startswith(_SERVICE_CHAINS))
            jumps = [jump for jump in jump_rules(table, self.settings) if self._state.has_rule(table, *jump)]
            if chains or jumps:
                lines += [f"*{table}", *(f":{chain} - [0:0]" for chain in chains)]
                lines += [*(f"-D {chain} {rule}" for chain, rule in jumps), *(f"-X {chain}" for chain in chains)]
                lines += ["COMMIT"]
        self._must_be_full = True
        self._written, self._stale = {}, set()
        return Writes(iptables=_text(lines))

    # A full sync

    def _sync_all(self, services: ServiceTracker, now: float) -> Writes:
        before = {chain for rules in self._written.values() for chain in rules.own}
        self._written = self._rules_of(services, sorted(services.ports))
        chains = {chain: text for rules in self._written.values() for chain, text in rules.own.items()}
        there = (chain for chain in self._state.chains("nat") if chain.startswith(_SERVICE_CHAINS))
        self._stale = (self._stale | before).union(there) - chains.keys()
        stale = self._take_stale(now)
        shared = [
            chain.fill((name, rules.shared[kind]) for name, rules in self._written.items() if kind in rules.shared)
            for kind, chain in zip(Shared, self._shared, strict=True)
        ]
        lines = ["*mangle", f":{CANARY} - [0:0]", "COMMIT"]
        for table, fixed in FIXED_CHAINS.items():
            if table == "mangle":
                continue
            own = chains if table == "nat" else {}
            removed = stale if table == "nat" else []
            lines += [f"*{table}", *(f":{chain} - [0:0]" for chain in (*fixed, *own, *removed))]
            lines += self._missing_jumps(table)
            lines += [line for (of, _), part in zip(SHARED_CHAINS, shared, strict=True) if of == table for line in part]
            if table == "filter":
                lines += fixed_filter_rules(self.settings)
            else:
                lines += fixed_nat_rules(self.settings) + node_port_dispatch(self.node, self.settings)
            lines += [*own.values(), *(f"-X {chain}" for chain in removed), "COMMIT"]
        return Writes(sysctls=self._sysctls(), iptables=_text(lines), canaries=_CANARIES)

    def _sysctls(self) -> tuple[tuple[str, int], ...]:
        return (("net.ipv4.conf.all.route_localnet", 1),) if self.settings.serves_localhost else ()

    def _missing_jumps(self, table: str) -> list[str]:
        """Return the lines that prepend the jumps that are not there (`EnsureRule`)."""
        jumps = jump_rules(table, self.settings)
        return [f"-I {chain} 1 {rule}" for chain, rule in jumps if not self._state.has_rule(table, chain, rule)]

    # A partial sync

    def _sync_changed(self, services: ServiceTracker, changed: Collection[ServicePortName], now: float) -> Writes:
        old = {name: self._written.pop(name, _NOTHING) for name in changed}
        new = self._rules_of(services, changed)
        self._written |= new
        chains: dict[str, str] = {}
        for name, rules in old.items():
            now_own = new[name].own if name in new else {}
            self._stale.update(rules.own.keys() - now_own.keys())
            chains |= {chain: text for chain, text in now_own.items() if rules.own.get(chain) != text}
        self._stale -= chains.keys()
        stale = self._take_stale(now)
        edits: dict[str, list[str]] = {"filter": [], "nat": []}
        for kind, chain in zip(Shared, self._shared, strict=True):
            changes = [
                (name, rules.shared.get(kind, ()), new.get(name, _NOTHING).shared.get(kind, ()))
                for name, rules in old.items()
            ]
            edits[SHARED_CHAINS[kind][0]] += chain.change(changes)
        lines = ["*filter", *edits["filter"], "COMMIT"] if edits["filter"] else []
        if chains or stale or edits["nat"]:
            lines += ["*nat", *(f":{chain} - [0:0]" for chain in (*chains, *stale)), *chains.values()]
            lines += [*edits["nat"], *(f"-X {chain}" for chain in stale), "COMMIT"]
        return Writes(iptables=_text(lines))

    # Both

    def _rules_of(
        self, services: ServiceTracker, names: Collection[ServicePortName]
    ) -> dict[ServicePortName, PortRules]:
        """Return the rules of those of these ports that are there, in the order of the names."""
        writer = PortWriter(self.node, self.settings, large=self.large)
        found = {}
        for name in names:
            port = services.ports.get(name)
            if port is not None:
                endpoints = services.endpoints.get(name, ())
                selection = select_endpoints(port, endpoints, node_name=self.node.name, zone=self.node.zone)
                found[name] = writer.rules(port, selection)
        return found

    def _count(self, services: ServiceTracker, names: Collection[ServicePortName]) -> None:
        """Keep up how many endpoints there are, of service ports that are there."""
        for name in names:
            count = len(services.endpoints.get(name, ())) if name in services.ports else 0
            self._total += count - self._endpoints.pop(name, 0)
            if count:
                self._endpoints[name] = count

    def _take_stale(self, now: float) -> list[str]:
        """Return the chains to remove now."""
        if self.large and now - self._cleaned_at < SYNC_PERIOD:
            return []
        stale = sorted(self._stale)
        self._stale = set()
        self._cleaned_at = now
        return stale


_CANARIES = tuple((table, CANARY) for table in FIXED_CHAINS)


def _text(lines: Collection[str]) -> str:
    return "\n".join((*lines, "")) if lines else ""
