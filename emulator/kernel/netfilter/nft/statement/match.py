"""A comparison: `ip saddr 10.0.0.0/8`, `tcp dport != { 22, 80 }`, `ct state established,related`, `ip daddr @hosts`."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.kernel.netfilter.nft.datatype import IFNAME, IPV4, Datatype, Scalar
from emulator.kernel.netfilter.nft.expression.expression import Expression, Getter, Masked, format_constant
from emulator.kernel.netfilter.nft.expression.lookup import SetReference
from emulator.kernel.netfilter.nft.statement.statement import Constant, Statement, Step
from emulator.kernel.netfilter.nft.statement.verdict import NO_MATCH, Outcome

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.set import NftSet
    from emulator.kernel.netfilter.nft.table import NftTable
    from emulator.kernel.skb import Skb

_COMPARE = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


class Prefix(Struct, frozen=True):
    """`10.0.0.0/8`, host bits cleared."""

    address: int
    length: int

    def mask(self, kind: Datatype) -> int:
        """Return the mask that it is."""
        return kind.limit ^ (1 << kind.bits - self.length) - 1


class Range(Struct, frozen=True):
    """`80-90`, both ends included."""

    low: int
    high: int


Operand = Scalar | tuple[Scalar, ...] | Prefix | Range | SetReference


class Match(Statement, frozen=True):
    """`left operator right`. The operator is "==", "!=", "<", ">", "<=" or ">=".

    `hidden`: a listing leaves it out, since a later statement says the same (`meta l4proto tcp tcp dport 80`).
    """

    left: Expression
    operator: str
    right: Operand
    hidden: bool = False

    @property
    def needs_conntrack(self) -> bool:
        return self.left.needs_conntrack

    def sets(self) -> tuple[NftSet, ...]:
        return self.right.sets() if isinstance(self.right, SetReference) else ()

    def set_names(self) -> tuple[str, ...]:
        return self.right.set_names() if isinstance(self.right, SetReference) else ()

    def constants(self) -> tuple[Constant, ...]:
        return (self.right,) if self.left.types == (IPV4,) and isinstance(self.right, int) else ()

    def with_constants(self, values: Iterator[Constant]) -> Statement:
        return Match(self.left, self.operator, next(values), self.hidden) if self.constants() else self

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        return f"{self.left.format()} {self._operator()}{self._right()}"

    def _operator(self) -> str:
        if self.operator != "==":
            return f"{self.operator} "
        explicit = isinstance(self.left, Masked) and not isinstance(self.right, Range)
        return "== " if explicit or (self.left.datatype.bitmask and isinstance(self.right, int) and self.right) else ""

    def _right(self) -> str:
        kind, right = self.left.datatype, self.right
        if isinstance(right, SetReference):
            return right.format()
        if isinstance(right, Prefix):
            return f"{kind.format(right.address)}/{right.length}"
        if isinstance(right, Range):
            return f"{_end(kind, right.low)}-{_end(kind, right.high)}"
        if isinstance(right, tuple):
            return " . ".join(each.format(value) for each, value in zip(self.left.types, right, strict=True))
        if isinstance(self.left, Masked) or kind.bitmask:
            return _bare_flags(kind, right)
        return kind.format(right)

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        operator = "in" if self.operator == "==" and self.left.datatype.bitmask and self.right == 0 else self.operator
        return {"match": {"op": operator, "left": self.left.json(), "right": self._right_json()}}

    def _right_json(self) -> object:
        kind, right = self.left.datatype, self.right
        if isinstance(right, SetReference):
            return right.json()
        if isinstance(right, Prefix):
            return {"prefix": {"addr": kind.json(right.address), "len": right.length}}
        if isinstance(right, Range):
            numbers = kind.read is None
            return {"range": [each if numbers else kind.json(each) for each in (right.low, right.high)]}
        if isinstance(right, tuple):
            return {"concat": [each.json(value) for each, value in zip(self.left.types, right, strict=True)]}
        if kind.name == "tcp_flag" and isinstance(right, int) and right.bit_count() != 1:
            return right
        value = kind.json(right)
        if isinstance(value, list):
            return {"|": value}
        return bool(right) if kind.name == "boolean" else value

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        left, negated, right = self.left.bind(netfilter), self.operator == "!=", self.right
        if isinstance(right, SetReference):
            return _in_set(right.key_getter(left, table), right.resolve(table), negated)
        if isinstance(right, Prefix):
            return _in_prefix(left, right.address, right.mask(self.left.datatype), negated)
        if isinstance(right, Range):
            return _in_range(left, right.low, right.high, negated)
        if self.operator in _COMPARE and isinstance(right, int):
            return _compared(left, self.operator, right)
        if self.left.types == (IFNAME,) and isinstance(right, str) and right.endswith("*"):
            return _begins(left, right[:-1], negated)
        return _unequal(left, right) if negated else _equal(left, right)


def _end(kind: Datatype, value: int) -> str:
    """Print an end of a range: numbers have no names there."""
    return kind.write(value)


def _bare_flags(kind: Datatype, value: Scalar) -> str:
    if kind.name == "tcp_flag" and isinstance(value, int) and len(kind.flags(value)) > 1:
        return f"{value:#x}"
    text = format_constant(kind, value)
    return text[1:-1] if text.startswith("(") else text


def _equal(left: Getter, right: object) -> Step:
    return lambda skb, context: None if left(skb, context) == right else NO_MATCH


def _unequal(left: Getter, right: object) -> Step:
    def unequal(skb: Skb, context: Context) -> Outcome | None:
        value = left(skb, context)
        return NO_MATCH if value is None or value == right else None

    return unequal


def _in_set(left: Getter, found: NftSet, negated: bool) -> Step:
    find = found.find

    def looked_up(skb: Skb, context: Context) -> Outcome | None:
        value = left(skb, context)
        return NO_MATCH if value is None or (find(value) is None) is not negated else None

    return looked_up


def _in_prefix(left: Getter, address: int, mask: int, negated: bool) -> Step:
    def in_prefix(skb: Skb, context: Context) -> Outcome | None:
        value = left(skb, context)
        return None if isinstance(value, int) and (value & mask == address) is not negated else NO_MATCH

    return in_prefix


def _in_range(left: Getter, low: int, high: int, negated: bool) -> Step:
    def in_range(skb: Skb, context: Context) -> Outcome | None:
        value = left(skb, context)
        return None if isinstance(value, int) and (low <= value <= high) is not negated else NO_MATCH

    return in_range


def _compared(left: Getter, symbol: str, right: int) -> Step:
    compare = _COMPARE[symbol]

    def compared(skb: Skb, context: Context) -> Outcome | None:
        value = left(skb, context)
        return None if isinstance(value, int) and compare(value, right) else NO_MATCH

    return compared


def _begins(left: Getter, begin: str, negated: bool) -> Step:
    def begins(skb: Skb, context: Context) -> Outcome | None:
        value = left(skb, context)
        return None if isinstance(value, str) and value.startswith(begin) is not negated else NO_MATCH

    return begins


class FlagMatch(Statement, frozen=True):
    """Flags of a bit mask.

    `kind`: "any" of them (`ct state new,related`), "none" (`ct state ! new`), or of the bits of `mask` exactly these
    ("equal": `tcp flags syn / fin,syn`) or not ("unequal").
    """

    left: Expression
    kind: str
    value: int
    mask: int = 0
    hidden: bool = False

    @property
    def needs_conntrack(self) -> bool:
        return self.left.needs_conntrack

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        kind, left = self.left.datatype, self.left.format()
        if self.kind == "any":
            return f"{left} {kind.format(self.value)}"
        if self.kind == "none":
            return f"{left} ! {kind.format(self.value)}"
        symbol = "!= " if self.kind == "unequal" else ""
        if self.mask == self.value and self.mask.bit_count() == 1:
            return f"{left} & {kind.format(self.mask)} {symbol or '== '}{kind.format(self.value)}"
        return f"{left} {symbol}{kind.format(self.value)} / {kind.format(self.mask)}"

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        kind, left = self.left.datatype, self.left.json()
        value = kind.json(self.value)
        if self.kind in ("any", "none"):
            return {"match": {"op": "in" if self.kind == "any" else "!", "left": left, "right": value}}
        symbol = "==" if self.kind == "equal" else "!="
        return {"match": {"op": symbol, "left": {"&": [left, kind.json(self.mask)]}, "right": value}}

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        left, value, mask = self.left.bind(netfilter), self.value, self.mask
        if self.kind in ("any", "none"):
            wanted = self.kind == "any"

            def any_of(skb: Skb, context: Context) -> Outcome | None:
                found = left(skb, context)
                return None if isinstance(found, int) and bool(found & value) is wanted else NO_MATCH

            return any_of
        negated = self.kind == "unequal"

        def exactly(skb: Skb, context: Context) -> Outcome | None:
            found = left(skb, context)
            return None if isinstance(found, int) and (found & mask == value) is not negated else NO_MATCH

        return exactly
