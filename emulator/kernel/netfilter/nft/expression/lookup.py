"""Looking into sets and maps from rules: `@hosts`, `{ 22, 80 }`, `vmap { … }`, `tcp dport map { … }` (nft_lookup.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.nft.datatype import Datatype
from emulator.kernel.netfilter.nft.element import Counted, Data, Element, Name, number_of
from emulator.kernel.netfilter.nft.expression.expression import Expression, Getter, Key
from emulator.kernel.netfilter.nft.json.set import element_json
from emulator.kernel.netfilter.nft.set import NftSet
from emulator.kernel.netfilter.nft.statement.statement import Constant, Statement, Step
from emulator.kernel.netfilter.nft.statement.verdict import CONTINUE, NO_MATCH, Outcome

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.table import NftTable
    from emulator.kernel.skb import Skb


class SetReference(Struct, frozen=True):
    """A named set of the table, or one that the rule brings along."""

    name: str = ""
    anonymous: NftSet | None = None

    def resolve(self, table: NftTable) -> NftSet:
        """Return the set."""
        return table.sets[self.name] if self.anonymous is None else self.anonymous

    def sets(self) -> tuple[NftSet, ...]:
        """Return the set, if the rule brings it along."""
        return () if self.anonymous is None else (self.anonymous,)

    def set_names(self) -> tuple[str, ...]:
        """Return the name of the table's set, if it is one."""
        return (self.name,) if self.anonymous is None else ()

    def key_getter(self, left: Getter, table: NftTable) -> Getter:
        """Return a getter of the set's keys: where patterns of names are intervals, names are numbers."""
        if not self.resolve(table).declaration.names_are_numbers:
            return left

        def number(skb: Skb, context: Context) -> Key | None:
            value = left(skb, context)
            return number_of(value) if isinstance(value, str) else None

        return number

    def format(self) -> str:
        """Print it."""
        found = self.anonymous
        if found is None:
            return f"@{self.name}"
        types, data = found.declaration.types, found.declaration.data_types
        return "{ " + ", ".join(each.format(types, data, 0.0) for each in found.sorted_elements()) + " }"

    def json(self) -> object:
        """Return it as libnftables' JSON has it."""
        found = self.anonymous
        if found is None:
            return f"@{self.name}"
        return {"set": [element_json(each, found.declaration, 0.0) for each in found.sorted_elements()]}


class VerdictMap(Statement, frozen=True):
    """`ip daddr . meta l4proto . th dport vmap @service-ips`."""

    key: Expression
    found: SetReference

    @property
    def needs_conntrack(self) -> bool:
        return self.key.needs_conntrack

    @property
    def terminal(self) -> bool:
        return False

    def sets(self) -> tuple[NftSet, ...]:
        return self.found.sets()

    def set_names(self) -> tuple[str, ...]:
        return self.found.set_names()

    def chains(self) -> tuple[str, ...]:
        found = self.found.anonymous
        if found is None:
            return ()
        outcomes = [element.data for element in found]
        return tuple([outcome.chain for outcome in outcomes if isinstance(outcome, Outcome) and outcome.chain])

    def constants(self) -> tuple[Constant, ...]:
        return self.chains()

    def with_constants(self, values: Iterator[Constant]) -> Statement:
        return VerdictMap(self.key, SetReference(anonymous=_with_chains(self.found, values)))

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        return f"{self.key.format()} vmap {self.found.format()}"

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        return {"vmap": {"key": self.key.json(), "data": self.found.json()}}

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        key, found = self.found.key_getter(self.key.bind(netfilter), table), self.found.resolve(table)
        find = found.find

        def verdict(skb: Skb, context: Context) -> Outcome | None:
            value = key(skb, context)
            if value is None:
                return NO_MATCH
            element = find(value)
            if element is None or not isinstance(element.data, Outcome):
                return NO_MATCH
            if element.counter is not None:
                element.counter.packets += 1
                element.counter.bytes += len(skb.data) - skb.network
            return None if element.data.kind == CONTINUE else element.data

        return verdict


