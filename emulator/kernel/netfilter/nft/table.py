"""A table with its chains, rules, sets and named counters, and a packet's walk through them (nf_tables_core.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.drop import DropReason
from emulator.kernel.netfilter.hook import NF_ACCEPT, NF_DROP, Hook, Verdict
from emulator.kernel.netfilter.nft.considered import note_match, note_miss
from emulator.kernel.netfilter.nft.element import Counted
from emulator.kernel.netfilter.nft.statement.match import FlagMatch, Match
from emulator.kernel.netfilter.nft.statement.statement import Rejected, Statement, Step
from emulator.kernel.netfilter.nft.statement.verdict import ACCEPT, BREAK, CONTINUE, DROP, GOTO, JUMP, Outcome
from emulator.kernel.trace import StepKind

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.set import NftSet
    from emulator.kernel.netns import Netns
    from emulator.kernel.skb import Skb


class Base(Struct, frozen=True):
    """What makes a chain one that packets enter: `type filter hook forward priority 0; policy drop;`."""

    kind: str
    hook: str
    priority: int
    policy: str = ACCEPT


class NftRule:
    """A rule. `number` counts from 1 in its chain and is set when it is asked for (`number_rules`).

    `steps` is None until a packet meets the rule: most rules of a node that has very many never see one.
    """

    __slots__ = ("comment", "handle", "number", "statements", "states", "steps")

    def __init__(self, statements: tuple[Statement, ...], comment: str = "") -> None:
        self.statements = statements
        self.comment = comment
        self.handle = 0
        self.number = 0
        self.states: tuple[object, ...] = ()
        self.steps: tuple[Step, ...] | None = None

    def start(self, netfilter: Netfilter) -> None:
        """Make what it remembers."""
        states = [statement.start(netfilter) for statement in self.statements]
        if states != [None] * len(states):
            self.states = tuple(states)

    def bind(self, netfilter: Netfilter, table: NftTable) -> tuple[Step, ...]:
        """Compile it."""
        pairs = zip(self.statements, self.states or (None,) * len(self.statements), strict=True)
        bound = [statement.bind(netfilter, table, state) for statement, state in pairs]
        self.steps = tuple([step for step in bound if step is not None])
        return self.steps

    def statement_of(self, step: Step) -> Statement:
        """Return the statement that one of its steps was compiled of."""
        acting = [statement for statement in self.statements if statement.acts]
        return acting[(self.steps or ()).index(step)]

    def format(self, *, stateless: bool = False) -> str:
        """Print it as a listing does, without its handle."""
        states = self.states or (None,) * len(self.statements)
        words = [
            each.format(state, stateless=stateless)
            for each, state in zip(self.statements, states, strict=True)
            if not (isinstance(each, Match | FlagMatch) and each.hidden)
        ]
        if self.comment:
            words.append(f'comment "{self.comment}"')
        return " ".join(words)


class NftChain:
    """A chain. `uses` counts the jumps to it from rules and elements of maps."""

    __slots__ = ("base", "comment", "handle", "name", "numbered", "packets_hook", "rules", "table", "uses")

    def __init__(self, table: NftTable, name: str, base: Base | None = None, comment: str = "") -> None:
        self.table = table
        self.name = name
        self.base = base
        self.comment = comment
        self.handle = 0
        self.uses = 0
        self.rules: list[NftRule] = []
        self.numbered = True
        self.packets_hook = self.handle_packet  # one bound method, so that it can be taken away again

    def number_rules(self) -> None:
        """Number the rules, for traces and records."""
        for number, rule in enumerate(self.rules, 1):
            rule.number = number
        self.numbered = True

    def handle_packet(self, netns: Netns, hook: Hook, skb: Skb) -> Verdict:
        """Let a packet meet the rules of a base chain (`nft_do_chain`); on DROP it has been counted."""
        context = netns.netfilter.contexts[hook]
        chain, rules = self, iter(self.rules)
        chains = self.table.chains
        stack: list[tuple[NftChain, Iterator[NftRule]]] = []
        step: Step | None = None
        while True:
            for rule in rules:
                outcome: Outcome | None = None
                steps = rule.steps
                if steps is None:
                    steps = rule.bind(netns.netfilter, self.table)
                for step in steps:
                    outcome = step(skb, context)
                    if outcome is not None:
                        break
                if skb.record is not None or skb.trace is not None:
                    _note(chain, rule, step, outcome, skb, context)
                if outcome is None:
                    continue
                kind = outcome.kind
                if kind in (BREAK, CONTINUE):
                    continue
                if kind == ACCEPT:
                    return NF_ACCEPT
                if kind == DROP:
                    return _drop(chain, rule, outcome, skb, netns, hook)
                if kind == JUMP:
                    stack.append((chain, rules))
                if kind in (JUMP, GOTO):
                    chain = chains[outcome.chain]
                    rules = iter(chain.rules)
                else:
                    rules = iter(())
                break
            else:
                if not stack:
                    return self._policy(netns, skb)
                chain, rules = stack.pop()

    def _policy(self, netns: Netns, skb: Skb) -> Verdict:
        verdict = NF_DROP if self.base is not None and self.base.policy == DROP else NF_ACCEPT
        if skb.trace is not None:
            skb.step(netns, StepKind.POLICY, table=self.table.title, chain=self.name, verdict=verdict.name)
        if verdict is NF_DROP:
            if skb.record is not None:
                skb.record.policy = self
            netns.drop(skb, DropReason.NETFILTER_DROP, table=self.table.title, chain=self.name, rule="policy")
        return verdict


def _drop(chain: NftChain, rule: NftRule, outcome: Outcome, skb: Skb, netns: Netns, hook: Hook) -> Verdict:
    rejected = isinstance(outcome, Rejected)
    if not chain.numbered:
        chain.number_rules()
    reason = DropReason.NETFILTER_REJECT if rejected else DropReason.NETFILTER_DROP
    netns.drop(skb, reason, table=chain.table.title, chain=chain.name, rule=rule.number)
    if isinstance(outcome, Rejected) and outcome.answer is not None:
        outcome.answer(skb, netns.netfilter.contexts[hook])
    return NF_DROP


def _note(
    chain: NftChain, rule: NftRule, step: Step | None, outcome: Outcome | None, skb: Skb, context: Context
) -> None:
    """Tell a packet's record and its trace of a rule. `step` gave the outcome, if there is one."""
    if not chain.numbered:
        chain.number_rules()
    trace = skb.trace
    if outcome is not None and outcome.kind == BREAK:
        if step is not None and trace is not None and trace.considered:
            note_miss(chain, rule, rule.statement_of(step), skb, context)
        return
    if skb.record is not None:
        skb.record.rules.append((chain, rule))
    if trace is not None:
        last = None if step is None or outcome is None else rule.statement_of(step)
        note_match(chain, rule, last, outcome, skb, context)


class NamedCount:
    """A counter that rules share by its name."""

    __slots__ = ("comment", "counted", "handle", "name", "uses")

    def __init__(self, name: str, counted: Counted, comment: str = "") -> None:
        self.name = name
        self.counted = counted
        self.comment = comment
        self.handle = 0
        self.uses = 0


class NftTable:
    """A table of one family. Chains, sets and counters are in the order in which they were made."""

    __slots__ = ("chains", "comment", "counters", "dormant", "family", "handle", "name", "next_handle", "sets")

    def __init__(self, family: str, name: str, comment: str = "", *, dormant: bool = False) -> None:
        self.family = family
        self.name = name
        self.comment = comment
        self.dormant = dormant
        self.handle = 0
        self.next_handle = 1
        self.chains: dict[str, NftChain] = {}
        self.sets: dict[str, NftSet] = {}
        self.counters: dict[str, NamedCount] = {}

    @property
    def title(self) -> str:
        """Its family and name."""
        return f"{self.family} {self.name}"

    def take_handle(self) -> int:
        """Return the next handle; what is undone later does not give it back."""
        handle = self.next_handle
        self.next_handle += 1
        return handle
