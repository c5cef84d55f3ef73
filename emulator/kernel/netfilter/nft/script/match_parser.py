"""Reads the right side of a comparison and makes the statement that nft makes of it (evaluate.c, expr_evaluate_*)."""

from __future__ import annotations

from emulator.kernel.netfilter.nft.datatype import BOOLEAN, IPV4, IPV6, Datatype
from emulator.kernel.netfilter.nft.element import Span
from emulator.kernel.netfilter.nft.error import NO_ENTRY
from emulator.kernel.netfilter.nft.expression.expression import Concatenation, Expression, Masked
from emulator.kernel.netfilter.nft.expression.lookup import SetReference
from emulator.kernel.netfilter.nft.script.element_parser import anonymous, elements
from emulator.kernel.netfilter.nft.script.lexer import MARK
from emulator.kernel.netfilter.nft.script.reader import Scope
from emulator.kernel.netfilter.nft.set import Declaration
from emulator.kernel.netfilter.nft.statement.match import FlagMatch, Match, Operand, Prefix, Range
from emulator.kernel.netfilter.nft.statement.statement import Statement

_OPERATORS = {
    "==": "==", "!=": "!=", "<": "<", ">": ">", "<=": "<=", ">=": ">=",
    "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=",
}  # fmt: skip


def relation(scope: Scope, left: Expression, first: int) -> Statement:
    """Read an operator, if there is one, and the right side."""
    tokens = scope.tokens
    written = tokens.word if tokens.word in _OPERATORS or tokens.word == "!" else ""
    if written:
        tokens.take()
    if tokens.at_separator():
        raise tokens.unexpected()
    kind = left.datatype
    if written == "!":
        if not kind.bitmask:
            message = "negation can only be used with singleton bitmask values"
            raise tokens.error_at(message, first, tokens.at - 2)
        return FlagMatch(left, "none", scope.flags_value(kind))
    operator = _OPERATORS.get(written, "==")
    if tokens.word == "{" and tokens.kind == MARK:
        return _with_set(scope, left, operator)
    if tokens.accept("@"):
        return Match(left, operator, _named(scope, left))
    if kind.bitmask and not isinstance(left, Concatenation):
        return _flags(scope, left, operator, written)
    if isinstance(left, Concatenation):
        return Match(left, operator, _tuple(scope, left))
    return _plain(scope, left, operator)


def _plain(scope: Scope, left: Expression, operator: str) -> Match:
    kind = left.datatype
    right = _operand(scope, kind)
    if isinstance(right, str) and right.endswith("\\*"):
        right = right[:-2] + "*"
    if isinstance(left, Masked) and isinstance(right, int) and kind in (IPV4, IPV6) and operator in ("==", "!="):
        length = _contiguous(kind, left.mask)
        if length >= 0 and not right & ~left.mask:
            return Match(left.inner, operator, Prefix(right, length))
    if operator not in ("==", "!=") and not isinstance(right, int):
        raise scope.tokens.error_at("invalid expression for comparisons", scope.tokens.at - 1)
    return Match(left, operator, right)


def _contiguous(kind: Datatype, mask: int) -> int:
    rest = kind.limit ^ mask
    return -1 if rest & rest + 1 else kind.bits - rest.bit_length()


def _operand(scope: Scope, kind: Datatype) -> Operand:
    tokens = scope.tokens
    if kind is BOOLEAN:
        return scope.constant(kind)
    first = tokens.at
    low = scope.constant(kind)
    if isinstance(low, str):
        return low
    if tokens.accept("/"):
        length = scope.prefix_length(kind)
        size = (1 << kind.bits - length) - 1
        return Prefix(low & ~size, length) if size else low
    if tokens.accept("-"):
        high = scope.number_value(kind)
        if high < low:
            raise tokens.error_at("Range has zero or negative size", first, tokens.at - 1)
        return Range(low, high)
    return low


def _tuple(scope: Scope, left: Concatenation) -> Operand:
    values = []
    for index, kind in enumerate(left.types):
        if index:
            scope.tokens.expect(".")
        values.append(scope.constant(kind))
    return tuple(values)


def _flags(scope: Scope, left: Expression, operator: str, written: str) -> Statement:
    tokens, kind = scope.tokens, left.datatype
    at = tokens.at
    value = scope.flags_value(kind)
    if tokens.accept("/"):
        return FlagMatch(left, "unequal" if operator == "!=" else "equal", value, scope.flags_value(kind))
    if isinstance(left, Masked):
        if operator not in ("==", "!="):
            raise scope.refuse(f"{operator} of flags", at)
        if not value:
            return FlagMatch(left.inner, "any" if operator == "!=" else "none", left.mask)
        return FlagMatch(left.inner, "unequal" if operator == "!=" else "equal", value, left.mask)
    if not written and value:
        return FlagMatch(left, "any", value)
    return Match(left, operator, value)


def _named(scope: Scope, left: Expression) -> SetReference:
    tokens = scope.tokens
    name = tokens.name()
    found = scope.table.sets.get(name)
    if found is None:
        raise tokens.error_at(NO_ENTRY, tokens.at - 2, tokens.at - 1)
    wanted, given = found.declaration.types, left.types
    if [kind.name for kind in wanted] != [kind.name for kind in given]:
        expected, has = (_describe(each) for each in (wanted, given))
        message = f"datatype mismatch, expected {has}, expression has type {expected}"
        raise tokens.error_at(message, tokens.at - 2, tokens.at - 1)
    return SetReference(name)


def _describe(types: tuple[Datatype, ...]) -> str:
    names = [kind.description for kind in types]
    return names[0] if len(names) == 1 else f"concatenation of ({', '.join(names)})"


def _with_set(scope: Scope, left: Expression, operator: str) -> Statement:
    """A set of a single element is no set to nft, unless it is a concatenation's."""
    if operator not in ("==", "!="):
        raise scope.tokens.unexpected()
    declaration = Declaration(left.types)
    read = elements(scope, declaration)
    if len(read) == 1 and not isinstance(left, Concatenation):
        only = read[0].element.key
        if isinstance(only, Span):
            ranged = scope.tokens.words[read[0].first + 1] == "-"
            return Match(left, operator, Range(*only) if ranged else _prefix(left.datatype, only))
        if isinstance(only, int) and left.datatype.bitmask and operator == "==":
            return FlagMatch(left, "any", only)
        if isinstance(only, int | str) and only != "*":
            return Match(left, operator, only)
    return Match(left, operator, SetReference(anonymous=anonymous(scope, declaration, read)))


def _prefix(kind: Datatype, span: Span) -> Prefix:
    return Prefix(span.low, kind.bits - (span.high - span.low + 1).bit_length() + 1)
