"""Reads a rule: its statements up to the end of the line, and its comment."""

from __future__ import annotations

from collections.abc import Callable

from emulator.kernel.netfilter.nft.datatype import MARK as MARK_TYPE
from emulator.kernel.netfilter.nft.error import NO_ENTRY
from emulator.kernel.netfilter.nft.expression.ct import Ct
from emulator.kernel.netfilter.nft.expression.expression import Concatenation, Expression
from emulator.kernel.netfilter.nft.expression.lookup import CounterMap, MapLookup, SetReference, VerdictMap
from emulator.kernel.netfilter.nft.normal import normalized
from emulator.kernel.netfilter.nft.protocols import Protocols
from emulator.kernel.netfilter.nft.script.element_parser import anonymous, counted, elements, outcome, time_value
from emulator.kernel.netfilter.nft.script.expression_parser import concatenation, primary, starts_expression
from emulator.kernel.netfilter.nft.script.lexer import MARK, WORD
from emulator.kernel.netfilter.nft.script.match_parser import relation
from emulator.kernel.netfilter.nft.script.reader import REFUSED, Scope
from emulator.kernel.netfilter.nft.script.translate_parser import translate
from emulator.kernel.netfilter.nft.set import COUNTER, VERDICT, Declaration, NftSet
from emulator.kernel.netfilter.nft.statement.dynamic import Dynamic
from emulator.kernel.netfilter.nft.statement.limit import SIZES, UNITS, Limit
from emulator.kernel.netfilter.nft.statement.mangle import Bitwise, SetMark
from emulator.kernel.netfilter.nft.statement.statement import (
    Counter,
    LogStatement,
    NamedCounter,
    Notrack,
    Reject,
    Statement,
    VerdictStatement,
    reject_codes,
)
from emulator.kernel.netfilter.nft.symbols import ICMPV6_CODES, ICMPX_CODES
from emulator.kernel.netfilter.nft.table import NftRule
from emulator.kernel.netfilter.options import U32


def rule(scope: Scope) -> NftRule:
    """Read a rule up to the separator behind it."""
    tokens = scope.tokens
    if tokens.at_separator():
        raise tokens.unexpected()
    statements: list[Statement] = []
    protocols = Protocols(scope)
    comment = ""
    last_first = tokens.at
    while not tokens.at_separator() and not (tokens.word == "}" and tokens.kind == MARK):
        if statements and tokens.accept("comment"):
            comment = tokens.quoted()
            break
        first = tokens.at
        read = _statement(scope, protocols)
        if statements and statements[-1].terminal:
            raise tokens.error_at("Statement after terminal statement has no effect", first, tokens.at - 1)
        last_first = first
        statements.append(read)
        protocols.note(read, last_first, tokens.at - 1)
    return NftRule(normalized(statements, scope.table.family), comment)


def _statement(scope: Scope, protocols: Protocols) -> Statement:
    tokens = scope.tokens
    word = tokens.word
    if tokens.kind == WORD:
        reader = _READERS.get(word)
        if reader is not None:
            return reader(scope, protocols)
        if starts_expression(word):
            return _expression_statement(scope, protocols)
        if word in REFUSED:
            raise scope.refuse(word, tokens.at)
        if tokens.peek() == "\n":
            tokens.take()
    raise tokens.unexpected()


def _verdict(scope: Scope, protocols: Protocols) -> Statement:
    return VerdictStatement(outcome(scope))


def _expression_statement(scope: Scope, protocols: Protocols) -> Statement:
    tokens = scope.tokens
    first = tokens.at
    word = tokens.word
    owner = "ct" if word == "ct" else "meta"
    if word in ("meta", "ct") and tokens.peek(2) == "set" and tokens.peek(1) != "mark":
        raise scope.refuse(f"{word} {tokens.peek(1)} set", first, first + 2)
    left = concatenation(scope)
    protocols.require(left, first, tokens.at - 1)
    if tokens.accept("set"):
        if left.types != (MARK_TYPE,):
            raise scope.refuse(f"{left.format()} set", first, tokens.at - 1)
        return SetMark(owner, _mark_value(scope, protocols))
    if tokens.accept("vmap"):
        return VerdictMap(left, _map_reference(scope, left, Declaration(left.types, data=VERDICT)))
    if isinstance(left, Ct) and left.key.startswith("proto-") and not protocols.has_ports and not tokens.at_separator():
        raise tokens.error_at("Can't parse symbolic invalid expressions", tokens.at)
    return relation(scope, left, first)


