"""Draws the tables of a case: policies, user chains that call each other, rules."""

from __future__ import annotations

import functools
import random

from tests.kernel_oracle.drawn.case import RuleLine, TableText
from tests.kernel_oracle.drawn.matches import Place, draw_tests
from tests.kernel_oracle.drawn.sets import DrawnSet
from tests.kernel_oracle.drawn.targets import draw_target
from tests.kernel_oracle.drawn.topology import Topology

HOOKS = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
_WEIGHTS = {  # how often packets pass a chain, and how often it is worth a rule
    "PREROUTING": 4, "INPUT": 1.5, "FORWARD": 4, "OUTPUT": 1.5, "POSTROUTING": 4,
}  # fmt: skip
_PROBABILITIES = {"raw": 0.35, "mangle": 0.45, "nat": 0.75, "filter": 0.8, "security": 0.15}
_SIZES = {"raw": 2, "mangle": 4, "nat": 5, "filter": 6, "security": 2}


def draw_tables(
    r: random.Random, topology: Topology, sets: tuple[DrawnSet, ...], boost: str = ""
) -> tuple[TableText, ...]:
    """Draw tables in the order that iptables-save prints; `boost` names one that is certainly there."""
    names = [name for name in HOOKS if name == boost or r.random() < _PROBABILITIES[name]]
    return tuple(_draw_table(r, topology, sets, name) for name in names)


def _draw_table(r: random.Random, topology: Topology, sets: tuple[DrawnSet, ...], table: str) -> TableText:
    hooks = HOOKS[table]
    draw = functools.partial(_draw_rule, r, topology, sets, table)
    policies = tuple(
        (hook, "DROP" if table != "nat" and r.random() < (0.08 if table == "filter" else 0.01) else "ACCEPT")
        for hook in hooks
    )
    chains: dict[str, frozenset[str]] = {}
    for number in range(r.choice((0, 0, 1, 1, 2, 3))):
        callers = frozenset(r.sample(hooks, r.randint(1, len(hooks))))
        if table == "nat":  # the targets of a chain must suit every hook that reaches it
            callers = frozenset(r.choice((("PREROUTING", "OUTPUT"), ("POSTROUTING",), ("PREROUTING",))))
        chains[f"U{number}"] = callers
    rules = []
    for _ in range(r.randint(1, _SIZES[table])):
        hook = r.choices(hooks, [_WEIGHTS[hook] for hook in hooks])[0]
        callable_chains = [name for name, callers in chains.items() if hook in callers]
        rules.append(draw(hook, frozenset({hook}), callable_chains))
    names = list(chains)
    for position, name in enumerate(names):
        deeper = [other for other in names[position + 1 :] if chains[name] <= chains[other]]
        rules += [draw(name, chains[name], deeper) for _ in range(r.randint(1, 3))]
    return TableText(table, policies, tuple(names), tuple(rules))


def _draw_rule(
    r: random.Random,
    topology: Topology,
    sets: tuple[DrawnSet, ...],
    table: str,
    chain: str,
    hooks: frozenset[str],
    callable_chains: list[str],
) -> RuleLine:
    protocol = r.choices(("", "tcp", "udp", "icmp", "sctp"), (5, 5, 3, 2, 0.5))[0]
    place = Place(r, topology, table, hooks, protocol, sets)
    tests = draw_tests(place)
    if callable_chains and r.random() < 0.5:
        return RuleLine(chain, tests, f"-{r.choice('jjjg')} {r.choice(callable_chains)}")
    return RuleLine(chain, tests, draw_target(place))
