"""Makes a disagreeing case small: takes away whatever it disagrees without, again and again until nothing can go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from tests.kernel_oracle.drawn.case import (
    Case,
    DatagramStep,
    EchoStep,
    ErrorStep,
    RuleLine,
    SctpStep,
    Shape,
    TableText,
    TcpStep,
)

_T = TypeVar("_T")
_SHAPED = TcpStep | DatagramStep | SctpStep | EchoStep | ErrorStep


def shrink(case: Case, fails: Callable[[Case], bool], *, tries: int = 400) -> Case:
    """Return the smallest case found for which `fails` holds; it is asked at most `tries` times."""
    left = tries
    progress = True
    while progress and left > 0:
        progress = False
        for smaller in _smaller(case):
            left -= 1
            if left < 0:
                break
            if fails(smaller):
                case = smaller
                progress = True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Yield simpler cases, the boldest first."""
    for steps in _without(case.steps):
        yield replace(case, steps=steps)
    for tables in _without(case.tables):
        yield replace(case, tables=tables)
    for number, table in enumerate(case.tables):
        for simpler in _simpler_table(table):
            yield replace(case, tables=_put(case.tables, number, simpler))
    for name in ("sysctls", "policy_rules", "routes", "sets"):
        for values in _without(getattr(case, name)):
            yield replace(case, **{name: values})
    for number, step in enumerate(case.steps):
        for simpler_step in _simpler_step(step):
            yield replace(case, steps=_put(case.steps, number, simpler_step))
    used = {step.conversation for step in case.steps if hasattr(step, "conversation")}
    if used and max(used) < len(case.conversations) - 1:
        yield replace(case, conversations=case.conversations[: max(used) + 1])


def _put(values: tuple[_T, ...], number: int, value: _T) -> tuple[_T, ...]:
    return (*values[:number], value, *values[number + 1 :])


def _without(values: Sequence[_T]) -> Iterator[tuple[_T, ...]]:
    """Yield the values without a half, a quarter and so on, down to without each one."""
    size = len(values)
    chunk = max(1, size // 2)
    while size:
        for start in range(size - chunk, -1, -chunk):
            yield (*values[:start], *values[start + chunk :])
        if chunk == 1:
            return
        chunk = max(1, chunk // 2)


def _simpler_table(table: TableText) -> Iterator[TableText]:
    for rules in _without(table.rules):
        yield replace(table, rules=rules)
    called = {rule.target.split()[-1] for rule in table.rules if rule.target}
    unused = set(table.chains) - called
    if unused:
        kept = tuple(chain for chain in table.chains if chain in called)
        yield replace(table, chains=kept, rules=tuple(rule for rule in table.rules if rule.chain not in unused))
    if any(policy != "ACCEPT" for _, policy in table.policies):
        yield replace(table, policies=tuple((chain, "ACCEPT") for chain, _ in table.policies))
    for number, rule in enumerate(table.rules):
        for tests in _without(rule.tests):
            yield replace(table, rules=_put(table.rules, number, RuleLine(rule.chain, tests, rule.target)))


def _simpler_step(step: object) -> Iterator[object]:
    if not isinstance(step, _SHAPED):
        return
    if step.shape != Shape():
        yield replace(step, shape=Shape())
        plain = Shape()
        for each in fields(Shape):
            if getattr(step.shape, each.name) != getattr(plain, each.name):
                yield replace(step, shape=replace(step.shape, **{each.name: getattr(plain, each.name)}))
    if isinstance(step, TcpStep):
        if step.options:
            yield replace(step, options="")
        if step.length:
            yield replace(step, length=0)
        if step.window != 1000:
            yield replace(step, window=1000)
    if isinstance(step, DatagramStep | EchoStep) and step.length > 8:
        yield replace(step, length=8)