def _map_reference(scope: Scope, left: Expression, declaration: Declaration) -> SetReference:
    """Read `@name` or `{ key : data, … }`."""
    tokens = scope.tokens
    if not tokens.accept("@"):
        return SetReference(anonymous=anonymous(scope, declaration, elements(scope, declaration)))
    name = tokens.name()
    found = scope.table.sets.get(name)
    if found is None:
        raise tokens.error_at(NO_ENTRY, tokens.at - 2, tokens.at - 1)
    _check_types(scope, left, found)
    if found.declaration.data != declaration.data:
        raise tokens.error_at("datatype mismatch, the map has other data", tokens.at - 1)
    return SetReference(name)


def _check_types(scope: Scope, left: Expression, found: NftSet) -> None:
    wanted, given = found.declaration.types, left.types
    if len(wanted) == len(given) and all(_compatible(a.name, b.name) for a, b in zip(wanted, given, strict=True)):
        return
    message = f"datatype mismatch, map expects {_describe(wanted)}, mapping expression has type {_describe(given)}"
    raise scope.tokens.error_at(message, scope.tokens.at - 2, scope.tokens.at - 1)


def _compatible(one: str, other: str) -> bool:
    return one == other or "integer" in (one, other)


def _describe(types: tuple[object, ...]) -> str:
    names = [str(getattr(kind, "description", "")) for kind in types]
    return names[0] if len(names) == 1 else f"concatenation of ({', '.join(names)})"


# meta mark set, ct mark set


def _mark_value(scope: Scope, protocols: Protocols) -> int | str | Expression:
    """Read what a mark is set to: a constant, or an expression with constants behind &, | and ^."""
    tokens = scope.tokens
    bracket = tokens.accept("(")
    first = tokens.at
    if not (tokens.kind == WORD and starts_expression(tokens.word)):
        value = scope.constant(MARK_TYPE)
        if bracket:
            tokens.expect(")")
        return value
    expression = concatenation_without_mask(scope)
    protocols.require(expression, first, tokens.at - 1)
    if tokens.accept("map"):
        declaration = Declaration(expression.types, data="value", data_types=(MARK_TYPE,))
        return MapLookup(expression, _map_reference(scope, expression, declaration), (MARK_TYPE,))
    mask, flip = _bitwise(scope, U32, 0)
    if bracket:
        tokens.expect(")")
        mask, flip = _bitwise(scope, mask, flip)
    return expression if (mask, flip) == (U32, 0) else Bitwise(expression, mask, flip)


def concatenation_without_mask(scope: Scope) -> Expression:
    """Read an expression before its operators."""
    parts = [primary(scope)]
    while scope.tokens.accept("."):
        parts.append(primary(scope))
    return parts[0] if len(parts) == 1 else Concatenation(tuple(parts))


_STRENGTH = {"&": 3, "and": 3, "^": 2, "xor": 2, "|": 1, "or": 1}


def _bitwise(scope: Scope, mask: int, flip: int) -> tuple[int, int]:
    tokens = scope.tokens
    strength = 3
    while (tokens.word in _STRENGTH and tokens.kind != WORD) or tokens.word in ("and", "or", "xor"):
        at, word = tokens.at, tokens.take()
        if tokens.kind == WORD and starts_expression(tokens.word):
            message = f"Right hand side of binary operation ({word}) must be constant"
            raise tokens.error_at(message, at + 1)
        if _STRENGTH[word] > strength:
            raise scope.refuse(f"{word} behind a weaker operator, without brackets", at)
        strength = _STRENGTH[word]
        value = scope.number_value(MARK_TYPE)
        if strength == 3:
            mask, flip = mask & value, flip & value
        elif strength == 2:
            flip ^= value
        else:
            mask, flip = mask & ~value, flip & ~value | value
    return mask, flip


