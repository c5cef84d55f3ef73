"""Prints tables as `nft -j` does: the JSON of libnftables (json.c)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.json.set import element_json
from emulator.kernel.netfilter.nft.set import NftSet
from emulator.kernel.netfilter.nft.statement.match import FlagMatch, Match
from emulator.kernel.netfilter.nft.statement.statement import Counter
from emulator.kernel.netfilter.nft.table import NamedCount, NftChain, NftRule, NftTable

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.engine import Nft

METAINFO = {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}
_FLAGS = ("constant", "interval", "timeout")  # `dynamic` is not told
Thing = NftChain | NftSet | NamedCount


def ruleset(nft: Nft, *, stateless: bool = False) -> str:
    """Print all tables."""
    return all_of("ruleset", nft.tables.values(), stateless=stateless)


def some(table: NftTable, things: Sequence[Thing], *, stateless: bool = False) -> str:
    """Print a table, or some of its things."""
    if not things:
        return _document(_table(table, stateless))
    found = []
    for thing in things:
        found += _chain_with_rules(thing, stateless) if isinstance(thing, NftChain) else [_one(table, thing, stateless)]
    return _document(found)


def all_of(word: str, tables: Iterable[NftTable], *, stateless: bool = False) -> str:
    """Print what `list WORD` asks for: "ruleset", "tables", "chains", "sets", "maps" or "counters"."""
    found: list[object] = []
    for table in tables:
        if word == "ruleset":
            found += _table(table, stateless)
        elif word == "tables":
            found.append(_head(table))
        elif word == "chains":
            found += [_one(table, chain, stateless) for chain in table.chains.values()]
        elif word == "counters":
            found += [_one(table, counter, stateless) for counter in table.counters.values()]
        else:
            wanted = word == "maps"
            sets = [each for each in table.sets.values() if bool(each.declaration.data) is wanted]
            found += [_one(table, each, stateless) for each in sets]
    return _document(found)


def _document(found: Sequence[object]) -> str:
    return json.dumps({"nftables": [METAINFO, *found]}, ensure_ascii=False) + "\n"


def _head(table: NftTable) -> object:
    values: dict[str, object] = {"family": table.family, "name": table.name, "handle": table.handle}
    if table.dormant:
        values["flags"] = "dorm"
    return {"table": values}


def _table(table: NftTable, stateless: bool) -> list[object]:
    things: list[Thing] = [*table.counters.values(), *table.sets.values(), *table.chains.values()]
    rules = [_rule(chain, rule, stateless) for chain in table.chains.values() for rule in chain.rules]
    return [_head(table), *(_one(table, thing, stateless) for thing in things), *rules]


def _chain_with_rules(chain: NftChain, stateless: bool) -> list[object]:
    return [_one(chain.table, chain, stateless), *(_rule(chain, rule, stateless) for rule in chain.rules)]


def _one(table: NftTable, thing: Thing, stateless: bool) -> object:
    if isinstance(thing, NftChain):
        return _chain(thing)
    return _set(table, thing, stateless) if isinstance(thing, NftSet) else _counter(table, thing, stateless)


def _chain(chain: NftChain) -> object:
    table, base = chain.table, chain.base
    values: dict[str, object] = {
        "family": table.family, "table": table.name, "name": chain.name, "handle": chain.handle,
    }  # fmt: skip
    if base is not None:
        values.update(type=base.kind, hook=base.hook, prio=base.priority, policy=base.policy)
    return {"chain": values}


def _rule(chain: NftChain, rule: NftRule, stateless: bool) -> object:
    table = chain.table
    values: dict[str, object] = {
        "family": table.family, "table": table.name, "chain": chain.name, "handle": rule.handle,
    }  # fmt: skip
    if rule.comment:
        values["comment"] = rule.comment
    states = rule.states or (None,) * len(rule.statements)
    values["expr"] = [
        each.json(state, stateless=stateless)
        for each, state in zip(rule.statements, states, strict=True)
        if not (isinstance(each, Match | FlagMatch) and each.hidden)
    ]
    return {"rule": values}


def _set(table: NftTable, found: NftSet, stateless: bool) -> object:
    declaration = found.declaration
    names = [kind.name for kind in declaration.types]
    values: dict[str, object] = {
        "family": table.family,
        "name": found.name,
        "table": table.name,
        "type": names[0] if len(names) == 1 else names,
        "handle": found.handle,
    }
    if declaration.comment:
        values["comment"] = declaration.comment
    if declaration.data:
        values["map"] = declaration.data_words()
    if declaration.policy == "memory":
        values["policy"] = "memory"
    size = declaration.size or found.packet_size
    if size and "constant" not in declaration.flags:
        values["size"] = size
    flags = [flag for flag in _FLAGS if flag in declaration.flags]
    if flags:
        values["flags"] = flags
    if declaration.timeout:
        values["timeout"] = declaration.timeout // 1000
    if declaration.gc_interval:
        values["gc-interval"] = declaration.gc_interval // 1000
    elements = found.sorted_elements()
    if elements:
        now = found.kernel.now
        values["elem"] = [element_json(each, declaration, now, stateless=stateless) for each in elements]
    if declaration.counts:
        values["stmt"] = [Counter().json(stateless=True)]
    return {"map" if declaration.data else "set": values}


def _counter(table: NftTable, found: NamedCount, stateless: bool) -> object:
    values: dict[str, object] = {
        "family": table.family, "name": found.name, "table": table.name, "handle": found.handle,
    }  # fmt: skip
    if found.comment:
        values["comment"] = found.comment
    if not stateless:
        values.update(packets=found.counted.packets, bytes=found.counted.bytes)
    return {"counter": values}
