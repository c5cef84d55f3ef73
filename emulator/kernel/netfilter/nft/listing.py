"""Prints tables, chains, sets and counters byte for byte as nft 1.0.6 does (rule.c)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.set import FLAGS, NftSet
from emulator.kernel.netfilter.nft.table import Base, NamedCount, NftChain, NftTable
from emulator.kernel.netfilter.nft.time import format_time

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.engine import Nft

_NEAR = 10
_BREAK = ",\n\t\t\t     "
# Standard priorities, and the hooks where they have that name.
PRIORITIES: dict[str, tuple[int, frozenset[str]]] = {
    "raw": (-300, frozenset({"prerouting", "input", "forward", "output", "postrouting"})),
    "mangle": (-150, frozenset({"prerouting", "input", "forward", "output", "postrouting"})),
    "dstnat": (-100, frozenset({"prerouting"})),
    "filter": (0, frozenset({"prerouting", "input", "forward", "output", "postrouting"})),
    "security": (50, frozenset({"prerouting", "input", "forward", "output", "postrouting"})),
    "srcnat": (100, frozenset({"postrouting"})),
}


def format_priority(base: Base) -> str:
    """Print a priority, by the name of a standard one that is near."""
    for name, (priority, hooks) in PRIORITIES.items():
        offset = base.priority - priority
        if abs(offset) <= _NEAR and base.hook in hooks:
            if not offset:
                return name
            return f"{name} {'+' if offset > 0 else '-'} {abs(offset)}"
    return str(base.priority)


class Listing:
    """How to print: `handles` is -a, `stateless` is -s."""

    def __init__(self, nft: Nft, *, handles: bool = False, stateless: bool = False) -> None:
        self._nft = nft
        self._handles = handles
        self._stateless = stateless

    def ruleset(self, family: str = "") -> str:
        """Print all tables, or those of a family."""
        return "".join(self.table(each) for each in self._nft.tables.values() if family in ("", each.family))

    def table(self, table: NftTable) -> str:
        """Print a table."""
        head = []
        if table.dormant:
            head.append("\tflags dormant\n")
        if table.comment:
            head.append(f'\tcomment "{table.comment}"\n')
        parts = [
            *(self._counter(each) for each in table.counters.values()),
            *(self._set(each) for each in table.sets.values()),
            *(self._chain(each) for each in table.chains.values()),
        ]
        between = "\n" if table.dormant and not table.comment and parts else ""
        return f"{self._open(table)}{''.join(head)}{between}{chr(10).join(parts)}}}\n"

    def _open(self, table: NftTable) -> str:
        return f"table {table.family} {table.name} {{{self._handle(table.handle)}\n"

    def _handle(self, handle: int) -> str:
        return f" # handle {handle}" if self._handles else ""

    def of_table(self, table: NftTable, *things: NftChain | NftSet | NamedCount) -> str:
        """Print some of a table's things within their table, as `nft list chain` does."""
        return f"table {table.family} {table.name} {{\n{''.join(self._any(each) for each in things)}}}\n"

    def _any(self, thing: NftChain | NftSet | NamedCount) -> str:
        if isinstance(thing, NftChain):
            return self._chain(thing)
        return self._set(thing) if isinstance(thing, NftSet) else self._counter(thing)

    # Chains

    def _chain(self, chain: NftChain, *, rules: bool = True) -> str:
        lines = [f"\tchain {chain.name} {{{self._handle(chain.handle) if rules else ''}"]
        if chain.comment:
            lines.append(f'\t\tcomment "{chain.comment}"')
        if chain.base is not None:
            base = chain.base
            priority = format_priority(base)
            lines.append(f"\t\ttype {base.kind} hook {base.hook} priority {priority}; policy {base.policy};")
        if rules:
            lines += [
                f"\t\t{rule.format(stateless=self._stateless)}{self._handle(rule.handle)}" for rule in chain.rules
            ]
        return "\n".join([*lines, "\t}\n"])

    def chains(self, tables: Iterable[NftTable]) -> str:
        """Print the heads of all chains, as `nft list chains` does."""
        return "".join(
            f"table {table.family} {table.name} {{\n"
            f"{''.join(self._chain(each, rules=False) for each in table.chains.values())}}}\n"
            for table in tables
        )

    def sets(self, tables: Iterable[NftTable], *, maps: bool) -> str:
        """Print all sets, or all maps."""
        return "".join(
            self.of_table(table, *(each for each in table.sets.values() if bool(each.declaration.data) is maps))
            for table in tables
        )

    # Sets

    def _set(self, found: NftSet) -> str:
        declaration = found.declaration
        kind = "map" if declaration.data else "set"
        lines = [f"\t{kind} {found.name} {{{self._handle(found.handle)}", f"\t\t{_type_line(found)}"]
        if declaration.comment:
            lines.append(f'\t\tcomment "{declaration.comment}"')
        lines += [f"\t\t{line}" for line in _property_lines(found)]
        elements = self._elements(found)
        if elements:
            lines.append(f"\t\telements = {{ {elements} }}")
        return "\n".join([*lines, "\t}\n"])

    def _elements(self, found: NftSet) -> str:
        declaration, now = found.declaration, found.kernel.now
        per_line = declaration.types[0].per_line if len(declaration.types) == 1 else 0
        words: list[str] = []
        count = 0
        for element in found.sorted_elements():
            if words:
                words.append(", " if count < per_line else _BREAK)
                count = count if count < per_line else 0
            words.append(element.format(declaration.types, declaration.data_types, now, stateless=self._stateless))
            count += 1
        return "".join(words)

    def _counter(self, found: NamedCount) -> str:
        lines = [f"\tcounter {found.name} {{{self._handle(found.handle)}"]
        if found.comment:
            lines.append(f'\t\tcomment "{found.comment}"')
        if not self._stateless:
            lines.append(f"\t\tpackets {found.counted.packets} bytes {found.counted.bytes}")
        return "\n".join([*lines, "\t}\n"])


def _type_line(found: NftSet) -> str:
    declaration = found.declaration
    if declaration.typeof:
        words = f"typeof {declaration.typeof}"
        return f"{words} : {declaration.data_typeof or declaration.data_words()}" if declaration.data else words
    words = f"type {declaration.type_words()}"
    return f"{words} : {declaration.data_words()}" if declaration.data else words


def _property_lines(found: NftSet) -> Iterator[str]:
    declaration = found.declaration
    if declaration.policy == "memory":
        yield "policy memory"
    size = declaration.size or found.packet_size
    if size and "constant" not in declaration.flags:
        yield f"size {size}"
    flags = [flag for flag in FLAGS if flag in declaration.flags]
    if flags and not (declaration.timeout and flags == ["timeout"]):  # then it goes without saying
        yield f"flags {','.join(flags)}"
    if declaration.counts:
        yield "counter"
    if declaration.timeout:
        yield f"timeout {format_time(declaration.timeout)}"
    if declaration.gc_interval:
        yield f"gc-interval {format_time(declaration.gc_interval)}"
    if declaration.auto_merge:
        yield "auto-merge"