# Short statements


def _counter(scope: Scope, protocols: Protocols) -> Statement:
    tokens = scope.tokens
    tokens.take()
    if not tokens.accept("name"):
        read = counted(scope)
        return Counter(read.packets, read.bytes)
    at = tokens.at
    if starts_expression(tokens.word) and tokens.kind == WORD:
        key = concatenation_without_mask(scope)
        tokens.expect("map")
        declaration = Declaration(key.types, data=COUNTER)
        return CounterMap(MapLookup(key, _map_reference(scope, key, declaration), ()))
    name = tokens.quoted()
    if name not in scope.table.counters:
        raise tokens.error_at(f"Could not process rule: {NO_ENTRY}", at)
    return NamedCounter(name)


def _notrack(scope: Scope, protocols: Protocols) -> Statement:
    scope.tokens.take()
    return Notrack()


_LOG_NUMBERS = {"group": 0xFFFF, "snaplen": U32, "queue-threshold": 0xFFFF}


def _log(scope: Scope, protocols: Protocols) -> Statement:
    tokens = scope.tokens
    tokens.take()
    prefix = level = ""
    flags: list[str] = []
    numbers: dict[str, int] = {}
    while tokens.kind == WORD:
        if tokens.accept("prefix"):
            at, prefix = tokens.at, tokens.quoted()
            if len(prefix) > 127:
                raise tokens.error_at("log prefix is too long", at)
        elif tokens.accept("level"):
            if tokens.word not in LogStatement.levels():
                raise tokens.error_at("invalid log level", tokens.at)
            level = tokens.take()
        elif tokens.accept("flags"):
            flags += _log_flags(scope)
        elif tokens.word in _LOG_NUMBERS:
            name = tokens.take()
            numbers[name] = tokens.number()
        else:
            break
    group = numbers.get("group")
    return LogStatement(
        prefix, level, tuple(flags), group, numbers.get("snaplen", 0), numbers.get("queue-threshold", 0)
    )


def _log_flags(scope: Scope) -> list[str]:
    tokens = scope.tokens
    word = tokens.take()
    if word == "tcp":
        found = []
        while True:
            if tokens.word not in ("sequence", "options"):
                raise tokens.unexpected()
            found.append(f"tcp {tokens.take()}")
            if not tokens.accept(","):
                return sorted(found, reverse=True)
    if word == "ip":
        tokens.expect("options")
        return ["ip options"]
    if word in ("skuid", "ether", "all"):
        return [word]
    tokens.at -= 1
    raise tokens.unexpected()


def _limit(scope: Scope, protocols: Protocols | None = None) -> Limit:
    tokens = scope.tokens
    tokens.take()
    tokens.expect("rate")
    over = tokens.accept("over")
    at = tokens.at
    rate = tokens.number()
    word, slash, unit = tokens.word.partition("/") if tokens.kind == WORD else ("", "", "")
    size = SIZES.get(word)
    if size is not None:  # `mbytes/second` is one word to the lexer
        tokens.take()
        rate *= size
    if not slash:
        if not tokens.accept("/"):
            raise tokens.unexpected("/ or string or bytes")
        unit = tokens.take() if tokens.word in UNITS else ""
    if unit not in UNITS:
        raise tokens.unexpected()
    if not rate:
        raise tokens.error_at("Could not process rule: Invalid argument", at)
    burst = 0 if size is not None else 5
    if tokens.accept("burst"):
        burst = tokens.number()
        if size is None:
            tokens.expect("packets")
        elif tokens.word in SIZES:
            burst *= SIZES[tokens.take()]
        else:
            raise tokens.unexpected()
    return Limit(rate, unit, burst, over, size is not None)


