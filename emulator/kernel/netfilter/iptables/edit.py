"""Changes to one table, made on a draft and checked as a whole before packets see any of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from emulator.kernel.netfilter.error import KernelError, NoChainError, RefusedError, RuleError, TableError, Unknown
from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.iptables.chain import Chain
from emulator.kernel.netfilter.iptables.draft import Draft
from emulator.kernel.netfilter.iptables.reach import bits_of, check_whole, names_of, settle
from emulator.kernel.netfilter.iptables.rule import Rule, RuleSpec
from emulator.kernel.netfilter.iptables.table import TABLE_KINDS, Table
from emulator.kernel.netfilter.match import MATCHES
from emulator.kernel.netfilter.target import TARGETS

if TYPE_CHECKING:
    from emulator.kernel.netfilter.netfilter import Netfilter

MAXIMUM_NAME = 28
_POLICIES = {"ACCEPT": Verdict.ACCEPT, "DROP": Verdict.DROP}
_NO_OUT = frozenset({"PREROUTING", "INPUT"})
_NO_IN = frozenset({"OUTPUT", "POSTROUTING"})
NO_SUCH_RULE = "Bad rule (does a matching rule exist in that chain?)."
_NO_CHAIN = "No chain/target/match by that name."
_NAT_DROP = 'The "nat" table is not intended for filtering, the use of DROP is therefore inhibited.'


class Edit:
    """A draft of a table. Rules keep their counters and memory as long as they stay in it."""

    def __init__(self, netfilter: Netfilter, name: str, *, flush: bool = False) -> None:
        kind = TABLE_KINDS.get(name)
        if kind is None:
            raise TableError(name, TABLE_KINDS)
        self._netfilter = netfilter
        self._flush = flush
        self._live = netfilter.tables.get(name)
        self.table = self._live or Table(netfilter, kind)
        self.touched = False
        self._renamed = False
        self._jumps: dict[str, set[str]] = {}  # by chain, where its new rules jump to
        self.chains = Draft(self.table)
        if flush:
            self.chains.clear()

    # Chains

    def chain(self, name: str) -> Chain:
        """Return a chain of the draft, to be changed."""
        found = self.chains.writable(name)
        if found is None:
            raise RefusedError(_NO_CHAIN)
        self.touched = True
        return found

    def declare(self, name: str, policy: str, counters: tuple[int, int]) -> None:
        """`:CHAIN POLICY [p:b]`: make or empty a user chain, whatever its policy, or set a built-in chain's."""
        self.touched = True
        found = self.chains.get(name)
        if found is None:
            self.new_chain(name)
        elif not found.builtin:
            self._empty(self.chain(name))
        elif policy == "-":
            self.chain(name).counts = True
        else:
            self.set_policy(name, policy, counters)

    def new_chain(self, name: str) -> None:
        """`-N`."""
        self.touched = True
        if name in self.chains:
            raise RefusedError("Chain already exists.")
        check_chain_name(name)
        self.chains.add(name)

    def delete_chain(self, name: str | None) -> None:
        """`-X`: one chain, or all user chains; none may have rules or be jumped to."""
        every = [self.chain(each.name) for each in [*self.chains.values()] if not each.builtin] if name is None else []
        for chain in every if name is None else [self.chain(name)]:
            if chain.builtin:
                raise RefusedError("Directory not empty.")  # a built-in chain goes only with its table
            if chain.rules or self.chains.jumps_to(chain.name):
                why = "it has rules" if chain.rules else "rules jump to it"
                place = f"chain {chain.name}"
                raise KernelError("Device or resource busy", why, operation="CHAIN_DEL", place=place)
            self.chains.remove(chain.name)

    def rename_chain(self, old: str, new: str) -> None:
        """`-E`; rules that jump to it follow."""
        check_chain_name(new)
        if new in self.chains:
            raise RefusedError("File exists.")
        chain = self.chain(old)
        if chain.builtin:
            raise KernelError("Operation not supported", operation="CHAIN_RENAME", place=f"chain {new}")
        self.new_chain(new)
        renamed = self.chain(new)
        renamed.rules, renamed.users = chain.rules, self.chains.jumps_to(old)
        self._renamed = True
        self.chains.users[old] = 0
        self.chains.remove(old)
        for each in [*self.chains.values()]:
            if any(rule.spec.jump == old for rule in each.rules):
                self.chain(each.name).rules = [_follow(rule, old, new) for rule in each.rules]

    def set_policy(self, name: str, policy: str, counters: tuple[int, int] = (0, 0)) -> None:
        """`-P`."""
        chain = self.chains.writable(name)
        if chain is None or not chain.builtin:
            raise RefusedError("Bad built-in chain name.")
        if policy not in _POLICIES:
            raise RefusedError("Bad policy name.")
        self.touched = True
        chain.policy = _POLICIES[policy]
        chain.packets, chain.bytes = counters
        chain.counts = True

    def flush(self, name: str | None) -> None:
        """`-F`: one chain, or all."""
        for chain in self._those(name):
            self._empty(chain)

    def _those(self, name: str | None) -> list[Chain]:
        """Return one chain, or all of them, to be changed: a command for all makes no table that was not there."""
        if name is not None:
            return [self.chain(name)]
        return [chain for each in [*self.chains] if (chain := self.chains.writable(each)) is not None]

    def _empty(self, chain: Chain) -> None:
        self.chains.uncount(chain.rules)
        chain.rules = []

    # Rules

    def append(self, name: str, specs: Sequence[RuleSpec], counters: tuple[int, int] = (0, 0)) -> None:
        """`-A`."""
        chain = self._chain_for(name, specs)
        for spec in specs:
            chain.rules.append(self._rule(chain, spec, counters))

    def insert(self, name: str, number: int, specs: Sequence[RuleSpec], counters: tuple[int, int] = (0, 0)) -> None:
        """`-I`: before rule `number`, from 1."""
        chain = self._chain_for(name, specs)
        if not 1 <= number <= len(chain.rules) + 1:
            raise RefusedError("Index of insertion too big.")
        for spec in specs:  # each at the same place, so that they stand the other way round
            chain.rules.insert(number - 1, self._rule(chain, spec, counters))

    def replace(self, name: str, number: int, specs: Sequence[RuleSpec], counters: tuple[int, int] = (0, 0)) -> None:
        """`-R`."""
        if len(specs) != 1:
            raise RuleError("Replacement rule does not specify a unique address")
        chain = self._chain_for(name, specs)
        if not 1 <= number <= len(chain.rules):
            raise RefusedError("Index of replacement too big.")
        rule = self._rule(chain, specs[0], counters)
        self.chains.uncount(chain.rules[number - 1 : number])
        chain.rules[number - 1] = rule

    def delete_number(self, name: str, number: int) -> None:
        """`-D` by number."""
        chain = self.chain(name)
        if not 1 <= number <= len(chain.rules):
            raise RefusedError("Index of deletion too big.")
        self.chains.uncount([chain.rules.pop(number - 1)])

    def delete(self, name: str, specs: Sequence[RuleSpec]) -> None:
        """`-D` by what the rule says: the first one that does."""
        chain = self._known_chain_for(name, specs)
        for spec in specs:
            self.chains.uncount([chain.rules.pop(self.find(chain, spec))])

    def check(self, name: str, specs: Sequence[RuleSpec]) -> None:
        """`-C`."""
        chain = self._known_chain_for(name, specs)
        for spec in specs:
            self.find(chain, spec)

    @staticmethod
    def find(chain: Chain, spec: RuleSpec) -> int:
        """Return where in the chain a rule stands, from 0."""
        for position, rule in enumerate(chain.rules):
            if rule.spec == spec:
                return position
        raise RefusedError(NO_SUCH_RULE)

    def zero(self, name: str | None, number: int | None = None) -> None:
        """`-Z`: the counters of one rule, of one chain, or of all."""
        if name is not None and number is not None:
            chain = self.chain(name)
            for rule in chain.rules[number - 1 : number]:  # a number that no rule has is no error
                rule.packets = rule.bytes = 0
            return
        for chain in self._those(name):
            chain.packets = chain.bytes = 0
            chain.counts = True
            for rule in chain.rules:
                rule.packets = rule.bytes = 0

    def _chain_for(self, name: str, specs: Sequence[RuleSpec]) -> Chain:
        """Return the chain of a rule; the one that it jumps to must be there too, and is looked for first."""
        jump = specs[0].jump
        if jump and jump not in self.chains:
            known = "" if jump in MATCHES else f" (targets are {', '.join(sorted(TARGETS))})"
            raise NoChainError(Unknown("target", jump), f"Chain '{jump}' does not exist{known}")
        return self.chain(name)

    def _known_chain_for(self, name: str, specs: Sequence[RuleSpec]) -> Chain:
        """Return the chain of a rule that must be there already."""
        try:
            return self._chain_for(name, specs)
        except RefusedError:
            raise RefusedError(NO_SUCH_RULE) from None

    def refuse_drop(self) -> None:
        """Refuse DROP where it would drop a connection's first packet only."""
        if self.table.name == "nat":
            raise RuleError(_NAT_DROP)

    def _rule(self, chain: Chain, spec: RuleSpec, counters: tuple[int, int]) -> Rule:
        """Make a rule that is about to stand in a chain."""
        self._check(chain, spec)
        rule = Rule(spec, *counters)
        self.chains.count(rule)
        if spec.jump:
            self._jumps.setdefault(chain.name, set()).add(spec.jump)
        return rule

    def _check(self, chain: Chain, spec: RuleSpec) -> None:
        """Refuse what can be seen to be wrong in the rule alone."""
        table = self.table.name
        target = spec.target
        if spec.jump and self.chains[spec.jump].builtin:
            raise KernelError("Operation not supported", f"{spec.jump} is built in")
        if target is not None and target.name == "DROP":
            self.refuse_drop()
        for part in spec.parts():
            if len(part.hooks) < len(Hook):
                chain.hooks &= bits_of(part.hooks)
            if part.tables and table not in part.tables:
                raise KernelError("Invalid argument", f"{part.name} is for table {', '.join(sorted(part.tables))}")
            if chain.builtin and Hook[chain.name] not in part.hooks:
                raise KernelError("Invalid argument", f"{part.name} is for {names_of(part.hooks)}")
            part.check(self._netfilter, table, chain.name)
        if spec.out_interface is not None and chain.name in _NO_OUT:
            raise RuleError(f"Can't use -o with {chain.name}")
        if spec.in_interface is not None and chain.name in _NO_IN:
            raise RuleError(f"Can't use -i with {chain.name}")

    # The whole

    def validate(self) -> None:
        """Refuse loops, jumps too deep, and targets that a hook they can be reached from does not allow."""
        if self._renamed or not settle(self.chains, self._jumps):
            self.chains.bounds = check_whole(self.table, self.chains)

    def commit(self) -> None:
        """Let packets see it. Call `validate` before."""
        if self._live is None:
            if not self.touched:
                return
            self._netfilter.install(self.table)
        draft = self.chains
        draft.apply()
        self._netfilter.changed()
        if self._flush and not self.touched:
            self._netfilter.uninstall(self.table)
        for rule in draft.fresh:
            for match in rule.spec.matches:
                if match.has_memory or match.prepares:
                    match.prepare(self._netfilter)
            target = rule.spec.target
            if target is not None and target.prepares:
                target.prepare(self._netfilter)
        self._netfilter.count_memories(draft.memories)
        if any(rule.spec.needs_conntrack for rule in draft.fresh):
            self._netfilter.conntrack.enable()
        elif draft.dropped and not self._netfilter.needs_conntrack():
            self._netfilter.conntrack.disable()


def check_chain_name(name: str) -> None:
    """Refuse a name that no user chain may have."""
    if name[:1] in ("-", "!"):
        raise RuleError(f"chain name not allowed to start with `{name[0]}'")
    if len(name) > MAXIMUM_NAME:
        raise RuleError(f"chain name `{name}' too long (must be under {MAXIMUM_NAME + 1} chars)")
    if name.split() != [name]:  # empty, or with a space in it
        raise RuleError("Invalid chain name")
    if name in TARGETS:
        raise RuleError("chain name may not clash with target name")


def _follow(rule: Rule, old: str, new: str) -> Rule:
    if rule.spec.jump != old:
        return rule
    return Rule(replace(rule.spec, jump=new), rule.packets, rule.bytes)
