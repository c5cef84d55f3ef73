"""Reads elements of sets and maps: `10.0.0.0/8 . 80-90 timeout 30s comment "x" : drop`, and sets in braces."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from emulator.kernel.netfilter.nft.datatype import Datatype
from emulator.kernel.netfilter.nft.element import DEFAULT, Counted, Data, Element, Name, Part, Span, span_of_names
from emulator.kernel.netfilter.nft.error import EXISTS, NftError, ValueProblem
from emulator.kernel.netfilter.nft.script.lexer import MARK, NUMBER, WORD
from emulator.kernel.netfilter.nft.script.reader import Scope
from emulator.kernel.netfilter.nft.set import COUNTER, VERDICT, Declaration, NftSet
from emulator.kernel.netfilter.nft.statement.verdict import GOTO, JUMP, PLAIN, Outcome
from emulator.kernel.netfilter.nft.storage import Intervals, Overlap
from emulator.kernel.netfilter.nft.time import parse_time


class Read(Struct):
    """An element as it was written, with the tokens that it stands at. Its parts are values, spans or patterns."""

    element: Element
    first: int
    last: int


def elements(scope: Scope, declaration: Declaration) -> list[Read]:
    """Read `{ element, element }`; braces within are of a variable's value."""
    tokens = scope.tokens
    tokens.expect("{")
    found: list[Read] = []
    tokens.skip_newlines()
    if tokens.word == "}" and tokens.kind == MARK:
        raise tokens.unexpected()
    while True:
        tokens.skip_newlines()
        if tokens.word == "{" and tokens.kind == MARK:
            found += elements(scope, declaration)
        elif not (tokens.word == "}" and tokens.kind == MARK):
            found.append(_element(scope, declaration))
        tokens.skip_newlines()
        if not tokens.accept(","):
            break
    if not tokens.accept("}"):
        raise tokens.unexpected("comma or '}'")
    return found


def _element(scope: Scope, declaration: Declaration) -> Read:
    tokens = scope.tokens
    first = tokens.at
    element = Element(DEFAULT if tokens.accept("*") else _key(scope, declaration.types))
    last = tokens.at - 1
    _options(scope, element, declaration)
    if declaration.data:
        tokens.skip_newlines()
        if not tokens.accept(":"):
            raise tokens.unexpected("colon")
        tokens.skip_newlines()
        element.data = data(scope, declaration)
    return Read(element, first, last)


def _options(scope: Scope, element: Element, declaration: Declaration) -> None:
    tokens = scope.tokens
    while tokens.kind == WORD:
        if tokens.accept("timeout"):
            element.timeout = time_value(scope)
        elif tokens.accept("expires"):
            element.expires = scope.netfilter.netns.kernel.now + time_value(scope) / 1000
        elif tokens.accept("comment"):
            element.comment = tokens.quoted()
        elif tokens.accept("counter"):
            if not declaration.counts:
                kind = "map" if declaration.data else "set"
                raise tokens.error_at(f"missing statement in {kind} declaration", tokens.at - 1)
            element.counter = counted(scope)
        else:
            return


def counted(scope: Scope) -> Counted:
    """Read `packets 5 bytes 6`, if it is there."""
    tokens = scope.tokens
    if not tokens.accept("packets"):
        return Counted()
    packets = tokens.number()
    tokens.expect("bytes")
    return Counted(packets, tokens.number())


def time_value(scope: Scope) -> int:
    """Read a duration, in milliseconds."""
    tokens = scope.tokens
    if tokens.kind not in (WORD, NUMBER):
        raise tokens.unexpected()
    word = tokens.take()
    try:
        return parse_time(word)
    except ValueProblem as problem:
        raise tokens.error_at(str(problem), tokens.at - 1) from None


def _key(scope: Scope, types: Sequence[Datatype]) -> Part | tuple[Part, ...]:
    tokens = scope.tokens
    first = tokens.at
    parts = [part(scope, types[0])]
    while tokens.accept("."):
        if len(parts) == len(types):
            raise _mismatch(scope, types, first)
        parts.append(part(scope, types[len(parts)]))
    if len(parts) != len(types):
        raise _mismatch(scope, types, first)
    return parts[0] if len(parts) == 1 else tuple(parts)


