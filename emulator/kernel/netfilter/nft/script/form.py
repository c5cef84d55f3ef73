"""Rules that are written alike but for their addresses and chains: the first is read, the others are made from it.

Of kube-proxy's rules for ten thousand Services there are four forms. A form is learnt only where the rule that was read
shows its constants in the order of the text; a rule that does not fit it to the letter is read like any other, so that
errors are told as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.errors import WireError
from emulator.kernel.netfilter.nft.script.lexer import NEWLINE, QUOTED
from emulator.kernel.netfilter.nft.script.rule_parser import rule
from emulator.kernel.netfilter.nft.statement.verdict import GOTO, JUMP
from emulator.kernel.netfilter.nft.table import NftRule, NftTable
from emulator.packet.address import ipv4_to_int

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.script.reader import Scope
    from emulator.kernel.netfilter.nft.statement.statement import Constant, Statement

_ADDRESS, _CHAIN = range(2)  # what stands in a key for a constant
Key = tuple[NftTable | str | int, ...]


class Forms:
    """The forms of the rules that one script has shown so far."""

    def __init__(self) -> None:
        self._statements: dict[Key, tuple[Statement, ...]] = {}

    def rule(self, scope: Scope) -> NftRule:
        """Read a rule up to the separator behind it. NftError."""
        tokens = scope.tokens
        begin, end = tokens.at, tokens.kinds.index(NEWLINE, tokens.at)
        if QUOTED in tokens.kinds[begin:end]:
            return rule(scope)
        key, words = _dissect(scope.table, tokens.words[begin:end])
        values = _values(scope.table, words)
        statements = self._statements.get(key)
        if statements is not None and values is not None:
            tokens.at = end
            rest = iter(values)
            return NftRule(tuple([statement.with_constants(rest) for statement in statements]))
        read = rule(scope)
        if tokens.at == end and values is not None and _shows(read, values):
            self._statements[key] = read.statements
        return read


def _dissect(table: NftTable, words: list[str]) -> tuple[Key, list[tuple[int, str]]]:
    """Return what a rule is but for its constants, and these: single addresses, and chains that it goes to."""
    key: list[NftTable | str | int] = [table]
    constants: list[tuple[int, str]] = []
    before = ""
    for word in words:
        if before in (JUMP, GOTO):
            constants.append((_CHAIN, word))
            key.append(_CHAIN)
        elif "." in word and word[0].isdigit() and before not in ("-", "/"):
            constants.append((_ADDRESS, word))
            key.append(_ADDRESS)
        else:
            if word in ("-", "/") and key[-1] == _ADDRESS:  # of a range or a prefix, which stays as it is written
                key[-1] = constants.pop()[1]
            key.append(word)
        before = word
    return tuple(key), constants


def _values(table: NftTable, constants: list[tuple[int, str]]) -> list[Constant] | None:
    """Return the constants' values; None where one is wrong."""
    values: list[Constant] = []
    for kind, word in constants:
        if kind == _CHAIN:
            chain = table.chains.get(word)
            if chain is None or chain.base is not None:
                return None
            values.append(word)
        else:
            try:
                values.append(ipv4_to_int(word))
            except WireError:
                return None
    return values


def _shows(read: NftRule, values: list[Constant]) -> bool:
    """Whether a rule's statements have these constants, in this order, and name nothing else that may go away."""
    if len(set(values)) < len(values) or any(each.set_names() or each.counters() for each in read.statements):
        return False
    return [constant for each in read.statements for constant in each.constants()] == values
