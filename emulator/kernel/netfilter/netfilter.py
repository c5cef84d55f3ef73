"""The netfilter of one namespace: its hooks, tables, connection tracking and NAT. `run` is where every packet passes.

Whatever nobody asked for is not there: a table's hooks appear when it is first written to, connection tracking when a
rule or the nat table needs it, so that a namespace without rules pays for one loop over nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from emulator.kernel.ip.fragment import CONNTRACK_IN, CONNTRACK_OUT
from emulator.kernel.netfilter.conntrack.conntrack import Conntrack
from emulator.kernel.netfilter.conntrack.sysctl import register_sysctls
from emulator.kernel.netfilter.context import Context
from emulator.kernel.netfilter.hook import NF_ACCEPT, NF_INET_LOCAL_OUT, NF_INET_PRE_ROUTING, Hook, Priority, Verdict
from emulator.kernel.netfilter.iptables.restore import restore
from emulator.kernel.netfilter.iptables.save import save
from emulator.kernel.netfilter.iptables.table import TABLE_KINDS, Table
from emulator.kernel.netfilter.iptables.trace_event import TraceEvent
from emulator.kernel.netfilter.nat.nat import Nat
from emulator.kernel.netfilter.reroute import rerouting
from emulator.kernel.routing.route import RouteResult
from emulator.kernel.skb import IP_CT_ESTABLISHED_REPLY, IP_CT_RELATED_REPLY, IP_CT_UNTRACKED, CtInfo, Skb

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipset.sets import Sets
    from emulator.kernel.netfilter.iptables.ignored import IgnoredLine
    from emulator.kernel.netfilter.ipvs.engine import Ipvs
    from emulator.kernel.netfilter.match.hashlimit_table import HashlimitTable
    from emulator.kernel.netfilter.match.recent import RecentList
    from emulator.kernel.netfilter.nft.engine import Nft
    from emulator.kernel.netfilter.target.nflog import NflogMessage
    from emulator.kernel.netns import Netns

HookFunction = Callable[["Netns", Hook, Skb], Verdict]

_LOG_LINES = 1_000
_IS_FRAGMENT = 0x3FFF


class Netfilter:
    """See the module. `generation` counts changes of rules, for whoever remembers what they decided."""

    def __init__(self, netns: Netns) -> None:
        self.netns = netns
        self.generation = 0
        self._defragments = False  # once it is switched on it stays, as Linux's module does
        self.copying = False  # while TEE's copy of a packet is on its way, which is not copied again
        self.contexts = tuple(Context(self, hook) for hook in Hook)
        self.tables: dict[str, Table] = {}
        self.recent: dict[str, RecentList] = {}  # the lists of `-m recent`
        self.hashlimits: dict[str, HashlimitTable] = {}  # the tables of `-m hashlimit`
        self.nflog: deque[NflogMessage] = deque(maxlen=_LOG_LINES)  # of `-j NFLOG`
        self.trace_events: deque[TraceEvent] = deque(maxlen=_LOG_LINES)  # of `-j TRACE`
        self.log: deque[tuple[float, int, str]] = deque(maxlen=_LOG_LINES)  # time, level and line of `-j LOG`
        self._memory_users: Counter[tuple[str, str]] = Counter()  # how many rules name each of these two
        self._registered: list[list[tuple[int, str, HookFunction]]] = [[] for _ in Hook]
        self._functions: list[tuple[HookFunction, ...]] = [() for _ in Hook]
        self.conntrack = Conntrack(self)
        self.nat = Nat(self)
        self._sets: Sets | None = None
        self._nft: Nft | None = None
        self._ipvs: Ipvs | None = None
        register_sysctls(self.conntrack, netns.sysctl)
        netns.sysctl.register_family("net.ipv4.vs.", lambda: self.ipvs)

    @property
    def sets(self) -> Sets:
        """The sets of ipset, imported when first asked for."""
        if self._sets is None:
            from emulator.kernel.netfilter.ipset.sets import Sets

            self._sets = Sets(self)
        return self._sets

    @property
    def nft(self) -> Nft:
        """The tables of nftables, imported when first asked for: few namespaces have some."""
        if self._nft is None:
            from emulator.kernel.netfilter.nft.engine import Nft

            self._nft = Nft(self)
        return self._nft

    @property
    def ipvs(self) -> Ipvs:
        """The load balancer, loaded when first asked for, as the module ip_vs is."""
        if self._ipvs is None:
            from emulator.kernel.netfilter.ipvs.engine import Ipvs

            self._ipvs = Ipvs(self)
        return self._ipvs

    # Packets

    def run(self, hook: Hook, skb: Skb) -> Verdict:
        """Let everything at a hook see a packet, until one keeps it. Who drops it has counted it."""
        for function in self._functions[hook]:
            verdict = function(self.netns, hook, skb)
            if verdict is not NF_ACCEPT and verdict is not Verdict.BYPASS:
                return verdict
        return NF_ACCEPT

    def register(self, hook: Hook, priority: int, name: str, function: HookFunction) -> None:
        """Put a function in its place at a hook; before those of equal priority (`nf_hook_entries_grow`)."""
        entries = self._registered[hook]
        place = next((index for index, entry in enumerate(entries) if entry[0] >= priority), len(entries))
        entries.insert(place, (priority, name, function))
        self._functions[hook] = tuple(entry[2] for entry in entries)
        self.changed()

    def unregister(self, names: frozenset[str]) -> None:
        """Take functions away from all hooks, by their names."""
        for hook, entries in enumerate(self._registered):
            entries[:] = [entry for entry in entries if entry[1] not in names]
            self._functions[hook] = tuple(entry[2] for entry in entries)
        self.changed()

    def needs_conntrack(self) -> bool:
        """Whether any rule does; the nat table alone does not (nf_ct_netns_get)."""
        if self._nft is not None and self._nft.tracking:
            return True
        return any(
            rule.spec.needs_conntrack
            for table in self.tables.values()
            for chain in table.chains.values()
            for rule in chain.rules
        )

    def changed(self) -> None:
        """Note that packets may be decided on differently from now on."""
        self.generation += 1

    def enable_defragmentation(self) -> None:
        """Have fragments put together before anything sees them, without connection tracking too."""
        if not self._defragments:
            self._defragments = True
            for hook in (NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT):
                self.register(hook, Priority.CONNTRACK_DEFRAG, "defrag", self.defragment)

    def defragment(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """Put a packet together before conntrack sees it (nf_defrag_ipv4.c)."""
        if not skb.fragment & _IS_FRAGMENT or skb.ct is not None or skb.ctinfo is IP_CT_UNTRACKED:
            return NF_ACCEPT
        user = CONNTRACK_IN if hook is NF_INET_PRE_ROUTING else CONNTRACK_OUT
        return Verdict.STOLEN if netns.reassembler.add(skb, user) is None else NF_ACCEPT

    def answer(self, skb: Skb, protocol: int, segment: bytes) -> None:
        """Send a segment back to where a packet came from, as part of its connection (nf_send_reset)."""
        netns = self.netns
        route = netns.routing.output(skb.saddr, saddr=skb.daddr, any_source=True)
        if not isinstance(route, RouteResult):
            return
        ttl = netns.sysctl.default_ttl
        reply = netns.ip.build(protocol, segment, skb.daddr, skb.saddr, ttl, dont_fragment=True, trace=skb.trace)
        if skb.ct is not None:
            reply.ct = skb.ct
            reply.ctinfo = IP_CT_RELATED_REPLY if skb.ctinfo < IP_CT_ESTABLISHED_REPLY else CtInfo.RELATED
        if skb.physical_in is None:
            netns.ip.local_out(reply, route)
            return
        reply.data[:14] = skb.data[6:12] + skb.data[:6] + skb.data[12:14]  # back to the port, from whom it was for
        skb.physical_in.transmit(reply)

    def close(self) -> None:
        """Let go of connections and their timer, because the namespace goes away."""
        if self._ipvs is not None:
            self._ipvs.close()
        self.conntrack.close()

    # Tables

    def table(self, name: str) -> Table:
        """Return a table, loading it if it was not used before. KeyError for a name that no table has."""
        found = self.tables.get(name)
        if found is None:
            found = Table(self, TABLE_KINDS[name])
            self.install(found)
        return found

    def install(self, table: Table) -> None:
        """Take in a new table and register its hooks; the nat table's belong to NAT."""
        self.tables[table.name] = table
        if table.name == "nat":
            for hook, priority in table.kind.hooks.items():
                self.nat.attach(hook, priority, table.handle)
            return
        for hook, priority in table.kind.hooks.items():
            routes = table.name == "mangle" and hook is NF_INET_LOCAL_OUT
            handle = rerouting(table.handle) if routes else table.handle
            self.register(hook, priority, f"iptable_{table.name}", handle)

    def uninstall(self, table: Table) -> None:
        """Take a table out, and its hooks, as if nothing had ever been written to it."""
        del self.tables[table.name]
        if table.name == "nat":
            for hook in table.kind.hooks:
                self.nat.detach(hook, table.handle)
        else:
            self.unregister(frozenset({f"iptable_{table.name}"}))

    def set_names(self) -> Iterator[str]:
        """Yield the names of the sets that rules use, once for each use."""
        for table in self.tables.values():
            for chain in table.chains.values():
                for rule in chain.rules:
                    for match in rule.spec.matches:
                        yield from match.set_names()
                    if rule.spec.target is not None:
                        yield from rule.spec.target.set_names()

    def count_memories(self, more: Mapping[tuple[str, str], int]) -> None:
        """Take by how many more rules name each list of `recent` and table of `hashlimit`; drop what none does."""
        for memory, count in more.items():
            self._memory_users[memory] += count
            if not self._memory_users[memory]:
                del self._memory_users[memory]
                kind, name = memory
                kept: dict[str, Any] = self.recent if kind == "recent" else self.hashlimits
                kept.pop(name, None)

    def restore(
        self,
        text: str,
        *,
        noflush: bool = False,
        counters: bool = False,
        tables: Iterable[str] | None = None,
        ignore_unknown: bool = False,
        testing: bool = False,
    ) -> list[IgnoredLine]:
        """Load rules as `iptables-restore` does: a table wholly or not at all, one after the other.

        RestoreError names the line; the tables before it have changed. `testing`: nothing changes.

        `tables`: only these. `counters`: take them from the text, else they begin at zero. `ignore_unknown`: keep a
        rule that uses a match, target or option that is not here as one that never matches; these lines are returned.
        """
        only = None if tables is None else frozenset(tables)
        return restore(
            self,
            text,
            noflush=noflush,
            counters=counters,
            only=only,
            ignore_unknown=ignore_unknown,
            testing=testing,
        )

    def save(self, table: str | None = None, *, counters: bool = False) -> str:
        """Return the rules as `iptables-save` prints them, without its comment lines; of one table if named."""
        return save(self, table, counters=counters)