def _mismatch(scope: Scope, types: Sequence[Datatype], first: int) -> NftError:
    names = ", ".join(kind.description for kind in types)
    expected = names if len(types) == 1 else f"concatenation of ({names})"
    return scope.tokens.error_at(f"datatype mismatch, expected {expected}", first, max(first, scope.tokens.at - 1))


def part(scope: Scope, kind: Datatype) -> Part:
    """Read one part of a key: a value, a prefix or a range."""
    tokens = scope.tokens
    first = tokens.at
    if kind.bitmask:
        value = scope.number_value(kind)
        while tokens.accept("|"):
            value |= scope.number_value(kind)
        return value
    low = scope.constant(kind)
    if isinstance(low, str):
        return low
    if tokens.accept("/"):
        length = scope.prefix_length(kind)
        size = (1 << kind.bits - length) - 1
        return Span(low & ~size, low | size) if size else low
    if tokens.accept("-"):
        high = scope.number_value(kind)
        if high < low:
            raise tokens.error_at("Range has zero or negative size", first, tokens.at - 1)
        return Span(low, high) if high > low else low
    return low


def data(scope: Scope, declaration: Declaration) -> Data:
    """Read what a map has for a key."""
    if declaration.data == VERDICT:
        return outcome(scope)
    if declaration.data == COUNTER:
        return Name(scope.tokens.quoted())
    values = [scope.constant(declaration.data_types[0])]
    while scope.tokens.accept("."):
        if len(values) == len(declaration.data_types):
            raise _mismatch(scope, declaration.data_types, scope.tokens.at - 1)
        values.append(scope.constant(declaration.data_types[len(values)]))
    return values[0] if len(values) == 1 else tuple(values)


def outcome(scope: Scope) -> Outcome:
    """Read a verdict."""
    tokens = scope.tokens
    word = tokens.word
    if word in PLAIN:
        return Outcome(tokens.take())
    if word in (JUMP, GOTO):
        tokens.take()
        chain = tokens.name()
        found = scope.table.chains.get(chain)
        if found is None:
            raise tokens.error_at("No such file or directory", tokens.at - 1)
        if found.base is not None:
            raise tokens.error_at("Could not process rule: Operation not supported", tokens.at - 1)
        return Outcome(word, chain)
    if word == "queue":
        raise scope.refuse("queue", tokens.at)
    raise tokens.unexpected()


# Anonymous sets


def has_spans(read: Sequence[Read]) -> bool:
    """Whether an element is more than single values, so that a set of intervals is needed."""
    return any(
        isinstance(each, Span) or (isinstance(each, str) and each.endswith("*") and each is not DEFAULT)
        for one in read
        for each in one.element.parts()
    )


def anonymous(scope: Scope, declaration: Declaration, read: Sequence[Read]) -> NftSet:
    """Make the set of a rule. NftError where elements contradict each other."""
    if has_spans(read):
        declaration = _with_intervals(declaration)
    made = NftSet(scope.netfilter.netns.kernel, "", declaration, anonymous=True)
    for each in read:
        each.element.expires = 0.0
        each.element.timeout = 0
        if each.element.key is DEFAULT:
            made.default = each.element
            continue
        spread(declaration, each.element)
        _put(scope, made, each)
    return made


def _with_intervals(declaration: Declaration) -> Declaration:
    from dataclasses import replace

    return replace(declaration, flags=declaration.flags | {"interval"}, auto_merge=not declaration.data)


def _put(scope: Scope, made: NftSet, each: Read) -> None:
    tokens, element = scope.tokens, each.element
    same = made.exact(element.key)
    if same is not None:
        if same.data == element.data:
            return
        raise tokens.error_at(f"Could not process rule: {EXISTS}", each.first, each.last)
    if made.declaration.auto_merge and isinstance(made.storage, Intervals):
        made.storage.merge(element)
        return
    try:
        made.storage.add(element)
    except Overlap:
        raise tokens.error_at("conflicting intervals specified", each.first, each.last) from None


def spread(declaration: Declaration, element: Element) -> None:
    """Make an element's key what the set's storage has: spans, where the set has intervals."""
    if not declaration.interval:
        return
    parts = tuple(_span(each) for each in element.parts())
    if len(parts) == 1:
        single = parts[0]
        element.key = span_of_names(single) if isinstance(single, str) else single
    else:
        element.key = parts


def _span(value: Part) -> Part:
    return Span(value, value) if isinstance(value, int) else value