def _with_chains(reference: SetReference, names: Iterator[Constant]) -> NftSet | None:
    """Return a copy of a rule's own verdict map that goes to other chains."""
    found = reference.anonymous
    if found is None:
        return None
    copy = NftSet(found.kernel, "", found.declaration, anonymous=True)
    for element in found:
        data = element.data
        if isinstance(data, Outcome) and data.chain:
            data = Outcome(data.kind, str(next(names)))
        made = Element(element.key, data, element.comment)
        if element is found.default:
            copy.default = made
        else:
            copy.storage.add(made)
    return copy


class MapLookup(Expression, frozen=True):
    """`tcp dport map { 80 : 0x00000001 }`: the data that a map has for a key."""

    key: Expression
    found: SetReference
    data_types: tuple[Datatype, ...]

    @property
    def types(self) -> tuple[Datatype, ...]:
        return self.data_types

    @property
    def needs_conntrack(self) -> bool:
        return self.key.needs_conntrack

    @property
    def network(self) -> str:
        return self.key.network

    @property
    def transport(self) -> int:
        return self.key.transport

    def format(self) -> str:
        return f"{self.key.format()} map {self.found.format()}"

    def json(self) -> object:
        return {"map": {"key": self.key.json(), "data": self.found.json()}}

    def bind(self, netfilter: Netfilter) -> Getter:
        raise TypeError("a map is bound with its table: `bind_map`")

    def bind_map(self, netfilter: Netfilter, table: NftTable) -> Getter:
        """Compile it: the set is the table's."""
        get = self.bind_data(netfilter, table)

        def value(skb: Skb, context: Context) -> Key | None:
            data = get(skb, context)
            return None if isinstance(data, Outcome) else data

        return value

    def bind_data(self, netfilter: Netfilter, table: NftTable) -> DataGetter:
        """Compile it to what returns the element's data."""
        key, found = self.found.key_getter(self.key.bind(netfilter), table), self.found.resolve(table)
        find = found.find

        def data(skb: Skb, context: Context) -> Data | None:
            value = key(skb, context)
            element = None if value is None else find(value)
            return None if element is None else element.data

        return data


if TYPE_CHECKING:
    from collections.abc import Callable

    DataGetter = Callable[[Skb, Context], Data | None]


def bind_value(expression: Expression, netfilter: Netfilter, table: NftTable) -> Getter:
    """Compile an expression that may be a map."""
    if isinstance(expression, MapLookup):
        return expression.bind_map(netfilter, table)
    return expression.bind(netfilter)


def sets_of(value: object) -> tuple[NftSet, ...]:
    """Return the anonymous set of a map; none if it is no map."""
    return value.found.sets() if isinstance(value, MapLookup) else ()


def set_names_of(value: object) -> tuple[str, ...]:
    """Return the name of a map's set; none if it is no map, or the set has no name."""
    return value.found.set_names() if isinstance(value, MapLookup) else ()


class CounterMap(Statement, frozen=True):
    """`counter name ip saddr map @accounts`."""

    lookup: MapLookup

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        return f"counter name {self.lookup.format()}"

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        return {"counter": self.lookup.json()}

    def sets(self) -> tuple[NftSet, ...]:
        return sets_of(self.lookup)

    def set_names(self) -> tuple[str, ...]:
        return set_names_of(self.lookup)

    @property
    def needs_conntrack(self) -> bool:
        return self.lookup.needs_conntrack

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        get = self.lookup.bind_data(netfilter, table)

        def count(skb: Skb, context: Context) -> Outcome | None:
            name = get(skb, context)
            if not isinstance(name, Name):
                return NO_MATCH
            counted: Counted = table.counters[name].counted
            counted.packets += 1
            counted.bytes += len(skb.data) - skb.network
            return None

        return count
