"""A chain of rules, and what it is compiled to when a packet first meets it after a change."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.hook import Hook, Verdict
from emulator.kernel.netfilter.iptables.rule import BY_DADDR, BY_DPORT, BY_PROTOCOL, BY_SADDR, BY_SPORT, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emulator.kernel.netfilter.iptables.table import Table
    from emulator.kernel.skb import Skb

_FIELDS = (
    (BY_SADDR, "saddr"),
    (BY_DADDR, "daddr"),
    (BY_PROTOCOL, "protocol"),
    (BY_SPORT, "sport"),
    (BY_DPORT, "dport"),
)
ALL_HOOKS = (1 << len(Hook)) - 1
"""All hooks, as bits."""

_SELECTIVE = BY_SADDR | BY_DADDR | BY_SPORT | BY_DPORT
_SHORTEST_RUN = 4
_FRAGMENT_OFFSET = 0x1FFF


class Run:
    """Consecutive rules that all want exact values of the same fields, as a dict from these to the rules.

    Traversal and counters stay those of the list: a rule that is not found would not have matched.
    """

    __slots__ = ("_all", "_by_key", "_fields", "_on_ports")

    def __init__(self, shape: int, keyed: list[tuple[tuple[int, ...], Rule]]) -> None:
        names = [name for bit, name in _FIELDS if shape & bit]
        self._fields: Callable[[Skb], object] = attrgetter(*names)
        self._on_ports = bool(shape & (BY_SPORT | BY_DPORT))
        self._all = tuple(rule for _, rule in keyed)
        self._by_key: dict[object, tuple[Rule, ...]] = {}
        for values, rule in keyed:
            key = values[0] if len(names) == 1 else values
            found = self._by_key.get(key)
            self._by_key[key] = (rule,) if found is None else (*found, rule)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All its rules, in order."""
        return self._all

    def find(self, skb: Skb) -> tuple[Rule, ...] | None:
        """Return the rules that may match, in order."""
        if self._on_ports and skb.fragment & _FRAGMENT_OFFSET:  # ports are not among the Skb's fields then
            return self._all
        return self._by_key.get(self._fields(skb))


Program = tuple["Rule | Run", ...]


class Chain:
    """A list of rules. A built-in chain has a policy, and `counts` the packets that it decided.

    It does so once its policy or its counters were set: those of nftables, which iptables now is, are made with them.

    `users` is how many rules of the table jump to it. `height` is at least how many jumps in one another can follow in
    it, and `hooks` has (as bits) no hook that a part of it or of a chain below it does not allow: bounds, by which most
    changes are seen to be right without a look at the whole table.
    """

    __slots__ = (
        "bytes",
        "counts",
        "height",
        "hooks",
        "name",
        "packets",
        "policy",
        "program",
        "rules",
        "table",
        "users",
    )

    def __init__(self, table: Table, name: str, policy: Verdict | None = None) -> None:
        self.table = table
        self.name = name
        self.policy = policy
        self.packets = 0
        self.bytes = 0
        self.counts = False
        self.rules: list[Rule] = []
        self.program: Program | None = None
        self.users = 0
        self.height = 0
        self.hooks = ALL_HOOKS

    def copy(self) -> Chain:
        """Return a chain to be changed in its stead; the rules are the same ones."""
        copied = Chain(self.table, self.name, self.policy)
        copied.take(self)
        copied.rules = self.rules.copy()
        return copied

    def emptied(self) -> Chain:
        """Return the built-in chain as it is in a table that nobody wrote to."""
        return Chain(self.table, self.name, Verdict.ACCEPT)

    def take(self, other: Chain) -> None:
        """Become what another chain is; whoever refers to this one means that from now on."""
        self.policy, self.packets, self.bytes = other.policy, other.packets, other.bytes
        self.counts = other.counts
        self.rules, self.users, self.height, self.hooks = other.rules, other.users, other.height, other.hooks
        self.program = None

    @property
    def builtin(self) -> bool:
        """Whether packets enter here from a hook."""
        return self.policy is not None

    def entries(self) -> Iterator[Rule | Run]:
        """Iterate over what a packet meets."""
        program = self.program
        return iter(self.compile() if program is None else program)

    def changed(self) -> None:
        """Forget what was compiled."""
        self.program = None
        self.table.netfilter.changed()

    def compile(self) -> Program:
        """Number and bind the rules, and fold runs of similar ones into dicts."""
        netfilter, chains = self.table.netfilter, self.table.chains
        program: list[Rule | Run] = []
        run: list[tuple[tuple[int, ...], Rule]] = []
        run_shape = 0
        for number, rule in enumerate(self.rules, 1):
            rule.number = number
            spec = rule.spec
            if spec.ignored is not None:
                rule.predicates = (spec.ignored.predicate(self, number),)
            elif rule.predicates is None:
                rule.bind(netfilter)
            rule.chain = chains[spec.jump] if spec.jump else None
            shape, key = rule.key
            if not shape & _SELECTIVE or shape != run_shape:
                _close(program, run, run_shape)
                run = []
                run_shape = shape if shape & _SELECTIVE else 0
            if run_shape:
                run.append((key, rule))
            else:
                program.append(rule)
        _close(program, run, run_shape)
        self.program = tuple(program)
        return self.program


def _close(program: list[Rule | Run], run: list[tuple[tuple[int, ...], Rule]], shape: int) -> None:
    if len(run) < _SHORTEST_RUN:
        program.extend(rule for _, rule in run)
    else:
        program.append(Run(shape, run))
