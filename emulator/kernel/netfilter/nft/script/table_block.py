"""Reads `table ip t { … }`: all is declared before rules and elements are read, which may name what comes later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from emulator.kernel.netfilter.nft.element import Counted
from emulator.kernel.netfilter.nft.listing import PRIORITIES
from emulator.kernel.netfilter.nft.script.lexer import MARK, NUMBER, WORD
from emulator.kernel.netfilter.nft.script.reader import Scope
from emulator.kernel.netfilter.nft.script.set_parser import SetDraft, declaration, named_elements, skip_braces
from emulator.kernel.netfilter.nft.table import Base, NamedCount, NftTable
from emulator.kernel.netfilter.nft.transaction import Refused

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.script.command import Script
    from emulator.kernel.netfilter.nft.script.target import Target

_KINDS = ("filter", "nat", "route")
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


class ChainSpec(Struct):
    """What stands in a chain's braces: its base, and where its rules begin."""

    base: Base | None = None
    policy: str = ""
    comment: str = ""
    rules_at: list[int] = field(default_factory=list)


def table_block(script: Script, target: Target, *, create: bool) -> None:
    """Add a table, with what stands in its braces if there are some."""
    tokens = script.tokens
    if not tokens.accept("{"):
        script.transaction.add_table(target.family, target.table, "", dormant=False, create=create)
        return
    block = _Block(script, target)
    block.survey()
    table = script.transaction.add_table(
        target.family, target.table, block.comment, dormant=block.dormant, create=create
    )
    block.declare(table)


class _Block:
    def __init__(self, script: Script, target: Target) -> None:
        self._script = script
        self._tokens = script.tokens
        self._surveyed = NftTable(target.family, target.table)  # for reading only
        self.comment = ""
        self.dormant = False
        self._chains: list[tuple[str, int, ChainSpec]] = []
        self._sets: list[tuple[str, int, SetDraft]] = []
        self._counters: list[NamedCount] = []

    def survey(self) -> None:
        """Read declarations, and note where rules and elements stand."""
        from emulator.kernel.netfilter.nft.script.set_command import read_counter

        tokens, scope = self._tokens, self._script.scope(self._surveyed)
        while True:
            tokens.skip_separators()
            if tokens.accept("}"):
                return
            at, word = tokens.at, tokens.word
            if tokens.kind != WORD:
                raise tokens.unexpected()
            tokens.take()
            if word == "comment":
                self.comment = tokens.quoted()
            elif word == "flags":
                self._flags()
            elif word == "chain":
                name_at, name = tokens.at, tokens.name()
                tokens.expect("{")
                self._chains.append((name, name_at, chain_spec(scope)))
            elif word in ("set", "map"):
                name_at, name = tokens.at, tokens.name()
                tokens.expect("{")
                draft = SetDraft(word == "map")
                declaration(scope, draft)
                self._sets.append((name, name_at, draft))
            elif word == "counter":
                made = NamedCount(tokens.name(), Counted())
                tokens.expect("{")
                read_counter(self._script, made)
                self._counters.append(made)
            elif word in ("flowtable", "quota", "limit", "ct", "secmark", "synproxy"):
                raise tokens.error_at(f"{word} is not supported here", at)
            else:
                tokens.at = at
                raise tokens.unexpected()

    def _flags(self) -> None:
        tokens = self._tokens
        if tokens.word != "dormant":
            raise tokens.error_at(f"table flag {tokens.word} is not supported here", tokens.at)
        tokens.take()
        self.dormant = True

    def declare(self, table: NftTable) -> None:
        """Carry it out in nft's order: chains, counters, sets, rules, elements."""
        script, tokens = self._script, self._tokens
        end, transaction = tokens.at, script.transaction
        scope = script.scope(table)
        for name, at, spec in self._chains:
            try:
                _add_spec(script, table, name, spec, create=False)
            except Refused as refused:
                raise tokens.error_at(str(refused), at) from None
        for made in self._counters:
            transaction.add_counter(table, made, create=False)
        for name, at, draft in self._sets:
            try:
                transaction.add_set(table, name, draft.declaration, create=False)
            except Refused as refused:
                raise tokens.error_at(str(refused), at) from None
        for name, _, spec in self._chains:
            _add_rules(script, table, name, spec)
        for name, _, draft in self._sets:
            if draft.elements_at < 0:
                continue
            tokens.at = draft.elements_at
            found = table.sets[name]
            for each in named_elements(scope, found.declaration):
                try:
                    transaction.add_element(table, found, each.element, create=False)
                except Refused as refused:
                    raise tokens.error_at(str(refused), each.first, each.last) from None
        tokens.at = end


