"""Commands about sets, maps, their elements and named counters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.element import Counted
from emulator.kernel.netfilter.nft.error import NO_ENTRY
from emulator.kernel.netfilter.nft.script.element_parser import counted
from emulator.kernel.netfilter.nft.script.set_parser import SetDraft, declaration, named_elements
from emulator.kernel.netfilter.nft.table import NamedCount, NftTable
from emulator.kernel.netfilter.nft.transaction import Refused

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.script.command import Script


def add_set(script: Script, *, is_map: bool = False, create: bool = False) -> None:
    """Add a set, with the elements that stand in its braces."""
    target = script.target(names=2)
    table, scope = script.found_table(target), script.scope(script.found_table(target))
    script.tokens.expect("{")
    draft = SetDraft(is_map)
    declaration(scope, draft)
    made = script.transaction.add_set(table, target.name, draft.declaration, create=create)
    if draft.elements_at >= 0:
        end, script.tokens.at = script.tokens.at, draft.elements_at
        for each in named_elements(scope, made.declaration):
            script.transaction.add_element(table, made, each.element, create=False)
        script.tokens.at = end


def add_map(script: Script) -> None:
    """Add a map."""
    add_set(script, is_map=True)


def create_set(script: Script) -> None:
    """Add a set that must not be there."""
    add_set(script, create=True)


def create_map(script: Script) -> None:
    """Add a map that must not be there."""
    add_set(script, is_map=True, create=True)


def delete_set(script: Script, *, missing_ok: bool = False) -> None:
    """Delete a set or map."""
    target = script.target(names=2)
    table = script.found_table(target)
    found = table.sets.get(target.name)
    if found is None:
        if missing_ok:
            return
        raise script.tokens.error_at(NO_ENTRY, target.name_at)
    script.transaction.delete_set(table, found)


def flush_set(script: Script) -> None:
    """Delete the elements of a set or map."""
    target = script.target(names=2)
    table = script.found_table(target)
    found = table.sets.get(target.name)
    if found is None:
        raise script.tokens.error_at(NO_ENTRY, target.name_at)
    script.transaction.flush_set(table, found)


def change_elements(script: Script, change: str) -> None:
    """Add or delete elements; `change` is the verb."""
    target = script.target(names=2)
    table = script.found_table(target)
    found = table.sets.get(target.name)
    if found is None:
        raise script.tokens.error_at(NO_ENTRY, target.name_at)
    wanted = found.declaration
    if change in ("delete", "destroy") and wanted.data and not _has_data(script):
        wanted = replace(wanted, data="")
    for each in named_elements(script.scope(table), wanted):
        try:
            if change in ("add", "create"):
                script.transaction.add_element(table, found, each.element, create=change == "create")
            else:
                missing_ok = change == "destroy"
                script.transaction.delete_element(table, found, each.element, missing_ok=missing_ok)
        except Refused as refused:
            raise script.tokens.error_at(str(refused), each.first, each.last) from None


def _has_data(script: Script) -> bool:
    """Whether elements to be deleted are written with their data."""
    tokens, at = script.tokens, script.tokens.at
    while tokens.words[at] not in (":", "}", ""):
        at += 1
    return tokens.words[at] == ":"


def add_counter(script: Script, *, create: bool = False) -> None:
    """Add a named counter."""
    target = script.target(names=2)
    table, tokens = script.found_table(target), script.tokens
    made = NamedCount(target.name, Counted())
    if tokens.accept("{"):
        read_counter(script, made)
    elif tokens.word == "packets":
        made.counted = counted(script.scope(table))
    script.transaction.add_counter(table, made, create=create)


def read_counter(script: Script, made: NamedCount) -> None:
    """Read what stands in the braces of a counter; the opening one has been taken."""
    tokens = script.tokens
    while True:
        tokens.skip_separators()
        if tokens.accept("}"):
            return
        if tokens.accept("comment"):
            made.comment = tokens.quoted()
        elif tokens.word == "packets":
            made.counted = counted(script.scope(NftTable("ip", "")))
        else:
            raise tokens.unexpected()


def create_counter(script: Script) -> None:
    """Add a named counter that must not be there."""
    add_counter(script, create=True)


def delete_counter(script: Script, *, missing_ok: bool = False) -> None:
    """Delete a named counter."""
    target = script.target(names=2)
    table = script.found_table(target)
    found = table.counters.get(target.name)
    if found is None:
        if missing_ok:
            return
        raise script.tokens.error_at(NO_ENTRY, target.name_at)
    script.transaction.delete_counter(table, found)
