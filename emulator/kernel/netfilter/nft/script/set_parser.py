"""Reads the declaration of a set or map: `{ type ipv4_addr . inet_service : verdict; flags interval; … }`."""

from __future__ import annotations

from dataclasses import replace

from msgspec import Struct, field

from emulator.kernel.netfilter.nft.datatype import BY_NAME, Datatype
from emulator.kernel.netfilter.nft.error import NftError
from emulator.kernel.netfilter.nft.expression.expression import Concatenation
from emulator.kernel.netfilter.nft.script.element_parser import Read, elements, has_spans, spread, time_value
from emulator.kernel.netfilter.nft.script.expression_parser import concatenation
from emulator.kernel.netfilter.nft.script.lexer import MARK
from emulator.kernel.netfilter.nft.script.reader import Scope
from emulator.kernel.netfilter.nft.set import COUNTER, FLAGS, VERDICT, Declaration


class SetDraft(Struct):
    """A declaration as it is read, and where its elements stand: they are read once everything they name is there."""

    is_map: bool
    declaration: Declaration = field(default_factory=lambda: Declaration(()))
    elements_at: int = -1


def declaration(scope: Scope, draft: SetDraft) -> None:
    """Read what stands in the braces; the opening one has been taken."""
    tokens = scope.tokens
    while True:
        tokens.skip_separators()
        if tokens.accept("}"):
            break
        at = tokens.at
        word = tokens.take()
        if word == "elements":
            tokens.expect("=")
            draft.elements_at = tokens.at
            skip_braces(scope)
            if not tokens.at_separator() and tokens.word != "}":
                raise tokens.unexpected("newline or semicolon")
            continue
        reader = _PROPERTIES.get(word)
        if reader is None:
            tokens.at = at
            raise tokens.unexpected()
        draft.declaration = reader(scope, draft)
        tokens.expect_separator()
    if not draft.declaration.types:
        raise tokens.error_at("set definition does not specify key", tokens.at - 1)
    if draft.is_map and not draft.declaration.data:
        raise tokens.error_at("map definition does not specify mapping data type", tokens.at - 1)


def skip_braces(scope: Scope) -> None:
    """Step over a group in braces."""
    tokens = scope.tokens
    tokens.expect("{")
    depth = 1
    while depth:
        if not tokens.word:
            raise tokens.unexpected()
        if tokens.kind == MARK:
            depth += (tokens.word == "{") - (tokens.word == "}")
        tokens.take()


def _types(scope: Scope) -> tuple[Datatype, ...]:
    tokens = scope.tokens
    found = []
    while True:
        if tokens.word not in BY_NAME:
            raise tokens.error_at(f"unknown datatype {tokens.word}", tokens.at)
        found.append(BY_NAME[tokens.take()])
        if not tokens.accept("."):
            return tuple(found)


def _type(scope: Scope, draft: SetDraft) -> Declaration:
    read = replace(draft.declaration, types=_types(scope))
    if not draft.is_map:
        return read
    tokens = scope.tokens
    tokens.expect(":")
    if tokens.word in (VERDICT, COUNTER):
        return replace(read, data=tokens.take())
    if tokens.word in ("quota", "limit", "ct", "synproxy", "secmark", "interval"):
        raise scope.refuse(f"a map to {tokens.word}", tokens.at)
    return replace(read, data="value", data_types=_types(scope))


def _typeof(scope: Scope, draft: SetDraft) -> Declaration:
    key = concatenation(scope)
    read = replace(draft.declaration, types=key.types, typeof=key.format())
    if not draft.is_map:
        return read
    tokens = scope.tokens
    tokens.expect(":")
    if tokens.word in (VERDICT, COUNTER):
        return replace(read, data=tokens.take())
    data = concatenation(scope)
    kinds = data.types if isinstance(data, Concatenation) else (data.datatype,)
    return replace(read, data="value", data_types=kinds, data_typeof=data.format())


def _flags(scope: Scope, draft: SetDraft) -> Declaration:
    tokens = scope.tokens
    found = set(draft.declaration.flags)
    while True:
        if tokens.word not in FLAGS:
            raise tokens.unexpected()
        found.add(tokens.take())
        if not tokens.accept(","):
            return replace(draft.declaration, flags=frozenset(found))


def _timeout(scope: Scope, draft: SetDraft) -> Declaration:
    flags = draft.declaration.flags | {"timeout"}
    return replace(draft.declaration, timeout=time_value(scope), flags=flags)


def _gc_interval(scope: Scope, draft: SetDraft) -> Declaration:
    return replace(draft.declaration, gc_interval=time_value(scope))


def _size(scope: Scope, draft: SetDraft) -> Declaration:
    return replace(draft.declaration, size=scope.tokens.number())


def _policy(scope: Scope, draft: SetDraft) -> Declaration:
    tokens = scope.tokens
    if tokens.word not in ("memory", "performance"):
        raise tokens.unexpected()
    return replace(draft.declaration, policy=tokens.take())


def _auto_merge(scope: Scope, draft: SetDraft) -> Declaration:
    return replace(draft.declaration, auto_merge=True)


def _counter(scope: Scope, draft: SetDraft) -> Declaration:
    return replace(draft.declaration, counts=True)


def _comment(scope: Scope, draft: SetDraft) -> Declaration:
    return replace(draft.declaration, comment=scope.tokens.quoted())


_PROPERTIES = {
    "type": _type,
    "typeof": _typeof,
    "flags": _flags,
    "timeout": _timeout,
    "gc-interval": _gc_interval,
    "size": _size,
    "policy": _policy,
    "auto-merge": _auto_merge,
    "counter": _counter,
    "comment": _comment,
}


def named_elements(scope: Scope, found: Declaration) -> list[Read]:
    """Read elements for a set with a name, in the form that it keeps them."""
    tokens = scope.tokens
    read = elements(scope, found)
    if not found.interval and has_spans(read):
        wrong = next(each for each in read if has_spans([each]))
        message = "You must add 'flags interval' to your set declaration if you want to add range elements"
        raise tokens.error_at(message, wrong.first, wrong.last)
    for each in read:
        if each.element.key != "*":
            spread(found, each.element)
        if (each.element.timeout or each.element.expires) and "timeout" not in found.flags:
            raise _no_timeouts(scope, each)
    return read


def _no_timeouts(scope: Scope, each: Read) -> NftError:
    return scope.tokens.error_at("Could not process rule: Invalid argument", each.first, each.last)
