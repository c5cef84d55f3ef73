"""`list ruleset`, `list table|chain|set|map|counter …` and the plural forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.error import NO_ENTRY
from emulator.kernel.netfilter.nft.listing import Listing
from emulator.kernel.netfilter.nft.script.lexer import WORD
from emulator.kernel.netfilter.nft.table import NamedCount, NftChain, NftTable

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.script.command import Script
    from emulator.kernel.netfilter.nft.set import NftSet

_PLURALS = ("tables", "chains", "sets", "maps", "counters")


def list_command(script: Script) -> None:
    """Carry out a `list`, and add what it prints to the output."""
    tokens = script.tokens
    word = tokens.word
    if word == "ruleset" or word in _PLURALS:
        tokens.take()
        family = tokens.take() if tokens.kind == WORD and tokens.word in ("ip", "ip6", "inet") else ""
        tables = [each for each in script.nft.tables.values() if family in ("", each.family)]
        script.output.append(_all(script, word, tables))
        return
    if word == "table":
        tokens.take()
        table = script.found_table(script.target(names=1))
        _print(script, table)
        return
    if word not in ("chain", "set", "map", "counter"):
        raise tokens.unexpected()
    tokens.take()
    target = script.target(names=2)
    table = script.found_table(target)
    found: NftChain | NftSet | NamedCount | None
    if word == "chain":
        found = table.chains.get(target.name)
    elif word == "counter":
        found = table.counters.get(target.name)
    else:
        found = table.sets.get(target.name)
        if found is not None and bool(found.declaration.data) is not (word == "map"):
            found = None
    if found is None:
        raise tokens.error_at(NO_ENTRY, target.name_at)
    _print(script, table, found)


def _print(script: Script, table: NftTable, *things: NftChain | NftSet | NamedCount) -> None:
    if script.as_json:
        from emulator.kernel.netfilter.nft.json.writer import some

        script.output.append(some(table, things, stateless=script.stateless))
        return
    listing = Listing(script.nft, handles=script.handles, stateless=script.stateless)
    script.output.append(listing.of_table(table, *things) if things else listing.table(table))


def _all(script: Script, word: str, tables: list[NftTable]) -> str:
    listing = Listing(script.nft, handles=script.handles, stateless=script.stateless)
    if script.as_json:
        from emulator.kernel.netfilter.nft.json.writer import all_of

        return all_of(word, tables, stateless=script.stateless)
    if word == "ruleset":
        return "".join(listing.table(table) for table in tables)
    if word == "tables":
        return "".join(f"table {table.family} {table.name}\n" for table in tables)
    if word == "chains":
        return listing.chains(tables)
    if word == "counters":
        return "".join(listing.of_table(table, *table.counters.values()) for table in tables if table.counters)
    return listing.sets(tables, maps=word == "maps")
