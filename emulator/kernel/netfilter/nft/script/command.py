"""Reads a script and carries it out, command by command, as one transaction (parser_bison.y, rule.c of nft)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.bulk import collector_paused
from emulator.kernel.netfilter.nft.error import NO_ENTRY, NftError
from emulator.kernel.netfilter.nft.script.define import expand
from emulator.kernel.netfilter.nft.script.form import Forms
from emulator.kernel.netfilter.nft.script.lexer import END, MARK, NEWLINE, WORD, Tokens
from emulator.kernel.netfilter.nft.script.list_command import list_command
from emulator.kernel.netfilter.nft.script.reader import Scope
from emulator.kernel.netfilter.nft.script.set_command import (
    add_counter,
    add_map,
    add_set,
    change_elements,
    create_counter,
    create_map,
    create_set,
    delete_counter,
    delete_set,
    flush_set,
)
from emulator.kernel.netfilter.nft.script.table_block import chain_spec, fill, table_block
from emulator.kernel.netfilter.nft.script.target import Target, refused_family
from emulator.kernel.netfilter.nft.table import NftChain, NftRule, NftTable
from emulator.kernel.netfilter.nft.transaction import Refused, Transaction

if TYPE_CHECKING:
    from emulator.kernel.netfilter.nft.engine import Nft

_VERBS = ("add", "create", "insert", "delete", "destroy", "flush", "replace", "list", "rename", "reset")
_OBJECTS = ("table", "chain", "rule", "set", "map", "element", "counter")


def run(nft: Nft, text: str, file: str, *, check: bool = False, handles: bool = False, stateless: bool = False,
        as_json: bool = False) -> str:  # fmt: skip
    """Run a script, all of it or nothing, and return what its `list` commands print. NftError."""
    with collector_paused():
        return _run(nft, text, file, check, handles, stateless, as_json)


def _run(nft: Nft, text: str, file: str, check: bool, handles: bool, stateless: bool, as_json: bool) -> str:
    tokens = Tokens(text, file)
    expand(tokens)
    transaction = Transaction(nft)
    script = Script(nft, tokens, transaction, handles=handles, stateless=stateless, as_json=as_json)
    try:
        script.run()
    except BaseException:
        transaction.roll_back()
        raise
    if check:
        transaction.roll_back()
    else:
        transaction.commit()
    return "".join(script.output)


class Script:
    """One run of a script."""

    def __init__(
        self,
        nft: Nft,
        tokens: Tokens,
        transaction: Transaction,
        *,
        handles: bool = False,
        stateless: bool = False,
        as_json: bool = False,
    ) -> None:
        self.nft = nft
        self.tokens = tokens
        self.transaction = transaction
        self.handles = handles
        self.stateless = stateless
        self.as_json = as_json
        self.output: list[str] = []
        self.forms = Forms()
        self._first = 0

    def run(self) -> None:
        """Carry out all commands."""
        tokens = self.tokens
        while True:
            tokens.skip_separators()
            if tokens.kind == END:
                return
            self._first = tokens.at
            try:
                self._command()
            except Refused as refused:
                raise self._told(refused) from None
            if tokens.kind not in (NEWLINE, END) and not (tokens.kind == MARK and tokens.word == ";"):
                raise tokens.unexpected("end of file or newline or semicolon" if self._first == 0 else "")

    def _told(self, refused: Refused, first: int | None = None, last: int | None = None) -> NftError:
        begin = self._first if first is None else first
        tokens = self.tokens
        end = max(begin, tokens.at - 1) if last is None else last
        behind = last is None and not refused.direct and tokens.kind == NEWLINE  # the kernel's answer is to the line
        return tokens.error(str(refused), tokens.starts[begin], tokens.end_of(end) + behind)

    def _command(self) -> None:
        tokens, at = self.tokens, self.tokens.at
        handler = _COMMANDS.get((tokens.words[at], tokens.peek()))
        if handler is not None and tokens.kinds[at] == tokens.kinds[at + 1] == WORD:
            tokens.at = at + 2
            handler(self)
        else:
            self._other_command()

    def _other_command(self) -> None:
        """Carry out a command that lists, is about everything, or is said in a shorter or a wrong way."""
        tokens = self.tokens
        verb = "add"
        if tokens.kind == WORD and tokens.word in _VERBS:
            verb = tokens.take()
        if verb == "list":
            list_command(self)
            return
        if verb == "flush" and tokens.accept("ruleset"):
            self._flush_ruleset()
            return
        what = tokens.word
        if tokens.kind != WORD or (what not in _OBJECTS and not self._is_implicit_rule(verb)):
            self._refuse_object(verb, what)
        if what not in _OBJECTS:
            what = "rule"
        else:
            tokens.take()
        handler = _COMMANDS.get((verb, what))
        if handler is None:
            tokens.at -= 1
            raise tokens.unexpected()
        handler(self)

    def _is_implicit_rule(self, verb: str) -> bool:
        return verb in ("add", "insert", "replace") and self.tokens.word in ("ip", "ip6", "inet")

    def _refuse_object(self, verb: str, what: str) -> None:
        tokens = self.tokens
        if what in ("flowtable", "quota", "limit", "ct", "secmark", "synproxy", "monitor", "describe", "include",
                    "import", "export", "counters", "quotas", "rules"):  # fmt: skip
            raise tokens.error_at(f"{f'{verb} ' if tokens.at > self._first else ''}{what} is not supported here",
                                  self._first, tokens.at)  # fmt: skip
        raise tokens.unexpected()

    # What a command is about

    def target(self, *, names: int) -> Target:
        """Read a family, if there is one, and names."""
        return Target.read(self.tokens, names)

    def found_table(self, target: Target) -> NftTable:
        """Return the table that a command names."""
        try:
            return self.transaction.table(target.family, target.table)
        except Refused as refused:
            raise self._told(refused, target.table_at, target.table_at) from None

    def found_chain(self, target: Target) -> NftChain:
        """Return the chain that a command names."""
        chain = self.found_table(target).chains.get(target.name)
        if chain is None:
            raise self.tokens.error_at(NO_ENTRY, target.name_at)
        return chain

    def scope(self, table: NftTable) -> Scope:
        """Return where things of a table are read."""
        return Scope(self.tokens, self.nft.netfilter, table)

    def _flush_ruleset(self) -> None:
        family = self.tokens.take() if self.tokens.word in ("ip", "ip6", "inet") else ""
        for table in list(self.nft.tables.values()):
            if family in ("", table.family):
                self.transaction.delete_table(table)


# Tables


def _add_table(script: Script, *, create: bool = False) -> None:
    target = script.target(names=1)
    refused_family(script.tokens, target)
    table_block(script, target, create=create)


def _create_table(script: Script) -> None:
    _add_table(script, create=True)


def _delete_table(script: Script, *, missing_ok: bool = False) -> None:
    if script.tokens.word == "handle" or script.tokens.peek() == "handle":
        _delete_table_by_handle(script)
        return
    target = script.target(names=1)
    if missing_ok and (target.family, target.table) not in script.nft.tables:
        return
    script.transaction.delete_table(script.found_table(target))


def _delete_table_by_handle(script: Script) -> None:
    tokens = script.tokens
    family = "ip" if tokens.word == "handle" else tokens.take()
    tokens.expect("handle")
    number = tokens.number()
    for table in list(script.nft.tables.values()):
        if table.handle == number and table.family == family:
            script.transaction.delete_table(table)
            return
    raise tokens.error_at(NO_ENTRY, tokens.at - 1)


def _flush_table(script: Script) -> None:
    table = script.found_table(script.target(names=1))
    for chain in table.chains.values():
        script.transaction.flush_chain(chain)


# Chains


def _add_chain(script: Script, *, create: bool = False) -> None:
    target = script.target(names=2)
    table = script.found_table(target)
    tokens = script.tokens
    if not tokens.accept("{"):
        script.transaction.add_chain(table, target.name, None, "", create=create)
        return
    spec = chain_spec(script.scope(table))
    fill(script, table, target.name, spec, create=create)


def _create_chain(script: Script) -> None:
    _add_chain(script, create=True)


def _delete_chain(script: Script, *, missing_ok: bool = False) -> None:
    target = script.target(names=2)
    if missing_ok and target.name not in script.found_table(target).chains:
        return
    script.transaction.delete_chain(_chain_or_handle(script, target))


def _chain_or_handle(script: Script, target: Target) -> NftChain:
    tokens = script.tokens
    if target.name == "handle" and tokens.at - 1 == target.name_at:
        number = tokens.number()
        for chain in script.found_table(target).chains.values():
            if chain.handle == number:
                return chain
        raise tokens.error_at(NO_ENTRY, tokens.at - 1)
    return script.found_chain(target)


def _flush_chain(script: Script) -> None:
    script.transaction.flush_chain(script.found_chain(script.target(names=2)))


def _rename_chain(script: Script) -> None:
    chain = script.found_chain(script.target(names=2))
    script.transaction.rename_chain(chain, script.tokens.name())


# Rules


def _position(script: Script, chain: NftChain, *, behind: bool) -> int:
    """Read `handle N`, `position N` or `index N`: the index that a new rule gets."""
    tokens = script.tokens
    word = tokens.word
    if word in ("handle", "position") and tokens.kind == WORD:
        tokens.take()
        return chain.rules.index(_by_handle(script, chain)) + behind
    if word == "index" and tokens.accept("index"):
        at, index = tokens.at, tokens.number()
        if index >= len(chain.rules):
            raise tokens.error_at(f"Could not process rule: {NO_ENTRY}", at)
        return index + behind
    return len(chain.rules) if behind else 0


def _by_handle(script: Script, chain: NftChain) -> NftRule:
    tokens = script.tokens
    at, number = tokens.at, tokens.number()
    for each in chain.rules:
        if each.handle == number:
            return each
    raise tokens.error_at(f"Could not process rule: {NO_ENTRY}", at)


def _add_rule(script: Script, *, behind: bool = True) -> None:
    chain = script.found_chain(script.target(names=2))
    index = _position(script, chain, behind=behind)
    script.transaction.add_rule(chain, script.forms.rule(script.scope(chain.table)), index)


def _insert_rule(script: Script) -> None:
    _add_rule(script, behind=False)


def _replace_rule(script: Script) -> None:
    chain = script.found_chain(script.target(names=2))
    script.tokens.expect("handle")
    old = _by_handle(script, chain)
    index = chain.rules.index(old)
    new = script.forms.rule(script.scope(chain.table))
    script.transaction.delete_rule(chain, old)
    script.transaction.add_rule(chain, new, index)


def _delete_rule(script: Script, *, missing_ok: bool = False) -> None:
    chain = script.found_chain(script.target(names=2))
    script.tokens.expect("handle")
    number = script.tokens.word
    if missing_ok and not any(str(each.handle) == number for each in chain.rules):
        script.tokens.take()
        return
    script.transaction.delete_rule(chain, _by_handle(script, chain))


_Handler = Callable[[Script], None]
_COMMANDS: dict[tuple[str, str], _Handler] = {
    ("add", "table"): _add_table,
    ("create", "table"): _create_table,
    ("delete", "table"): _delete_table,
    ("destroy", "table"): lambda script: _delete_table(script, missing_ok=True),
    ("flush", "table"): _flush_table,
    ("add", "chain"): _add_chain,
    ("create", "chain"): _create_chain,
    ("delete", "chain"): _delete_chain,
    ("destroy", "chain"): lambda script: _delete_chain(script, missing_ok=True),
    ("flush", "chain"): _flush_chain,
    ("rename", "chain"): _rename_chain,
    ("add", "rule"): _add_rule,
    ("insert", "rule"): _insert_rule,
    ("replace", "rule"): _replace_rule,
    ("delete", "rule"): _delete_rule,
    ("destroy", "rule"): lambda script: _delete_rule(script, missing_ok=True),
    ("add", "set"): add_set,
    ("create", "set"): create_set,
    ("delete", "set"): delete_set,
    ("destroy", "set"): lambda script: delete_set(script, missing_ok=True),
    ("flush", "set"): flush_set,
    ("add", "map"): add_map,
    ("create", "map"): create_map,
    ("delete", "map"): delete_set,
    ("destroy", "map"): lambda script: delete_set(script, missing_ok=True),
    ("flush", "map"): flush_set,
    ("add", "element"): lambda script: change_elements(script, "add"),
    ("create", "element"): lambda script: change_elements(script, "create"),
    ("delete", "element"): lambda script: change_elements(script, "delete"),
    ("destroy", "element"): lambda script: change_elements(script, "destroy"),
    ("add", "counter"): add_counter,
    ("create", "counter"): create_counter,
    ("delete", "counter"): delete_counter,
    ("destroy", "counter"): lambda script: delete_counter(script, missing_ok=True),
}
