"""`iptables-save`: the rules as text that `iptables-restore` reads again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.iptables.table import TABLE_KINDS

if TYPE_CHECKING:
    from emulator.kernel.netfilter.iptables.table import Table
    from emulator.kernel.netfilter.netfilter import Netfilter


def save(netfilter: Netfilter, name: str | None, *, counters: bool) -> str:
    """Return one table, or all that were used, in iptables-save's order."""
    names = list(TABLE_KINDS) if name is None else [name]
    tables = [netfilter.tables[each] for each in names if each in netfilter.tables]
    return "".join(line + "\n" for table in tables for line in save_table(table, counters=counters))


def save_table(table: Table, *, counters: bool) -> Iterator[str]:
    """Yield the lines of one table."""
    users = table.user_chains()
    chains = [*table.builtin_chains(), *users]
    yield f"*{table.name}"
    for chain in chains:
        policy = "-" if chain.policy is None else chain.policy.name
        yield f":{chain.name} {policy} [{chain.packets}:{chain.bytes}]"
    for chain in chains:
        for rule in chain.rules:
            prefix = f"[{rule.packets}:{rule.bytes}] " if counters else ""
            yield f"{prefix}-A {chain.name} {rule.spec.format()}".rstrip()
    yield "COMMIT"
