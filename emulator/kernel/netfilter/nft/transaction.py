"""Changes to the tables of a namespace, all or none (nf_tables_api.c).

Each is made at once, with a note how to undo it, so that a transaction costs what its changes cost and not what the
tables hold; hooks are registered when it commits.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.error import BUSY, EXISTS, NO_ENTRY, NOT_SUPPORTED
from emulator.kernel.netfilter.nft.set import VERDICT, NftSet
from emulator.kernel.netfilter.nft.set_transaction import Refused, SetChanges, forget, remove, targets
from emulator.kernel.netfilter.nft.statement.dynamic import DEFAULT_SIZE, Dynamic
from emulator.kernel.netfilter.nft.table import Base, NftChain, NftRule, NftTable

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.engine import Nft

_CONNTRACK_PRIORITY = -200
_NAT_HOOKS = frozenset({"prerouting", "input", "output", "postrouting"})


class Transaction(SetChanges):
    """One batch of changes. Call `commit` or `roll_back` in the end."""

    def __init__(self, nft: Nft) -> None:
        super().__init__(nft)
        self._added: dict[NftChain, None] = {}
        self._removed: dict[NftChain, None] = {}
        self._tracked = nft.tracking

    def roll_back(self) -> None:
        """Leave everything as it was."""
        while self._undo:
            self._undo.pop()()

    def commit(self) -> None:
        """Make hooks of new base chains, and take away those of chains that went."""
        for chain in self._removed:
            self._nft.unhook(chain)
        if self._nft.tracking:
            self._netfilter.conntrack.enable()
        elif self._tracked and not self._netfilter.needs_conntrack():
            self._netfilter.conntrack.disable()
        for chain in self._added:
            self._nft.hook(chain)
        if self._undo:
            self._netfilter.changed()
        self._undo.clear()

    # Tables

    def table(self, family: str, name: str) -> NftTable:
        """Return a table."""
        found = self._nft.tables.get((family, name))
        if found is None:
            raise Refused(NO_ENTRY, direct=True)
        return found

    def add_table(self, family: str, name: str, comment: str, *, dormant: bool, create: bool) -> NftTable:
        """Add a table, if it is not there."""
        tables = self._nft.tables
        found = tables.get((family, name))
        if found is not None:
            if create:
                raise Refused(EXISTS)
            return found
        made = NftTable(family, name, comment, dormant=dormant)
        made.handle = self._nft.take_handle()
        tables[family, name] = made
        self._undo.append(partial(forget, tables, (family, name)))
        return made

    def delete_table(self, table: NftTable) -> None:
        """Delete a table with all that is in it."""
        tables, key = self._nft.tables, (table.family, table.name)
        before = dict(tables)  # few, unlike what is in them
        for chain in table.chains.values():
            for rule in chain.rules:
                self._release(chain, rule)
            self._unhook(chain)
        del tables[key]

        def undo() -> None:
            tables.clear()
            tables.update(before)

        self._undo.append(undo)

    # Chains

    def add_chain(self, table: NftTable, name: str, base: Base | None, comment: str, *, create: bool) -> NftChain:
        """Add a chain, or set the policy of the base chain that is there."""
        found = table.chains.get(name)
        if found is not None:
            self._update_chain(found, base, create)
            return found
        if base is not None:
            _check_base(base)
        made = NftChain(table, name, base, comment)
        made.handle = table.take_handle()
        table.chains[name] = made
        if base is not None:
            self._added[made] = None
        self._undo.append(partial(forget, table.chains, name))
        return made

    def _update_chain(self, found: NftChain, base: Base | None, create: bool) -> None:
        if create:
            raise Refused(EXISTS)
        if base is None:
            return
        old = found.base
        if old is None or (old.kind, old.hook, old.priority) != (base.kind, base.hook, base.priority):
            raise Refused(EXISTS)
        if old.policy != base.policy:
            found.base = base
            self._undo.append(lambda: setattr(found, "base", old))

    def set_policy(self, chain: NftChain, policy: str) -> None:
        """Set the policy of a base chain."""
        old = chain.base
        if old is None:
            raise Refused(NOT_SUPPORTED)
        chain.base = Base(old.kind, old.hook, old.priority, policy)
        self._undo.append(lambda: setattr(chain, "base", old))

    def delete_chain(self, chain: NftChain) -> None:
        """Delete a chain that nothing jumps to, with its rules."""
        if chain.uses:
            raise Refused(BUSY)
        self.flush_chain(chain)
        self._unhook(chain)
        remove(chain.table.chains, chain.name, self._undo)

    def rename_chain(self, chain: NftChain, name: str) -> None:
        """Rename a chain; rules that jump to it must not be there, since they go by its name."""
        if name in chain.table.chains:
            raise Refused(EXISTS)
        if chain.uses:
            raise Refused(BUSY)
        chains = chain.table.chains
        before, old = dict(chains), chain.name
        renamed = {name if key == old else key: each for key, each in chains.items()}
        chains.clear()
        chains.update(renamed)
        chain.name = name

        def undo() -> None:
            chain.name = old
            chains.clear()
            chains.update(before)

        self._undo.append(undo)

    def flush_chain(self, chain: NftChain) -> None:
        """Delete the rules of a chain."""
        rules = chain.rules
        if not rules:
            return
        for rule in rules:
            self._release(chain, rule)
        chain.rules = []
        self._undo.append(lambda: setattr(chain, "rules", rules))

    def _unhook(self, chain: NftChain) -> None:
        if chain.base is None:
            return
        if chain in self._added:
            del self._added[chain]
            self._undo.append(lambda: self._added.setdefault(chain))
        else:
            self._removed[chain] = None
            self._undo.append(lambda: self._removed.pop(chain, None))

    # Rules

    def add_rule(self, chain: NftChain, rule: NftRule, index: int) -> None:
        """Put a rule in at an index."""
        table = chain.table
        self._check_rule(chain, rule)
        for statement in rule.statements:
            for found in statement.sets():
                found.handle = table.take_handle()
        rule.handle = table.take_handle()
        rule.start(self._netfilter)
        self._hold(chain, rule)
        chain.rules.insert(index, rule)
        chain.numbered = False

        def undo() -> None:
            chain.rules.remove(rule)
            chain.numbered = False

        self._undo.append(undo)

    def delete_rule(self, chain: NftChain, rule: NftRule) -> None:
        """Delete a rule."""
        index = chain.rules.index(rule)
        self._release(chain, rule)
        del chain.rules[index]
        chain.numbered = False
        self._undo.append(lambda: chain.rules.insert(index, rule))

    def _check_rule(self, chain: NftChain, rule: NftRule) -> None:
        base = chain.base
        for statement in rule.statements:
            hooks = statement.nat_hooks
            if base is not None and hooks and (base.kind != "nat" or base.hook not in hooks):
                raise Refused(NOT_SUPPORTED)
            for name in statement.chains():
                self.check_loop(chain.table, {chain.name}, name)
            for name in statement.set_names():
                if chain.table.sets[name].declaration.data == VERDICT:
                    for target in targets(chain.table.sets[name]):
                        self.check_loop(chain.table, {chain.name}, target)

    def _hold(self, chain: NftChain, rule: NftRule) -> None:
        self._count(chain, rule, 1)
        self._undo.append(lambda: self._count(chain, rule, -1))
        for statement in rule.statements:
            if isinstance(statement, Dynamic):
                self._bound_by_packets(chain.table.sets[statement.set_name])

    def _bound_by_packets(self, found: NftSet) -> None:
        if not found.packet_size:
            found.packet_size = DEFAULT_SIZE
            self._undo.append(lambda: setattr(found, "packet_size", 0))
        fresh = found in self._new_sets and not found.declaration.data
        if fresh and "dynamic" not in found.declaration.flags:  # nft says so itself, if it makes the set too
            before = found.declaration
            found.declaration = replace(before, flags=before.flags | {"dynamic"})
            self._undo.append(lambda: setattr(found, "declaration", before))

    def _release(self, chain: NftChain, rule: NftRule) -> None:
        self._count(chain, rule, -1)
        self._undo.append(lambda: self._count(chain, rule, 1))

    def _count(self, chain: NftChain, rule: NftRule, change: int) -> None:
        table = chain.table
        tracks = False
        for statement in rule.statements:
            tracks = tracks or statement.needs_conntrack
            for name in statement.chains():
                table.chains[name].uses += change
            for name in statement.set_names():
                table.sets[name].uses += change
                users = table.sets[name].users
                users[chain.name] = users.get(chain.name, 0) + change
            for name in statement.counters():
                table.counters[name].uses += change
        if tracks and table.family != "ip6":
            self._nft.tracking += change


def _check_base(base: Base) -> None:
    if base.kind == "nat" and (base.hook not in _NAT_HOOKS or base.priority <= _CONNTRACK_PRIORITY):
        raise Refused(NOT_SUPPORTED)
    if base.kind == "route" and base.hook != "output":
        raise Refused(NOT_SUPPORTED)


__all__ = ["Refused", "Transaction"]
