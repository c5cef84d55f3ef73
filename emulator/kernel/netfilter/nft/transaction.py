"""Changes to the tables of a namespace, all or none. Each is made at once and noted how to undo, so that the cost of a
transaction is that of its changes; hooks are registered when it commits (nf_tables_api.c).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from emulator.kernel.netfilter.nft.dynamic import DEFAULT_SIZE, Dynamic
from emulator.kernel.netfilter.nft.element import DEFAULT, Element
from emulator.kernel.netfilter.nft.element_parser import merge
from emulator.kernel.netfilter.nft.error import (
    BUSY,
    EXISTS,
    NO_ENTRY,
    NO_SPACE,
    NOT_SUPPORTED,
    TOO_MANY_LINKS,
)
from emulator.kernel.netfilter.nft.set import Declaration, NftSet
from emulator.kernel.netfilter.nft.storage import Intervals, Overlap
from emulator.kernel.netfilter.nft.table import Base, NamedCount, NftChain, NftRule, NftTable
from emulator.kernel.netfilter.nft.verdict import Outcome

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.engine import Nft

_Key = TypeVar("_Key")
_Any = TypeVar("_Any")
_Thing = TypeVar("_Thing", NftChain, NftSet, NamedCount)
_CONNTRACK_PRIORITY = -200
_NAT_HOOKS = frozenset({"prerouting", "input", "output", "postrouting"})


class Refused(Exception):  # noqa: N818 - whoever knows the place in the script makes an error of it
    """The kernel says no. `direct`: nft found it before it asked the kernel, and says no more than the reason."""

    def __init__(self, reason: str, *, direct: bool = False) -> None:
        self.direct = direct
        super().__init__(reason if direct else f"Could not process rule: {reason}")


class Transaction:
    """One batch of changes. Call `commit` or `roll_back` in the end."""

    def __init__(self, nft: Nft) -> None:
        self._nft = nft
        self._netfilter = nft.netfilter
        self._undo: list[Callable[[], None]] = []
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
        self._undo.append(partial(_forget, tables, (family, name)))
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
        self._undo.append(partial(_forget, table.chains, name))
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
        _remove(chain.table.chains, chain.name, self._undo)

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
        rule.bind(self._netfilter, table)
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
                self._check_loop(chain.table, {chain.name}, name)
            for name in statement.set_names():
                for element in chain.table.sets[name]:
                    if isinstance(element.data, Outcome) and element.data.chain:
                        self._check_loop(chain.table, {chain.name}, element.data.chain)

    @staticmethod
    def _check_loop(table: NftTable, origins: set[str], start: str) -> None:
        """Refuse a way from a chain back to where it is jumped to from."""
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name in origins:
                raise Refused(TOO_MANY_LINKS)
            if name in seen:
                continue
            seen.add(name)
            for rule in table.chains[name].rules:
                for statement in rule.statements:
                    waiting += statement.chains()
                    for set_name in statement.set_names():
                        if table.sets[set_name].declaration.data == "verdict":
                            waiting += _targets(table.sets[set_name])

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

    def _release(self, chain: NftChain, rule: NftRule) -> None:
        self._count(chain, rule, -1)
        self._undo.append(lambda: self._count(chain, rule, 1))

    def _count(self, chain: NftChain, rule: NftRule, change: int) -> None:
        table = chain.table
        if table.family != "ip6" and any(statement.needs_conntrack for statement in rule.statements):
            self._nft.tracking += change
        for statement in rule.statements:
            for name in statement.chains():
                table.chains[name].uses += change
            for name in statement.set_names():
                table.sets[name].uses += change
                users = table.sets[name].users
                users[chain.name] = users.get(chain.name, 0) + change
            for name in statement.counters():
                table.counters[name].uses += change

    # Sets

    def add_set(self, table: NftTable, name: str, declaration: Declaration, *, create: bool) -> NftSet:
        """Add a set; one that is declared alike may be there."""
        found = table.sets.get(name)
        if found is not None:
            if create or found.declaration != declaration:
                raise Refused(EXISTS)
            return found
        made = NftSet(self._netfilter.netns.kernel, name, declaration)
        made.handle = table.take_handle()
        table.sets[name] = made
        self._undo.append(partial(_forget, table.sets, name))
        return made

    def delete_set(self, table: NftTable, found: NftSet) -> None:
        """Delete a set that no rule looks into."""
        if found.uses:
            raise Refused(BUSY)
        self.flush_set(table, found)
        _remove(table.sets, found.name, self._undo)

    def flush_set(self, table: NftTable, found: NftSet) -> None:
        """Delete the elements of a set."""
        before, default = found.storage, found.default
        self._count_targets(table, found, -1)
        found.storage = type(before)()
        found.default = None

        def undo() -> None:
            found.storage, found.default = before, default
            self._count_targets(table, found, 1)

        self._undo.append(undo)

    @staticmethod
    def _count_targets(table: NftTable, found: NftSet, change: int) -> None:
        if found.declaration.data == "verdict":
            for name in _targets(found):
                table.chains[name].uses += change

    def add_element(self, table: NftTable, found: NftSet, element: Element, *, create: bool) -> None:
        """Add an element; one with the same data may be there."""
        present = found.default if element.key is DEFAULT else found.exact(element.key)
        if present is not None:
            if create or present.data != element.data:
                raise Refused(EXISTS)
            return
        if found.declaration.size and found.full():
            raise Refused(NO_SPACE)
        target = element.data.chain if isinstance(element.data, Outcome) else ""
        if target:
            self._check_loop(table, {name for name, uses in found.users.items() if uses}, target)
            table.chains[target].uses += 1
        found.start(element)
        undo = self._store(found, element)

        def remove() -> None:
            undo()
            if target:
                table.chains[target].uses -= 1

        self._undo.append(remove)

    @staticmethod
    def _store(found: NftSet, element: Element) -> Callable[[], None]:
        if element.key is DEFAULT:
            found.default = element
            return lambda: setattr(found, "default", None)
        storage = found.storage
        if found.declaration.auto_merge and isinstance(storage, Intervals):
            gone = merge(found, element)
            merged = element.key

            def unmerge() -> None:
                storage.remove(merged)
                for each in gone:
                    storage.add(each)

            return unmerge
        try:
            storage.add(element)
        except Overlap:
            raise Refused("interval overlaps with an existing one", direct=True) from None
        return lambda: storage.remove(element.key)

    def delete_element(self, table: NftTable, found: NftSet, element: Element, *, missing_ok: bool) -> None:
        """Delete an element by its key."""
        present = found.default if element.key is DEFAULT else found.exact(element.key)
        if present is None:
            if missing_ok:
                return
            if isinstance(found.storage, Intervals):
                raise Refused("element does not exist", direct=True)
            raise Refused(NO_ENTRY)
        target = present.data.chain if isinstance(present.data, Outcome) else ""
        if target:
            table.chains[target].uses -= 1
        if present.key is DEFAULT:
            found.default = None
        else:
            found.storage.remove(present.key)

        def undo() -> None:
            if present.key is DEFAULT:
                found.default = present
            else:
                found.storage.add(present)
            if target:
                table.chains[target].uses += 1

        self._undo.append(undo)

    # Counters

    def add_counter(self, table: NftTable, made: NamedCount, *, create: bool) -> None:
        """Add a named counter, if it is not there."""
        if made.name in table.counters:
            if create:
                raise Refused(EXISTS)
            return
        made.handle = table.take_handle()
        table.counters[made.name] = made
        self._undo.append(partial(_forget, table.counters, made.name))

    def delete_counter(self, table: NftTable, found: NamedCount) -> None:
        """Delete a counter that no rule counts with."""
        if found.uses:
            raise Refused(BUSY)
        _remove(table.counters, found.name, self._undo)


def _forget(things: MutableMapping[_Key, _Any], key: _Key) -> None:
    del things[key]


def _targets(found: NftSet) -> Iterable[str]:
    return [each.data.chain for each in found if isinstance(each.data, Outcome) and each.data.chain]


def _remove(things: dict[str, _Thing], name: str, undo: list[Callable[[], None]]) -> None:
    """Take something out of an ordered dict; undoing puts it back where it was, by its handle."""
    thing = things.pop(name)

    def put_back() -> None:
        things[name] = thing
        later = [key for key, other in things.items() if other.handle > thing.handle]
        for key in later:
            things[key] = things.pop(key)

    undo.append(put_back)


def _check_base(base: Base) -> None:
    if base.kind == "nat" and (base.hook not in _NAT_HOOKS or base.priority <= _CONNTRACK_PRIORITY):
        raise Refused(NOT_SUPPORTED)
    if base.kind == "route" and base.hook != "output":
        raise Refused(NOT_SUPPORTED)
