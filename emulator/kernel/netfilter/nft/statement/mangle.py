"""`meta mark set …` and `ct mark set …`: a constant, a value of the packet, or one with bits changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.connection import CHANGED_MARK
from emulator.kernel.netfilter.nft.datatype import MARK, Datatype, Scalar
from emulator.kernel.netfilter.nft.expression.expression import Expression, Getter, Key
from emulator.kernel.netfilter.nft.expression.lookup import bind_value, set_names_of, sets_of
from emulator.kernel.netfilter.nft.statement.statement import Statement, Step
from emulator.kernel.netfilter.nft.statement.verdict import NO_MATCH, Outcome
from emulator.kernel.netfilter.options import U32
from emulator.kernel.trace import StepKind

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.set import NftSet
    from emulator.kernel.netfilter.nft.table import NftTable
    from emulator.kernel.skb import Skb


class Bitwise(Expression, frozen=True):
    """A value of which the bits of `mask` stay, and then those of `flip` are turned."""

    inner: Expression
    mask: int = U32
    flip: int = 0

    @property
    def types(self) -> tuple[Datatype, ...]:
        return self.inner.types

    @property
    def needs_conntrack(self) -> bool:
        return self.inner.needs_conntrack

    def _terms(self) -> tuple[int, int, int]:
        """Return what is printed behind &, ^ and | (netlink_parse_bitwise)."""
        both = self.mask & self.flip
        either = self.flip & ~both
        return self.mask | either, both, either

    def format(self) -> str:
        kept, flipped, added = self._terms()
        text = self.inner.format()
        for symbol, value, left_out in (("&", kept, U32), ("^", flipped, 0), ("|", added, 0)):
            if value != left_out:
                text += f" {symbol} {self.datatype.format(value)}"
        return text

    def json(self) -> object:
        kept, flipped, added = self._terms()
        value = self.inner.json()
        for symbol, constant, left_out in (("&", kept, U32), ("^", flipped, 0), ("|", added, 0)):
            if constant != left_out:
                value = {symbol: [value, constant]}
        return value

    def bind(self, netfilter: Netfilter) -> Getter:
        inner, mask, flip = self.inner.bind(netfilter), self.mask, self.flip

        def changed(skb: Skb, context: Context) -> Key | None:
            value = inner(skb, context)
            return value & mask ^ flip if isinstance(value, int) else None

        return changed


class SetMark(Statement, frozen=True):
    """`owner` is "meta" or "ct"; the value is a constant or an expression."""

    owner: str
    value: Scalar | Expression

    @property
    def needs_conntrack(self) -> bool:
        return self.owner == "ct" or (isinstance(self.value, Expression) and self.value.needs_conntrack)

    def sets(self) -> tuple[NftSet, ...]:
        return sets_of(self.value)

    def set_names(self) -> tuple[str, ...]:
        return set_names_of(self.value)

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        value = self.value.format() if isinstance(self.value, Expression) else MARK.format(self.value)
        return f"{self.owner} mark set {value}"

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        value = self.value.json() if isinstance(self.value, Expression) else self.value
        return {"mangle": {"key": {self.owner: {"key": "mark"}}, "value": value}}

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        get = _constant(self.value) if not isinstance(self.value, Expression) else None
        if get is None and isinstance(self.value, Expression):
            get = bind_value(self.value, netfilter, table)
        assert get is not None
        return _set_packet_mark(get) if self.owner == "meta" else _set_connection_mark(get)


def _constant(value: Scalar) -> Getter:
    return lambda skb, context: value


def _set_packet_mark(get: Getter) -> Step:
    def set_mark(skb: Skb, context: Context) -> Outcome | None:
        value = get(skb, context)
        if not isinstance(value, int):
            return NO_MATCH
        if skb.trace is not None and value != skb.mark:
            skb.step(context.netns, StepKind.MARK, before=f"{skb.mark:#x}", after=f"{value:#x}")
        skb.mark = value
        return None

    return set_mark


def _set_connection_mark(get: Getter) -> Step:
    def set_mark(skb: Skb, context: Context) -> Outcome | None:
        value = get(skb, context)
        if not isinstance(value, int):
            return NO_MATCH
        connection = skb.ct
        if connection is not None and connection.mark != value:
            connection.mark = value
            connection.status |= CHANGED_MARK
        return None

    return set_mark
