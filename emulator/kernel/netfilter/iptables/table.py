"""One table of iptables in one namespace, and the walk of a packet through its chains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain as concatenate
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.hook import NF_ACCEPT, NF_DROP, Hook, Priority, Verdict
from emulator.kernel.netfilter.iptables.chain import Chain, Run
from emulator.kernel.netfilter.iptables.considered import note_miss, stand_in
from emulator.kernel.netfilter.iptables.rule import Rule
from emulator.kernel.netfilter.iptables.trace_event import trace_policy, trace_rule
from emulator.kernel.netfilter.match.base import Hotdrop
from emulator.kernel.trace import StepKind

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb


class TableKind(Struct, frozen=True):
    """Which hooks a table has, and when among others it looks at a packet there."""

    name: str
    hooks: Mapping[Hook, int]


_FILTER_HOOKS = (Hook.INPUT, Hook.FORWARD, Hook.OUTPUT)
# In the order in which iptables-save prints them.
TABLE_KINDS: Mapping[str, TableKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            TableKind("mangle", dict.fromkeys(Hook, Priority.MANGLE)),
            TableKind("security", dict.fromkeys(_FILTER_HOOKS, Priority.SECURITY)),
            TableKind("raw", dict.fromkeys((Hook.PREROUTING, Hook.OUTPUT), Priority.RAW)),
            TableKind("filter", dict.fromkeys(_FILTER_HOOKS, Priority.FILTER)),
            TableKind(
                "nat",
                {
                    Hook.PREROUTING: Priority.NAT_DST,
                    Hook.INPUT: Priority.NAT_SRC,
                    Hook.OUTPUT: Priority.NAT_DST,
                    Hook.POSTROUTING: Priority.NAT_SRC,
                },
            ),
        )
    }
)


class Table:
    """The chains of one table: `chains` by name, built-in ones first, then user chains."""

    __slots__ = ("_bases", "chains", "kind", "name", "netfilter")

    def __init__(self, netfilter: Netfilter, kind: TableKind) -> None:
        self.netfilter = netfilter
        self.kind = kind
        self.name = kind.name
        self.chains: dict[str, Chain] = {hook.name: Chain(self, hook.name, NF_ACCEPT) for hook in kind.hooks}
        self._bases = {hook: self.chains[hook.name] for hook in kind.hooks}

    def user_chains(self) -> list[Chain]:
        """Return the chains that users made, by name."""
        return sorted((chain for chain in self.chains.values() if not chain.builtin), key=lambda chain: chain.name)

    def builtin_chains(self) -> list[Chain]:
        """Return the chains that hooks enter, in the order of the hooks."""
        return list(self._bases.values())

    def handle(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """Let a packet meet the rules of a hook; on DROP it has been counted."""
        context = self.netfilter.contexts[hook]
        base = self._bases[hook]
        if not base.rules:
            return self._policy(base, skb, context, len(skb.data) - skb.network)
        try:
            return self._walk(base, skb, context)
        except Hotdrop as drop:
            netns.drop(skb, DropReason.NETFILTER_DROP, table=self.name, rule=f"-m {drop.match} could not tell")
            return NF_DROP

    def _walk(self, base: Chain, skb: Skb, context: Context) -> Verdict:  # noqa: C901 - a call less for each rule
        """Walk through the chains. The way back into one is kept as the iterator over its program."""
        chain = base
        entries = chain.entries()
        stack: list[tuple[Chain, Iterator[Rule | Run]]] = []
        size = len(skb.data) - skb.network
        considered = skb.trace is not None and skb.trace.considered
        while True:
            for entry in entries:
                rule = entry
                if isinstance(rule, Run):
                    found = rule.find(skb)
                    if considered:
                        entries = concatenate(stand_in(rule.rules, found), entries)
                        break
                    if found is None:
                        continue
                    if len(found) > 1:
                        entries = concatenate(found, entries)
                        break
                    rule = found[0]
                for predicate in rule.predicates or ():
                    if not predicate(skb, context):
                        if considered:
                            note_miss(chain, rule, predicate, skb, context)
                        break
                else:
                    rule.packets += 1
                    rule.bytes += size
                    if skb.record is not None or skb.trace is not None or skb.nf_trace:
                        _note_match(chain, rule, skb, context)
                    if rule.chain is not None:
                        if not rule.spec.goto:
                            stack.append((chain, entries))
                        chain = rule.chain
                        entries = chain.entries()
                        break
                    if rule.returns:
                        entries = iter(())
                        break
                    if rule.target is not None:
                        verdict = _apply(self, chain, rule, skb, context)
                        if verdict is not None:
                            return verdict
                        if rule.target.resizes:
                            size = len(skb.data) - skb.network
            else:
                if not stack:
                    return self._policy(base, skb, context, size)
                chain, entries = stack.pop()

    def _policy(self, base: Chain, skb: Skb, context: Context, size: int) -> Verdict:
        if base.counts:
            base.packets += 1
            base.bytes += size
        verdict = base.policy or NF_ACCEPT
        if skb.trace is not None:
            skb.step(context.netns, StepKind.POLICY, table=self.name, chain=base.name, verdict=verdict.name)
        if skb.nf_trace:
            trace_policy(base, verdict.name, skb, context)
        if verdict is NF_DROP:
            if skb.record is not None:
                skb.record.policy = base
            context.netns.drop(skb, DropReason.NETFILTER_DROP, table=self.name, chain=base.name, rule="policy")
        return verdict


def _apply(table: Table, chain: Chain, rule: Rule, skb: Skb, context: Context) -> Verdict | None:
    target = rule.target
    if target is None:
        return None
    if skb.trace is None:
        verdict = target.apply(skb, context)
    else:
        mark = skb.mark
        verdict = target.apply(skb, context)
        if skb.mark != mark:
            skb.step(context.netns, StepKind.MARK, before=f"{mark:#x}", after=f"{skb.mark:#x}")
    if skb.nf_trace:
        trace_rule(chain, rule.number, "CONTINUE" if verdict is None else verdict.name, skb, context)
    if verdict is NF_DROP:
        context.netns.drop(skb, target.reason, table=table.name, chain=chain.name, rule=rule.number)
        target.after_drop(skb, context)
    return verdict


def _way_on(rule: Rule) -> str:
    """Return the verdict of a rule without a target of its own, as nftables names it."""
    if rule.chain is not None:
        return f"{'GOTO' if rule.spec.goto else 'JUMP'}:{rule.chain.name}"
    return "RETURN" if rule.returns else "CONTINUE"


def _note_match(chain: Chain, rule: Rule, skb: Skb, context: Context) -> None:
    """Tell a packet's record and its trace of a rule that matched; TRACE's events too, but those of a target."""
    if skb.record is not None:
        skb.record.rules.append((chain, rule))
    if skb.nf_trace and rule.target is None:
        trace_rule(chain, rule.number, _way_on(rule), skb, context)
    if skb.trace is None:
        return
    if rule.chain is not None:
        verdict = rule.chain.name
    else:
        verdict = "CONTINUE" if rule.spec.target is None else rule.spec.target.name
    logged = "" if rule.spec.target is None else rule.spec.target.logged(skb)
    skb.step(
        context.netns,
        StepKind.RULE,
        table=chain.table.name,
        chain=chain.name,
        number=rule.number,
        rule=f"-A {chain.name} {rule.spec.format()}",
        verdict=verdict,
        **({"logged": logged} if logged else {}),
    )
