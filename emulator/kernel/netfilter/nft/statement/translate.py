"""`dnat`, `snat`, `masquerade` and `redirect`: the other side's addresses, once a connection (nft_nat.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.hook import Verdict
from emulator.kernel.netfilter.nat.nat import Range
from emulator.kernel.netfilter.nft.datatype import IPV4, IPV6, SERVICE
from emulator.kernel.netfilter.nft.expression.expression import Expression, Getter
from emulator.kernel.netfilter.nft.expression.lookup import bind_value, set_names_of, sets_of
from emulator.kernel.netfilter.nft.statement.match import Range as Values
from emulator.kernel.netfilter.nft.statement.statement import Constant, Statement, Step
from emulator.kernel.netfilter.nft.statement.verdict import ACCEPTED, DROPPED, NO_MATCH, Outcome
from emulator.kernel.netfilter.target.nat import Masquerade, Redirect

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.set import NftSet
    from emulator.kernel.netfilter.nft.table import NftTable
    from emulator.kernel.skb import Skb

HOOKS = {
    "dnat": frozenset({"prerouting", "output"}),
    "snat": frozenset({"postrouting", "input"}),
    "masquerade": frozenset({"postrouting"}),
    "redirect": frozenset({"prerouting", "output"}),
}
FLAGS = ("random", "fully-random", "persistent")


class Translate(Statement, frozen=True):
    """`kind` as the statement's word. `address` and `port` are constants, ranges or expressions; `family` is printed.

    An expression of two parts gives address and port at once.
    """

    kind: str
    family: str = ""
    address: int | Values | Expression | None = None
    port: int | Values | Expression | None = None
    flags: tuple[str, ...] = ()

    @property
    def terminal(self) -> bool:
        return True

    @property
    def needs_conntrack(self) -> bool:
        return True

    @property
    def nat_hooks(self) -> frozenset[str]:
        return HOOKS[self.kind]

    def sets(self) -> tuple[NftSet, ...]:
        return sets_of(self.address) + sets_of(self.port)

    def set_names(self) -> tuple[str, ...]:
        return set_names_of(self.address) + set_names_of(self.port)

    def constants(self) -> tuple[Constant, ...]:
        return (self.address,) if isinstance(self.address, int) else ()

    def with_constants(self, values: Iterator[Constant]) -> Statement:
        if not isinstance(self.address, int):
            return self
        return Translate(self.kind, self.family, int(next(values)), self.port, self.flags)

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        words = [self.kind]
        if self.address is not None or self.port is not None:
            words += [self.family] if self.family else []
            words += ["to", self._address_words() + self._port_words()]
        if self.flags:
            words.append(",".join(self.flags))
        return " ".join(words)

    def _address_words(self) -> str:
        kind = IPV6 if self.family == "ip6" else IPV4
        if self.address is None:
            return ""
        if isinstance(self.address, Expression):
            return self.address.format()
        if isinstance(self.address, Values):
            return f"{kind.format(self.address.low)}-{kind.format(self.address.high)}"
        text = kind.format(self.address)
        return f"[{text}]" if kind is IPV6 and self.port is not None else text

    def _port_words(self) -> str:
        if self.port is None:
            return ""
        if isinstance(self.port, Expression):
            return f":{self.port.format()}"
        if isinstance(self.port, Values):
            return f":{self.port.low}-{self.port.high}"
        return f":{self.port}"

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        values: dict[str, object] = {}
        if self.family:
            values["family"] = self.family
        kind = IPV6 if self.family == "ip6" else IPV4
        for name, datatype, value in (("addr", kind, self.address), ("port", SERVICE, self.port)):
            if isinstance(value, Expression):
                values[name] = value.json()
            elif isinstance(value, Values):
                values[name] = {"range": [datatype.json(value.low), datatype.json(value.high)]}
            elif value is not None:
                values[name] = datatype.json(value)
        if self.flags:
            values["flags"] = self.flags[0] if len(self.flags) == 1 else list(self.flags)
        return {self.kind: values or None}

    def _span(self, addresses: tuple[int, int] | None, ports: tuple[int, int] | None) -> Range:
        return Range(
            addresses,
            ports,
            random="random" in self.flags,
            fully_random="fully-random" in self.flags,
            persistent="persistent" in self.flags,
        )

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        if self.family == "ip6":
            return lambda skb, context: NO_MATCH
        if self.kind in ("masquerade", "redirect"):
            return self._bind_own(netfilter, table)
        get_address = _getter(self.address, netfilter, table)
        get_port = _getter(self.port, netfilter, table)
        source, nat, make_span = self.kind == "snat", netfilter.nat, self._span
        paired = _is_pair(self.address)

        def translate(skb: Skb, context: Context) -> Outcome | None:
            address = get_address(skb, context) if get_address is not None else None
            if address is None and get_address is not None:
                return NO_MATCH
            port = get_port(skb, context) if get_port is not None else None
            if paired and isinstance(address, tuple):
                port = address[1]
                address = address[0]
            if port is None and get_port is not None:
                return NO_MATCH
            if skb.ct is not None:
                nat.set_up(skb.ct, make_span(_bounds(address), _bounds(port)), source=source)
            return ACCEPTED

        return translate

    def _bind_own(self, netfilter: Netfilter, table: NftTable) -> Step:
        """To this machine's own address, as the targets of iptables do it."""
        get_port = _getter(self.port, netfilter, table)

        def translate(skb: Skb, context: Context) -> Outcome | None:
            port = get_port(skb, context) if get_port is not None else None
            span = self._span(None, _bounds(port))
            target = Masquerade(span) if self.kind == "masquerade" else Redirect(span)
            return DROPPED if target.apply(skb, context) is Verdict.DROP else ACCEPTED

        return translate


def _is_pair(value: object) -> bool:
    return isinstance(value, Expression) and len(value.types) == 2


def _getter(value: int | Values | Expression | None, netfilter: Netfilter, table: NftTable) -> Getter | None:
    if value is None:
        return None
    if isinstance(value, Expression):
        return bind_value(value, netfilter, table)
    if isinstance(value, Values):
        ends = (value.low, value.high)
        return lambda skb, context: ends
    return lambda skb, context: value


def _bounds(value: object) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    return (value[0], value[1]) if isinstance(value, tuple) else None
