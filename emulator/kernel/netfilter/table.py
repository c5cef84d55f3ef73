"""One table of iptables in one namespace, and the walk of a packet through its chains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.chain import Chain, Program, Run
from emulator.kernel.netfilter.hook import Hook, Priority, Verdict
from emulator.kernel.netfilter.match.base import Hotdrop
from emulator.kernel.netfilter.rule import Rule
from emulator.kernel.trace import StepKind

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.skb import Skb

    Frame = tuple[Chain, Program, int]


@dataclass(frozen=True, slots=True)
class TableKind:
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
        self.chains: dict[str, Chain] = {hook.name: Chain(self, hook.name, Verdict.ACCEPT) for hook in kind.hooks}
        self._bases = {hook: self.chains[hook.name] for hook in kind.hooks}

    def user_chains(self) -> list[Chain]:
        """Return the chains that users made, by name."""
        return sorted((chain for chain in self.chains.values() if not chain.builtin), key=lambda chain: chain.name)

    def builtin_chains(self) -> list[Chain]:
        """Return the chains that hooks enter, in the order of the hooks."""
        return list(self._bases.values())

    def adopt(self, chains: dict[str, Chain]) -> None:
        """Take over a whole new set of chains, as one step."""
        self.chains = chains
        self._bases = {hook: chains[hook.name] for hook in self.kind.hooks}
        for chain in chains.values():
            chain.program = None
        self.netfilter.changed()

    def evaluate(self, skb: Skb, context: Context) -> Verdict:
        """Walk a packet through the chains that begin at a hook; on DROP it has been counted."""
        try:
            return self._walk(skb, context)
        except Hotdrop as drop:
            context.netns.drop(skb, DropReason.NETFILTER_DROP, table=self.name, rule=f"-m {drop.match} could not tell")
            return Verdict.DROP

    def _walk(self, skb: Skb, context: Context) -> Verdict:
        base = chain = self._bases[context.hook]
        program = chain.compile() if chain.program is None else chain.program
        stack: list[Frame] = []
        position = 0
        size = len(skb.data) - skb.network
        while True:
            if position >= len(program):
                if not stack:
                    return self._policy(base, skb, context, size)
                chain, program, position = stack.pop()
                continue
            entry = program[position]
            position += 1
            if isinstance(entry, Run):
                found = entry.find(skb)
                if found is None:
                    continue
                if len(found) > 1:
                    program, position = found + program[position:], 0
                    continue
                rule = found[0]
            else:
                rule = entry
            if not rule.matches(skb, context):
                continue
            rule.packets += 1
            rule.bytes += size
            if skb.record is not None or skb.trace is not None:
                _note_match(chain, rule, skb, context)
            if rule.chain is not None:
                if not rule.spec.goto:
                    stack.append((chain, program, position))
                chain = rule.chain
                program, position = chain.compile() if chain.program is None else chain.program, 0
            elif rule.returns:
                position = len(program)
            elif rule.target is not None:
                verdict = _apply(self, chain, rule, skb, context)
                if verdict is not None:
                    return verdict

    def _policy(self, base: Chain, skb: Skb, context: Context, size: int) -> Verdict:
        base.packets += 1
        base.bytes += size
        verdict = base.policy or Verdict.ACCEPT
        if skb.trace is not None:
            skb.step(context.netns, StepKind.POLICY, table=self.name, chain=base.name, verdict=verdict.name)
        if verdict is Verdict.DROP:
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
    if verdict is Verdict.DROP:
        context.netns.drop(skb, target.reason, table=table.name, chain=chain.name, rule=rule.number)
        target.after_drop(skb, context)
    return verdict


def _note_match(chain: Chain, rule: Rule, skb: Skb, context: Context) -> None:
    """Tell a packet's record and its trace of a rule that matched."""
    if skb.record is not None:
        skb.record.rules.append((chain, rule))
    if skb.trace is None:
        return
    if rule.chain is not None:
        verdict = rule.chain.name
    else:
        verdict = "CONTINUE" if rule.spec.target is None else rule.spec.target.name
    skb.step(
        context.netns,
        StepKind.RULE,
        table=chain.table.name,
        chain=chain.name,
        number=rule.number,
        rule=f"-A {chain.name} {rule.spec.format()}",
        verdict=verdict,
    )
