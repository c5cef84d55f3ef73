"""Reads `dnat ip to 10.0.0.1:80 random`, `masquerade to :1024-65535 fully-random` and their like."""

from __future__ import annotations

from emulator.kernel.netfilter.nft.datatype import IPV4, IPV6, SERVICE, Datatype
from emulator.kernel.netfilter.nft.error import NO_ENTRY
from emulator.kernel.netfilter.nft.expression.expression import Concatenation, Expression
from emulator.kernel.netfilter.nft.expression.lookup import MapLookup, SetReference
from emulator.kernel.netfilter.nft.protocols import Protocols
from emulator.kernel.netfilter.nft.script.element_parser import anonymous, elements
from emulator.kernel.netfilter.nft.script.expression_parser import primary, starts_expression
from emulator.kernel.netfilter.nft.script.lexer import WORD
from emulator.kernel.netfilter.nft.script.reader import Scope
from emulator.kernel.netfilter.nft.set import Declaration
from emulator.kernel.netfilter.nft.statement.match import Range
from emulator.kernel.netfilter.nft.statement.translate import FLAGS, Translate

_NO_TRANSPORT = "transport protocol mapping is only valid after transport protocol match"


def translate(scope: Scope, protocols: Protocols) -> Translate:
    """Read the statement from its first word on."""
    tokens = scope.tokens
    first, kind = tokens.at, tokens.take()
    own = kind in ("masquerade", "redirect")
    family = ""
    if not own and tokens.word in ("ip", "ip6"):
        family = tokens.take()
    if tokens.word == "prefix":
        raise scope.refuse(f"{kind} prefix", tokens.at)
    if tokens.accept("addr"):
        for word in (".", "port"):
            tokens.expect(word)
    address: int | Range | Expression | None = None
    port: int | Range | Expression | None = None
    if tokens.accept("to"):
        if own:
            tokens.accept(":")
            port = _ports(scope, protocols)
        else:
            if tokens.word != ":":
                family = family or (protocols.network if scope.table.family == "inet" else "")
                if scope.table.family == "inet" and not family:
                    raise tokens.error_at("ip or ip6 must be specified with address for inet tables.", first)
                address = _address(scope, protocols, family or scope.table.family)
            if tokens.accept(":"):
                port = _ports(scope, protocols)
    elif not own:
        raise tokens.unexpected("to")
    pair = isinstance(address, Expression) and len(address.types) == 2
    if scope.table.family != "inet" and not pair:
        family = ""
    elif pair:
        family = family or scope.table.family
    return Translate(kind, family, address, port, _flags(scope, kind))


def _flags(scope: Scope, kind: str) -> tuple[str, ...]:
    tokens = scope.tokens
    found = set()
    while tokens.word in FLAGS:
        found.add(tokens.take())
        if not tokens.accept(","):
            break
        if tokens.word not in FLAGS:
            raise tokens.unexpected()
    return tuple(flag for flag in FLAGS if flag in found)


def _ports(scope: Scope, protocols: Protocols) -> int | Range:
    tokens = scope.tokens
    at = tokens.at
    low = scope.number_value(SERVICE)
    if tokens.accept("-"):
        high = scope.number_value(SERVICE)
        if high < low:
            raise tokens.error_at("Range has zero or negative size", at, tokens.at - 1)
    else:
        high = low
    if not protocols.has_ports:
        raise tokens.error_at(_NO_TRANSPORT, at, tokens.at - 1)
    return low if low == high else Range(low, high)


def _address(scope: Scope, protocols: Protocols, family: str) -> int | Range | Expression:
    tokens = scope.tokens
    kind = IPV6 if family == "ip6" else IPV4
    if tokens.kind == WORD and starts_expression(tokens.word):
        return _map(scope, protocols, family)
    low = scope.number_value(kind)
    if not tokens.accept("-"):
        return low
    at = tokens.at
    high = scope.number_value(kind)
    if high < low:
        raise tokens.error_at("Range has zero or negative size", at - 2, at)
    return Range(low, high)


def _map(scope: Scope, protocols: Protocols, family: str) -> Expression:
    """Read an expression whose map gives the address, or address and port."""
    tokens = scope.tokens
    first = tokens.at
    parts = [primary(scope)]
    while tokens.accept("."):
        parts.append(primary(scope))
    key = parts[0] if len(parts) == 1 else Concatenation(tuple(parts))
    protocols.require(key, first, tokens.at - 1)
    if not tokens.accept("map"):
        return key
    kinds: tuple[Datatype, ...] = (IPV6 if family == "ip6" else IPV4, SERVICE)
    if tokens.accept("@"):
        name = tokens.name()
        found = scope.table.sets.get(name)
        if found is None:
            raise tokens.error_at(NO_ENTRY, tokens.at - 2, tokens.at - 1)
        kinds = found.declaration.data_types
        reference = SetReference(name)
    else:
        declaration = Declaration(key.types, data="value", data_types=kinds)
        read = elements(scope, declaration)
        paired = any(isinstance(each.element.data, tuple) for each in read)
        kinds = kinds if paired else kinds[:1]
        declaration = Declaration(key.types, data="value", data_types=kinds)
        reference = SetReference(anonymous=anonymous(scope, declaration, read))
    if len(kinds) == 2 and not protocols.has_ports:
        raise tokens.error_at(_NO_TRANSPORT, first, tokens.at - 1)
    return MapLookup(key, reference, kinds)