_REJECT_CODES = {"icmp": reject_codes(), "icmpx": tuple(ICMPX_CODES), "icmpv6": tuple(ICMPV6_CODES)}


def _reject(scope: Scope, protocols: Protocols) -> Statement:
    tokens, family = scope.tokens, scope.table.family
    tokens.take()
    network = protocols.network if family == "inet" else family
    if not tokens.accept("with"):
        if network == "ip":
            return Reject(plain=family == "ip")
        if network == "ip6":
            return Reject("icmpv6", "port-unreachable", family == "ip6")
        return Reject("icmpx", "port-unreachable")
    first = tokens.at
    if tokens.accept("tcp"):
        tokens.expect("reset")
        protocols.require_tcp(first)
        return Reject("tcp reset", "", plain=False)
    kind = tokens.word
    if kind not in _REJECT_CODES:
        raise tokens.unexpected()
    tokens.take()
    tokens.accept("type")
    if tokens.word not in _REJECT_CODES[kind]:
        raise tokens.error_at(f"Could not parse {kind} code", tokens.at)
    code = tokens.take()
    default = {"ip": "icmp", "ip6": "icmpv6", "inet": "icmpx"}[family]
    if kind == "icmpx" and family != "inet":
        raise tokens.error_at("unsupported family", first, tokens.at - 1)
    return Reject(kind, code, kind == default and code == "port-unreachable" and (family != "inet" or not network))


def _dynamic(scope: Scope, protocols: Protocols) -> Statement:
    tokens = scope.tokens
    operation = tokens.take()
    tokens.expect("@")
    name_at, name = tokens.at, tokens.name()
    found = scope.table.sets.get(name)
    if found is None:
        raise tokens.error_at(NO_ENTRY, name_at - 1, name_at)
    tokens.expect("{")
    first = tokens.at
    key = concatenation_without_mask(scope)
    kinds = found.declaration.types
    if tuple(kind.name for kind in kinds) != tuple(kind.name for kind in key.types):
        message = f"datatype mismatch: expected {_describe(kinds)}, expression has type {_describe(key.types)}"
        raise tokens.error_at(message, first, tokens.at - 1)
    read = _dynamic_options(scope)
    value: object = None
    if found.declaration.data == "value":
        tokens.expect(":")
        plain = tokens.kind != WORD or not starts_expression(tokens.word)
        value = scope.constant(found.declaration.data_types[0]) if plain else primary(scope)
    tokens.expect("}")
    times = read[0] or operation == "update"
    if (times and "timeout" not in found.declaration.flags) or found.declaration.interval:
        raise tokens.error_at("Could not process rule: Operation not supported", name_at - 2, tokens.at - 1)
    counts = read[1] and not found.declaration.counts  # else the set sees to it
    return Dynamic(operation, name, key, read[0], counts, read[2], value)  # type: ignore[arg-type]


def _dynamic_options(scope: Scope) -> tuple[int, bool, Limit | None]:
    tokens = scope.tokens
    timeout, counts, limit = 0, False, None
    while tokens.kind == WORD:
        if tokens.accept("timeout"):
            timeout = time_value(scope)
        elif tokens.accept("counter"):
            counts = counted(scope).packets >= 0
        elif tokens.word == "limit":
            limit = _limit(scope)
        elif tokens.word in ("ct", "quota", "last"):
            raise scope.refuse(f"{tokens.word} in a set", tokens.at)
        else:
            raise tokens.unexpected()
    return timeout, counts, limit


_READERS: dict[str, Callable[[Scope, Protocols], Statement]] = {
    "counter": _counter,
    "notrack": _notrack,
    "log": _log,
    "limit": _limit,
    "reject": _reject,
    **dict.fromkeys(("accept", "drop", "continue", "return", "jump", "goto"), _verdict),
    **dict.fromkeys(("dnat", "snat", "masquerade", "redirect"), translate),
    **dict.fromkeys(("add", "update", "delete"), _dynamic),
}
