"""Reads what rules look at: `ip saddr`, `meta mark`, `ct original ip daddr`, `fib daddr type`, `numgen inc mod 2`."""

from __future__ import annotations

from collections.abc import Callable

from emulator.kernel.netfilter.nft.expression import ct, fib, meta, payload
from emulator.kernel.netfilter.nft.expression.ct import Ct
from emulator.kernel.netfilter.nft.expression.expression import Concatenation, Expression, Masked
from emulator.kernel.netfilter.nft.expression.fib import Fib
from emulator.kernel.netfilter.nft.expression.generated import Jhash, Numgen
from emulator.kernel.netfilter.nft.expression.meta import Meta
from emulator.kernel.netfilter.nft.script.lexer import WORD
from emulator.kernel.netfilter.nft.script.reader import REFUSED, Scope

_DIRECTIONS = ("original", "reply")
_UNKNOWN_META = frozenset(
    [
        "priority",
        "iiftype",
        "oiftype",
        "nftrace",
        "rtclassid",
        "secmark",
        "ibrname",
        "obrname",
        "iifgroup",
        "oifgroup",
        "cgroup",
        "ipsec",
        "iifkind",
        "oifkind",
        "ibrpvid",
        "ibrvproto",
        "time",
        "day",
        "hour",
        "sdif",
        "sdifname",
        "broute",
    ]
)
_UNKNOWN_CT = frozenset(
    ["helper", "label", "count", "bytes", "packets", "avgpkt", "event", "timeout", "expectation", "secmark"]
)


def concatenation(scope: Scope) -> Expression:
    """Read one expression, or several with dots between them; a mask may follow a single one."""
    first = primary(scope)
    tokens = scope.tokens
    if tokens.word == ".":
        parts = [first]
        while tokens.accept("."):
            parts.append(primary(scope))
        return Concatenation(tuple(parts))
    if tokens.word in ("&", "and"):
        tokens.take()
        return Masked(first, scope.flags_value(first.datatype))
    if tokens.word in ("|", "^", "<<", ">>", "or", "xor", "lshift", "rshift"):
        raise scope.refuse(f"a comparison of a value changed with {tokens.word}", tokens.at)
    return first


def primary(scope: Scope) -> Expression:
    """Read one expression."""
    tokens = scope.tokens
    word = tokens.word
    if tokens.kind == WORD:
        if word in payload.HEADERS:
            return _payload(scope)
        reader = _READERS.get(word)
        if reader is not None:
            tokens.take()
            return reader(scope)
        if word in meta.SHORT:
            tokens.take()
            return Meta(word)
        if word in REFUSED:
            raise scope.refuse(word, tokens.at)
    raise tokens.unexpected()


def starts_expression(word: str) -> bool:
    """Whether an expression begins with a word."""
    return word in _FIRST_WORDS


def _payload(scope: Scope) -> Expression:
    tokens = scope.tokens
    first = tokens.at
    protocol, field = tokens.take(), tokens.word
    found = payload.FIELDS.get((protocol, field))
    if found is None:
        if tokens.at_separator() or field == "set":
            raise tokens.unexpected()
        if field in ("option", "id", "sequence", "reserved") and protocol in ("tcp", "ip", "icmp"):
            raise scope.refuse(f"{protocol} {field}", first, tokens.at)
        raise tokens.unexpected()
    tokens.take()
    family = scope.table.family
    if found.network not in ("", family) and family != "inet":
        message = f"conflicting protocols specified: {family} vs. {protocol}"
        raise tokens.error_at(message, first, tokens.at - 1)
    return found


def _meta(scope: Scope) -> Expression:
    tokens = scope.tokens
    first, key = tokens.at - 1, tokens.word
    if key in _UNKNOWN_META:
        raise scope.refuse(f"meta {key}", first, tokens.at)
    if key not in meta.TYPES:
        if tokens.at_separator():
            raise tokens.unexpected()
        known = ", ".join(meta.TYPES)
        raise tokens.error_at(f"syntax error, unexpected {key}, known keys are {known}", first, tokens.at)
    tokens.take()
    if key == "nfproto" and scope.table.family in ("ip", "ip6"):
        raise tokens.error_at("meta nfproto is only useful in the inet family", first, tokens.at - 1)
    return Meta(key)


def _ct(scope: Scope) -> Expression:
    tokens = scope.tokens
    first = tokens.at - 1
    direction = tokens.take() if tokens.word in _DIRECTIONS else ""
    key = tokens.word
    if not direction:
        if key in _UNKNOWN_CT:
            raise scope.refuse(f"ct {key}", first, tokens.at)
        if key not in ct.TYPES:
            raise tokens.unexpected()
        tokens.take()
        return Ct(key)
    if key in ("ip", "ip6"):
        tokens.take()
        key = f"{key} {tokens.word}"
        if key.startswith("ip6"):
            raise scope.refuse(f"ct {direction} {key}", first, tokens.at)
    elif key in ("saddr", "daddr"):
        if scope.table.family != "ip":
            message = 'cannot determine ip protocol version, use "ip saddr" or "ip6 saddr" instead'
            raise tokens.error_at(message, first, tokens.at)
    elif key in ("protocol", "l3proto"):
        tokens.take()
        return Ct(key)
    if key in _UNKNOWN_CT:
        raise scope.refuse(f"ct {direction} {key}", first, tokens.at)
    if key not in ct.DIRECTED:
        raise tokens.unexpected()
    tokens.take()
    return Ct(key, direction)


def _fib(scope: Scope) -> Expression:
    tokens = scope.tokens
    asked = []
    while True:
        if tokens.word not in fib.ASKED:
            raise tokens.unexpected()
        asked.append(tokens.take())
        if not tokens.accept("."):
            break
    if tokens.word not in ("type", "oif", "oifname"):
        raise tokens.unexpected()
    result = tokens.take()
    present = result != "type" and tokens.word in ("exists", "missing")
    ordered = tuple(each for each in fib.ASKED if each in asked)
    return Fib(ordered, result, present)


def _modulus(scope: Scope) -> int:
    tokens = scope.tokens
    tokens.expect("mod")
    at = tokens.at
    modulus = tokens.number()
    if modulus < 1:
        raise tokens.error_at("Could not process rule: Numerical result out of range", at)
    return modulus


def _numgen(scope: Scope) -> Expression:
    tokens = scope.tokens
    if tokens.word not in ("inc", "random"):
        raise tokens.unexpected()
    random = tokens.take() == "random"
    modulus = _modulus(scope)
    return Numgen(random, modulus, tokens.number() if tokens.accept("offset") else 0)


def _jhash(scope: Scope) -> Expression:
    tokens = scope.tokens
    inner = concatenation(scope)
    modulus = _modulus(scope)
    seed = tokens.number() if tokens.accept("seed") else None
    return Jhash(inner, modulus, seed, tokens.number() if tokens.accept("offset") else 0)


_READERS: dict[str, Callable[[Scope], Expression]] = {
    "meta": _meta,
    "ct": _ct,
    "fib": _fib,
    "numgen": _numgen,
    "jhash": _jhash,
}
_FIRST_WORDS = frozenset([*_READERS, *payload.HEADERS, *meta.SHORT])