def fill(script: Script, table: NftTable, name: str, spec: ChainSpec, *, create: bool) -> None:
    """Add a chain that was read, with its rules."""
    _add_spec(script, table, name, spec, create=create)
    end = script.tokens.at
    _add_rules(script, table, name, spec)
    script.tokens.at = end


def _add_spec(script: Script, table: NftTable, name: str, spec: ChainSpec, *, create: bool) -> None:
    chain = script.transaction.add_chain(table, name, spec.base, spec.comment, create=create)
    if spec.base is None and spec.policy:
        script.transaction.set_policy(chain, spec.policy)


def _add_rules(script: Script, table: NftTable, name: str, spec: ChainSpec) -> None:
    tokens, chain = script.tokens, table.chains[name]
    for at in spec.rules_at:
        tokens.at = at
        read = script.forms.rule(script.scope(table))
        if not tokens.at_separator():
            raise tokens.unexpected("newline or semicolon")
        try:
            script.transaction.add_rule(chain, read, len(chain.rules))
        except Refused as refused:
            raise tokens.error_at(str(refused), at, tokens.at - 1) from None


def chain_spec(scope: Scope) -> ChainSpec:
    """Read what stands in a chain's braces; the opening one has been taken."""
    tokens = scope.tokens
    spec = ChainSpec()
    while True:
        tokens.skip_separators()
        if tokens.accept("}"):
            return spec
        if tokens.kind == WORD and tokens.word == "type" and tokens.peek() in _KINDS:
            spec.base = _base(scope)
            tokens.expect_separator()
        elif tokens.accept("policy"):
            spec.policy = _policy(scope)
            if spec.base is not None:
                base = spec.base
                spec.base = Base(base.kind, base.hook, base.priority, spec.policy)
            tokens.expect_separator()
        elif tokens.kind == WORD and tokens.word == "comment":
            tokens.take()
            spec.comment = tokens.quoted()
            tokens.expect_separator()
        elif tokens.kind == WORD and tokens.word in ("devices", "device", "flags"):
            raise tokens.error_at(f"chain {tokens.word} is not supported here", tokens.at)
        else:
            spec.rules_at.append(tokens.at)
            _skip_rule(scope)


def _skip_rule(scope: Scope) -> None:
    tokens = scope.tokens
    while not tokens.at_separator():
        if tokens.kind == MARK and tokens.word == "{":
            skip_braces(scope)
        elif tokens.kind == MARK and tokens.word == "}":
            raise tokens.unexpected("newline or semicolon")
        else:
            tokens.take()
    if not tokens.word:
        raise tokens.unexpected()


def _policy(scope: Scope) -> str:
    tokens = scope.tokens
    if tokens.word not in ("accept", "drop"):
        raise tokens.unexpected()
    return tokens.take()


def _base(scope: Scope) -> Base:
    tokens = scope.tokens
    tokens.take()
    kind = tokens.take()
    tokens.expect("hook")
    hook_at, hook = tokens.at, tokens.name()
    if hook in ("ingress", "egress"):
        raise tokens.error_at(f"hook {hook} is not supported here", hook_at)
    if hook not in _HOOKS:
        raise tokens.error_at(f"unknown chain hook {hook}", hook_at)
    if tokens.word == "device":
        raise tokens.error_at("chain device is not supported here", tokens.at)
    tokens.expect("priority")
    return Base(kind, hook, _priority(scope, hook))


def _priority(scope: Scope, hook: str) -> int:
    tokens = scope.tokens
    sign = -1 if tokens.accept("-") else 1
    if tokens.kind == NUMBER or sign < 0:
        return sign * tokens.number()
    at, name = tokens.at, tokens.name()
    if name not in PRIORITIES or hook not in PRIORITIES[name][1]:
        raise tokens.error_at(f"'{name}' is invalid priority in this context.", at)
    base = PRIORITIES[name][0]
    if tokens.accept("+"):
        return base + tokens.number()
    return base - tokens.number() if tokens.accept("-") else base
